"""Participants and task of the demo."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from covey.devnet import scenario
from covey.devnet.icd10 import HOSPITAL_STRATA, STRATA
from covey.devnet.scenario import Behaviour, participants
from covey.lora.bases.resolve import resolve
from covey.protocol.seats import seats
from covey.protocol.spec import TaskSpec


def test_participants_are_four_hospitals_and_one_cheat_of_each_kind() -> None:
    everyone = participants(3, HOSPITAL_STRATA)
    trainers = [participant for participant in everyone if participant.trainer]
    assert [trainer.strata for trainer in trainers] == [*((stratum,) for stratum in HOSPITAL_STRATA), ()]
    dishonest = [participant.behaviour for participant in everyone if not participant.honest]
    assert dishonest == [Behaviour.RANDOM_WEIGHTS, Behaviour.CONSTANT_SCORES]
    assert len({participant.slug for participant in everyone}) == len(everyone) == 9


@pytest.mark.parametrize("count", [2, 10])
def test_unsupported_number_of_validators_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="3 to 9"):
        participants(count, HOSPITAL_STRATA)


@pytest.mark.parametrize("validators", range(3, 10))
def test_honest_validators_have_the_majority_and_the_lazy_one_a_seat(validators: int) -> None:
    total = validators * scenario.EARMARK + scenario.LAZY_EARMARK
    for draw in range(200):
        seed, contract = draw.to_bytes(32, "big"), "0x" + "11" * 20
        drawn = [
            seats(1, contract, 1, 0, seed, f"0x{index:040x}", earmark, total, scenario.TARGET_SEATS)
            for index, earmark in enumerate([scenario.EARMARK] * validators + [scenario.LAZY_EARMARK])
        ]
        assert sum(drawn[:-1]) > sum(drawn) / 2
        assert max(drawn) < sum(drawn) / 2, "no single row is the median"
        assert drawn[-1] >= 1


def test_spec_and_parameters_agree() -> None:
    spec = scenario.task_spec(resolve("tiny"), list(STRATA))
    assert TaskSpec.from_bytes(spec.canonical_bytes()) == spec
    assert sum(stratum.min_records for stratum in spec.strata) == scenario.MIN_RECORDS
    params = scenario.task_params(spec, bytes(32), 10**18)
    assert (params.h, params.tau, params.floor_score) == (spec.scoring.h, spec.scoring.tau, spec.scoring.floor)
    assert params.h == 1.5 * scenario.SPREAD
    assert params.tau == 4 * scenario.SPREAD


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("tiny", "tiny"),
        ("Qwen/Qwen2.5-0.5B", "Qwen/Qwen2.5-0.5B"),
        ("/data/my models/Qwen 0.5B", "Qwen-0.5B"),
        ("./_local", "local"),
        ("/", "base"),
    ],
)
def test_public_name_is_valid_in_a_spec(name: str, shown: str) -> None:
    assert scenario.public_name(name) == shown


def test_spec_of_a_base_in_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "my base"
    shutil.copytree(resolve("tiny").folder, folder)
    spec = scenario.task_spec(resolve(str(folder)), list(STRATA))
    assert (spec.base.name, spec.base.digest) == ("my-base", resolve("tiny").digest)


def test_lazy_score_is_on_the_grid_of_rounded_scores() -> None:
    assert (scenario.LAZY_SCORE - 1) % 64 == 0
