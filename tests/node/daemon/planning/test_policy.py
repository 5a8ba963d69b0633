"""Which tasks a node takes part in."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from covey.config.node import Policy
from covey.daemon.planning.policy import contradiction, count_strata, earmark_of, unenterable, unscorable, unwanted
from covey.protocol.canonical import DocumentError
from covey.protocol.spec import TaskSpec
from covey.protocol.types import Evaluation, Kind, TaskParams, Windows

PARAMS = TaskParams(
    spec_digest=bytes(32),
    sealed_commitment=bytes(32),
    kind=Kind.ARENA,
    evaluation=Evaluation.LOCAL,
    validator_bps=2_000,
    target_seats=8,
    floor_score=100,
    h=60,
    tau=600,
    power=1,
    max_entries=8,
    bounty=10,
    bond=10,
    entry_fee=1,
    min_stake=10,
    windows=Windows(60, 60, 60, 0, 60, 60, 60, 0),
)
HELD = {"a": 10, "b": 10}


def spec(**changes: Any) -> TaskSpec:
    fields: dict[str, Any] = {
        "version": 1,
        "base": {"name": "tiny", "revision": "local", "digest": "00" * 32, "family": "qwen3"},
        "adapter": {"target_modules": ["q_proj"], "max_rank": 4, "max_bytes": 1000},
        "domain": "weather",
        "strata": [{"name": name, "weight": 5000, "min_records": 8, "min_tokens": 8} for name in ("a", "b")],
        "evaluation": {"source": "local", "sequence_length": 32, "min_records": 18, "max_records": 20},
        "scoring": {"h": 60, "tau": 600, "floor": 100},
    }
    return TaskSpec.parse({**fields, **changes})


def test_a_fitting_task_is_taken() -> None:
    policy = Policy(domains=("weather",), bases=("tiny",))
    assert contradiction(spec(), PARAMS) is None
    assert unenterable(spec(), PARAMS, policy, 5) is None
    assert unscorable(spec(), PARAMS, policy, HELD) is None


@pytest.mark.parametrize(
    ("params", "says"),
    [
        (replace(PARAMS, h=61), "h 60, the chain 61"),
        (replace(PARAMS, tau=1), "tau 600, the chain 1"),
        (replace(PARAMS, floor_score=2), "floor 100, the chain 2"),
        (replace(PARAMS, evaluation=Evaluation.SEALED), "evaluation local, the chain sealed"),
    ],
)
def test_a_spec_that_contradicts_the_chain_is_noticed(params: TaskParams, says: str) -> None:
    assert says in (contradiction(spec(), params) or "")


@pytest.mark.parametrize(
    ("params", "policy", "says"),
    [
        (replace(PARAMS, kind=Kind.FEDERATED), Policy(), "federated"),
        (PARAMS, Policy(domains=("cooking",)), "domain 'weather'"),
        (PARAMS, Policy(bases=("Qwen/Qwen3-8B",)), "base tiny"),
    ],
)
def test_what_the_operator_rules_out(params: TaskParams, policy: Policy, says: str) -> None:
    assert says in (unwanted(spec(), params, policy) or "")
    assert says in (unenterable(spec(), params, policy, 0) or "")
    assert says in (unscorable(spec(), params, policy, HELD) or "")


def test_a_dear_entry_is_not_made() -> None:
    assert unenterable(spec(), PARAMS, Policy(max_fee=5), 5) is None
    assert "6 wei" in (unenterable(spec(), PARAMS, Policy(max_fee=5), 6) or "")


@pytest.mark.parametrize(
    ("params", "policy", "held", "says"),
    [
        (PARAMS, Policy(), {"a": 10}, "stratum 'b' needs 8 held-out records, there are 0"),
        (PARAMS, Policy(), {"a": 10, "b": 7}, "there are 7"),
        (PARAMS, Policy(), {"a": 9, "b": 8}, "18 held-out records in all"),
        (PARAMS, Policy(min_score_window_seconds=61), HELD, "score commit window"),
        (replace(PARAMS, windows=replace(PARAMS.windows, score_reveal=9)), Policy(), HELD, "score reveal window"),
        (PARAMS, Policy(max_entries=7), HELD, "8 entries"),
        (replace(PARAMS, evaluation=Evaluation.SEALED), Policy(), HELD, "sealed"),
    ],
)
def test_what_cannot_be_scored_here(params: TaskParams, policy: Policy, held: dict[str, int], says: str) -> None:
    assert says in (unscorable(spec(), params, policy, held) or "")


def test_the_earmark_never_exceeds_what_is_free() -> None:
    assert earmark_of(Policy(earmark=50), 100) == 50
    assert earmark_of(Policy(earmark=500), 100) == 100
    assert earmark_of(Policy(earmark_share_bps=2_500), 101) == 25
    assert earmark_of(Policy(), 0) == 0


def test_strata_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text("".join(json.dumps({"text": "x", "stratum": s}) + "\n" for s in "aab"), encoding="utf-8")
    assert count_strata(path) == {"a": 2, "b": 1}


@pytest.mark.parametrize("line", ["{}", "nonsense", "[]"])
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text('{"text": "x", "stratum": "a"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(DocumentError, match=r"records\.jsonl:2: a record is"):
        count_strata(path)


def test_no_such_records(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="No such file"):
        count_strata(tmp_path / "none.jsonl")
