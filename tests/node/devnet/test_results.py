"""Parts of the demonstration that need no network: cast, spec, cheats, folders, ranks, driver."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from covey.devnet import scenario
from covey.devnet.anvil import Anvil, find_anvil
from covey.devnet.errors import BadInput, DevnetError
from covey.devnet.icd10 import HOSPITAL_STRATA, STRATA
from covey.devnet.local import claim_folder
from covey.devnet.results import parameters, smooth, spearman
from covey.devnet.scenario import Behaviour, cast
from covey.devnet.strategies import strategy_of
from covey.lora.bases.resolve import resolve
from covey.protocol.seats import seats
from covey.protocol.sheet import EntryScore, Profile, Sample
from covey.protocol.spec import TaskSpec


def test_cast_has_four_hospitals_and_one_cheat_of_each_kind() -> None:
    people = cast(3, HOSPITAL_STRATA)
    trainers = [who for who in people if who.trainer]
    assert [who.strata for who in trainers] == [*((stratum,) for stratum in HOSPITAL_STRATA), ()]
    assert [who.behaviour for who in people if not who.honest] == [Behaviour.RANDOM_WEIGHTS, Behaviour.CONSTANT_SCORES]
    assert len({who.slug for who in people}) == len(people) == 9


@pytest.mark.parametrize("count", [2, 10])
def test_cast_refuses_other_numbers_of_validators(count: int) -> None:
    with pytest.raises(ValueError, match="3 to 9"):
        cast(count, HOSPITAL_STRATA)


@pytest.mark.parametrize("validators", range(3, 10))
def test_honest_validators_always_hold_the_majority_and_the_lazy_one_always_a_seat(validators: int) -> None:
    total = validators * scenario.EARMARK + scenario.LAZY_EARMARK
    for draw in range(200):
        given = [
            seats(
                1,
                "0x" + "11" * 20,
                1,
                0,
                draw.to_bytes(32, "big"),
                f"0x{index:040x}",
                earmark,
                total,
                scenario.TARGET_SEATS,
            )
            for index, earmark in enumerate([scenario.EARMARK] * validators + [scenario.LAZY_EARMARK])
        ]
        assert sum(given[:-1]) > sum(given) / 2
        assert max(given) < sum(given) / 2, "no single row is the median"
        assert given[-1] >= 1


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
def test_base_of_a_folder_has_a_name_fit_for_a_spec(name: str, shown: str) -> None:
    assert scenario.public_name(name) == shown


def test_spec_of_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "my base"
    shutil.copytree(resolve("tiny").folder, folder)
    spec = scenario.task_spec(resolve(str(folder)), list(STRATA))
    assert (spec.base.name, spec.base.digest) == ("my-base", resolve("tiny").digest)


def test_cheats_change_the_work_and_nothing_else() -> None:
    spec = scenario.task_spec(resolve("tiny"), list(STRATA)).model_dump(mode="json")
    job = {"spec": spec, "adapters": [{"lane": 1, "folder": "a"}, {"lane": 0, "folder": None}], "seed": 5}
    honest, random_weights = strategy_of(Behaviour.HONEST, 3), strategy_of(Behaviour.RANDOM_WEIGHTS, 3)
    assert "attack" not in honest.training_job(job)
    assert honest.scoring_result(job) is None
    assert random_weights.training_job(job)["attack"] == "random_small"
    lazy = strategy_of(Behaviour.CONSTANT_SCORES, 3).scoring_result(job)
    assert lazy is not None
    assert [line["score"] for line in lazy["entries"]] == [scenario.LAZY_SCORE] * 2
    for line in lazy["entries"]:
        EntryScore.model_validate({**line, "digest": "ab" * 32})
    for line in lazy["strata"]:
        Sample.model_validate(line)
    Profile.model_validate(lazy["profile"])


def test_lazy_score_is_on_the_grid_of_rounded_scores() -> None:
    assert (scenario.LAZY_SCORE - 1) % 64 == 0


@pytest.mark.parametrize(
    ("xs", "ys", "rho"), [([1, 2, 3], [10, 20, 30], 1.0), ([1, 2, 3], [3, 2, 1], -1.0), ([1, 2, 3], [5, 5, 5], 0.0)]
)
def test_spearman(xs: list[float], ys: list[float], rho: float) -> None:
    assert spearman(xs, ys) == rho


def test_smooth_takes_trailing_means() -> None:
    assert [point.loss for point in smooth([4.0, 2.0, 0.0], window=2)] == [4.0, 3.0, 1.0]


def test_parameters_of_the_tiny_base_are_those_of_its_weights() -> None:
    base = resolve("tiny")
    with (base.folder / "model.safetensors").open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    total = 0
    for name, tensor in header.items():
        if name != "__metadata__":
            size = 1
            for length in tensor["shape"]:
                size *= length
            total += size
    assert parameters(base.config) == total


def test_a_run_replaces_only_its_own_folder(tmp_path: Path) -> None:
    out = claim_folder(tmp_path / "run", ".mark")
    (out / "old").write_text("x")
    assert [path.name for path in claim_folder(out, ".mark").iterdir()] == [".mark"]
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "file").write_text("x")
    with pytest.raises(BadInput, match="no earlier run made it"):
        claim_folder(foreign, ".mark")
    with pytest.raises(BadInput, match="is a file"):
        claim_folder(foreign / "file", ".mark")
    assert (foreign / "file").read_text() == "x"


def test_anvil_named_by_the_environment_must_be_a_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COVEY_ANVIL", str(tmp_path / "anvil"))
    with pytest.raises(DevnetError, match="COVEY_ANVIL names"):
        find_anvil()
    (tmp_path / "anvil").write_text("#!/bin/sh\n")
    (tmp_path / "anvil").chmod(0o755)
    assert find_anvil() == tmp_path / "anvil"


def test_missing_anvil_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("COVEY_ANVIL", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DevnetError, match="COVEY_ANVIL"):
        find_anvil(install=False)
    with pytest.raises(DevnetError, match=r"install Node\.js"):
        find_anvil()


def test_failing_npm_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error network down' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.delenv("COVEY_ANVIL", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DevnetError, match=r"npm could not install .*network down"):
        find_anvil()


@pytest.mark.daemon
def test_anvil_runs_jumps_and_ends(tmp_path: Path) -> None:
    with Anvil(tmp_path / "anvil.log") as chain:
        pid, before = chain.pid, chain.time()
        assert 3_599 <= chain.jump_to(before + 3_600) <= 3_600
        assert chain.time() >= before + 3_600
        assert chain.jump_to(before) == 0
        with pytest.raises(DevnetError, match="no_such_method"):
            chain.rpc("no_such_method")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.daemon
def test_anvil_that_does_not_start_is_told(tmp_path: Path) -> None:
    program = tmp_path / "anvil"
    program.write_text("#!/bin/sh\necho broken >&2\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(DevnetError, match=r"stopped at once \(exit code 3\): broken"):
        Anvil(tmp_path / "anvil.log", program=program).start()
    assert "broken" in (tmp_path / "anvil.log").read_text()


@pytest.mark.daemon
def test_anvil_on_a_port_in_use_is_told(tmp_path: Path) -> None:
    with Anvil(tmp_path / "first.log") as chain, pytest.raises(DevnetError, match=r"port \d+ cannot be used"):
        Anvil(tmp_path / "second.log", port=chain.port).start()
