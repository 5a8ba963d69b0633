"""Parameters of a new task: defaults that fit the network, and the registry's bounds."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.network import tiny_spec

from covey.chain.units import CVY
from covey.client.errors import InvalidInput
from covey.client.posting import check_spec, fetch_spec, read_spec, task_params
from covey.client.task_windows import NAMES, life_of, timetable, unusable
from covey.ipfs import BlockStore, directory_cid
from covey.lora.bases.digest import base_digest
from covey.lora.bases.resolve import tiny_folder
from covey.protocol.spec import TaskSpec
from covey.protocol.types import Windows

MINIMUM = Windows(60, 30, 40, 0, 50, 30, 20, 0)
BOUNDS = SimpleNamespace(
    min_windows=MINIMUM, min_bounty=CVY, min_bond=2 * CVY, stake_multiple_bps=20_000, max_entries=1_024,
    max_target_seats=101, max_h=4_000, max_tau=4_000, max_floor=6_554, min_validator_bps=500, min_seats=9,
    min_sealed_tau=655,
)  # fmt: skip


def chain(max_task_life: int = 4 * 3600, minimum: Windows = MINIMUM) -> Any:
    """A network with these limits."""
    limits = SimpleNamespace(**{**vars(BOUNDS), "min_windows": minimum})
    bounds = SimpleNamespace(config=lambda: limits, max_task_life=lambda: max_task_life)
    return SimpleNamespace(contracts=SimpleNamespace(bounds=bounds))


CHAIN = chain()


def test_defaults_fit_the_network() -> None:
    spec = tiny_spec()
    params = task_params(CHAIN, spec, bounty=10 * CVY, enrol=99)
    assert (params.bond, params.min_stake) == (2 * CVY, 20 * CVY)
    assert params.windows == Windows(6 * 360, 99, 360, 0, 3 * 360, 360, 2 * 360, 0)
    assert (params.h, params.tau, params.floor_score) == (spec.scoring.h, spec.scoring.tau, spec.scoring.floor)
    assert params.spec_digest == directory_cid({"spec.json": spec.canonical_bytes()}).word


def test_default_windows_are_hours_where_tasks_are_long() -> None:
    hour, day = 3_600, 86_400
    least = Windows(6 * hour, hour, hour, hour, 6 * hour, hour, 6 * hour, 12 * hour)
    params = task_params(chain(14 * day, least), tiny_spec(), bounty=10 * CVY)
    assert params.windows == Windows(6 * hour, hour, hour, 0, 6 * hour, hour, 6 * hour, 0)


@given(st.integers(2_400, 10**7), st.lists(st.integers(1, 20), min_size=6, max_size=6))
def test_default_windows_are_usable_and_leave_room(max_life: int, least: list[int]) -> None:
    """At most half of the longest life, with minimums that are short beside it; each is long enough to be used."""
    commit, enrol, reveal, score_commit, score_reveal, settle = least
    minimum = Windows(commit, enrol, reveal, 1, score_commit, score_reveal, settle, 1)
    params = task_params(chain(max_life, minimum), tiny_spec(), bounty=10 * CVY)
    assert life_of(params) <= max_life / 2
    assert unusable(params.windows) == []


def test_windows_that_the_network_does_not_allow_are_refused() -> None:
    with pytest.raises(InvalidInput, match="could take 19440 s, the network allows 14400 s"):
        task_params(CHAIN, tiny_spec(), bounty=10 * CVY, score_commit=2 * 3600)


def test_windows_that_nobody_can_use_are_named() -> None:
    assert unusable(Windows(60, 15, 15, 0, 30, 15, 60, 0)) == []
    assert unusable(Windows(1, 15, 1, 0, 29, 15, 60, 0)) == [
        "entry-commit of 1 s (less than 60 s)",
        "entry-reveal of 1 s (less than 15 s)",
        "score-commit of 29 s (less than 30 s)",
    ]


def test_the_timetable_adds_up() -> None:
    rows = timetable(Windows(60, 15, 16, 0, 30, 17, 61, 0), 1_000)
    assert [name for name, _, _ in rows] == list(NAMES)
    assert [(length, end) for _, length, end in rows] == [
        (60, 1_060), (15, 1_075), (16, 1_091), (30, 1_121), (17, 1_138), (61, 1_199)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bounty": CVY // 2}, "bounty: 0.5 CVY is below the registry's minimum of 1 CVY"),
        ({"bond": CVY}, "bond: 1 CVY is below the registry's minimum of 2 CVY"),
        ({"min_stake": CVY}, "min_stake: 1 CVY is below the registry's minimum of 20 CVY for this bounty"),
        ({"settle": 5}, "settle: 5 s is below the registry's minimum of 20 s"),
        ({"max_entries": 2_000}, "max_entries: 2000 is above the registry's maximum of 1024"),
        ({"target_seats": 500}, "target_seats: 500 is above the registry's maximum of 101"),
        ({"target_seats": 8}, "target_seats: 8 is below the registry's minimum of 9"),
        ({"validator_bps": 499}, "validator_bps: 499 is below the registry's minimum of 500"),
        ({"validator_bps": 10_000}, "validator_bps: 10000 is above the registry's maximum of 9999"),
        ({"min_entries": 0}, "min_entries: 0 is below the registry's minimum of 1"),
        ({"min_entries": 65}, "min_entries: 65 is above max_entries 64"),
    ],
)
def test_parameter_outside_the_bounds_is_named(changes: dict[str, int], message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        task_params(CHAIN, tiny_spec(), **{"bounty": 10 * CVY, **changes})
    assert str(caught.value) == message
    assert caught.value.parameter == next(iter(changes))


@pytest.mark.parametrize(
    ("name", "value", "most"), [("floor", 6_555, 6_554), ("h", 4_001, 4_000), ("tau", 4_001, 4_000)]
)
def test_spec_outside_the_bounds_is_invalid_input(name: str, value: int, most: int) -> None:
    spec = tiny_spec()
    spec = spec.model_copy(update={"scoring": spec.scoring.model_copy(update={name: value})})
    message = f"the spec's scoring.{name} of {value} is above the registry's maximum of {most}"
    with pytest.raises(InvalidInput, match=re.escape(message)):
        task_params(CHAIN, spec, bounty=10 * CVY)


def test_entries_times_seats_are_bounded() -> None:
    wide = SimpleNamespace(**{**vars(BOUNDS), "max_entries": 32_768, "max_target_seats": 1_023})
    chain: Any = SimpleNamespace(
        contracts=SimpleNamespace(bounds=SimpleNamespace(config=lambda: wide, max_task_life=lambda: 1 << 30))
    )
    with pytest.raises(InvalidInput, match="max_entries: 4101 is above the maximum of 4100 for this K"):
        task_params(chain, tiny_spec(), bounty=10 * CVY, max_entries=4_101, target_seats=1_023)


def test_spec_that_cannot_be_read_is_invalid_input(tmp_path: Any) -> None:
    with pytest.raises(InvalidInput, match=r"cannot read the spec .*missing\.json"):
        read_spec(tmp_path / "missing.json")
    (tmp_path / "bad.json").write_text("{}")
    with pytest.raises(InvalidInput, match=r"bad\.json: "):
        read_spec(tmp_path / "bad.json")
    (tmp_path / "large.json").write_bytes(b" " * ((1 << 20) + 1))
    with pytest.raises(InvalidInput, match="larger than a spec may be"):
        read_spec(tmp_path / "large.json")


def test_spec_is_fetched_from_the_store(tmp_path: Any) -> None:
    spec = tiny_spec()
    with BlockStore(tmp_path / "blocks") as store:
        cid = store.add_directory({"spec.json": spec.canonical_bytes()}, name="task spec")
        assert fetch_spec(store, cid.word) == spec
        assert fetch_spec(store, bytes(32)) is None
        remote: Any = SimpleNamespace(name="remote", get_block=store.get_block)
        assert fetch_spec(remote, cid.word) == spec, "a store that is not a folder needs a cache of its own"


def test_spec_is_checked_against_the_base_of_its_digest(tmp_path: Path) -> None:
    spec = tiny_spec()
    assert check_spec(spec, ["tiny"]) == check_spec(spec, []) == str(tiny_folder())
    copy = tmp_path / "copy"
    shutil.copytree(tiny_folder(), copy)
    assert check_spec(spec, [str(copy)]) == str(copy)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 1e-5}))
    changed = spec.model_copy(update={"base": spec.base.model_copy(update={"digest": base_digest(copy)})})
    assert check_spec(changed, ["tiny", str(copy)]) == str(copy)
    with pytest.raises(
        InvalidInput, match=rf"no base on this machine .* \(tiny has {spec.base.digest}\): name its folder"
    ):
        check_spec(changed, ["tiny", "nowhere", "Qwen/Qwen3-0.6B"], cache=tmp_path)


def replaced(spec: TaskSpec, part: str, **fields: object) -> TaskSpec:
    return TaskSpec.parse(spec.model_dump() | {part: {**(spec.model_dump()[part] or {}), **fields}})


@pytest.mark.parametrize(
    ("part", "fields", "message"),
    [
        ("adapter", {"target_modules": ["all-linear"]}, "adapter.target_modules: all-linear"),
        ("training", {"alpha": 1024}, "training.alpha: 1024"),
        ("privacy", {"max_epsilon": "1", "delta": "0.00001"}, "privacy: "),
        ("adapter", {"shared_a": "00" * 32}, "adapter.shared_a: "),
        ("evaluation", {"profile": "cuda-bfloat16"}, "evaluation.profile: "),
    ],
)
def test_spec_that_cannot_be_met_cannot_be_posted(part: str, fields: dict[str, object], message: str) -> None:
    spec = replaced(tiny_spec(), part, **fields)
    for post in (lambda: check_spec(spec, []), lambda: task_params(CHAIN, spec, bounty=10 * CVY)):
        with pytest.raises(InvalidInput, match=f"the spec cannot be met: {message}"):
            post()


@pytest.mark.parametrize(
    ("part", "fields", "message"),
    [
        ("base", {"family": "qwen2"}, "base.family: qwen2"),
        ("evaluation", {"sequence_length": 1 << 20}, "evaluation.sequence_length: 1048576"),
        ("adapter", {"max_bytes": 1_000}, "adapter.max_bytes: an adapter of max_rank 4"),
    ],
)
def test_spec_that_its_base_cannot_meet_is_refused(part: str, fields: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInput, match=f"the spec cannot be met: {message}"):
        check_spec(replaced(tiny_spec(), part, **fields), [])
