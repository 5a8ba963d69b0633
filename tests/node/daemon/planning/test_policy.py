"""The choice of tasks by spec, policy and held-out records."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey.config.node import Policy
from covey.daemon.planning.policy import (
    earmark_of,
    reason_not_to_enter,
    reason_not_to_score,
    reason_to_decline,
    spec_mismatch,
)
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
    min_entries=1,
    bounty=10,
    bond=10,
    entry_fee=1,
    min_stake=10,
    windows=Windows(60, 60, 60, 0, 60, 60, 60, 0),
)
HELD_OUT = {"a": 10, "b": 10}


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


def test_a_matching_task_is_accepted() -> None:
    policy = Policy(domains=("weather",), bases=("tiny",))
    assert spec_mismatch(spec(), PARAMS) is None
    assert reason_not_to_enter(spec(), PARAMS, policy, 5) is None
    assert reason_not_to_score(spec(), PARAMS, policy, HELD_OUT) is None


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (replace(PARAMS, h=61), "h 60, the chain 61"),
        (replace(PARAMS, tau=1), "tau 600, the chain 1"),
        (replace(PARAMS, floor_score=2), "floor 100, the chain 2"),
        (replace(PARAMS, evaluation=Evaluation.SEALED), "evaluation local, the chain sealed"),
    ],
)
def test_a_spec_that_differs_from_the_chain_is_declined(params: TaskParams, message: str) -> None:
    assert message in (spec_mismatch(spec(), params) or "")


@pytest.mark.parametrize(
    ("params", "policy", "message"),
    [
        (replace(PARAMS, kind=Kind.FEDERATED), Policy(), "federated"),
        (PARAMS, Policy(domains=("cooking",)), "domain 'weather'"),
        (PARAMS, Policy(bases=("Qwen/Qwen3-8B",)), "base tiny"),
    ],
)
def test_a_task_outside_the_policy_is_declined(params: TaskParams, policy: Policy, message: str) -> None:
    assert message in (reason_to_decline(spec(), params, policy) or "")
    assert message in (reason_not_to_enter(spec(), params, policy, 0) or "")
    assert message in (reason_not_to_score(spec(), params, policy, HELD_OUT) or "")


def test_an_entry_above_the_maximum_fee_is_declined() -> None:
    assert reason_not_to_enter(spec(), PARAMS, Policy(max_fee=5), 5) is None
    assert "0.000000000000000006 CVY" in (reason_not_to_enter(spec(), PARAMS, Policy(max_fee=5), 6) or "")


@pytest.mark.parametrize(
    ("params", "policy", "held_out", "message"),
    [
        (PARAMS, Policy(), {"a": 10}, "stratum 'b' needs 8 held-out records, there are 0"),
        (PARAMS, Policy(), {"a": 10, "b": 7}, "there are 7"),
        (PARAMS, Policy(), {"a": 9, "b": 8}, "18 held-out records in all, a sample of this node's has 17"),
        (PARAMS, Policy(), {"a": 8, "b": 9}, "a sample of this node's has 17"),
        (PARAMS, Policy(min_score_window_seconds=61), HELD_OUT, "score commit window"),
        (replace(PARAMS, windows=replace(PARAMS.windows, score_reveal=9)), Policy(), HELD_OUT, "score reveal window"),
        (PARAMS, Policy(max_entries=7), HELD_OUT, "8 entries"),
        (replace(PARAMS, evaluation=Evaluation.SEALED), Policy(), HELD_OUT, "sealed"),
    ],
)
def test_a_task_that_cannot_be_scored_is_declined(
    params: TaskParams, policy: Policy, held_out: dict[str, int], message: str
) -> None:
    assert message in (reason_not_to_score(spec(), params, policy, held_out) or "")


def test_the_earmark_never_exceeds_the_free_stake() -> None:
    whole = {"max_seat_share_bps": 10_000}
    assert earmark_of(Policy(earmark=50, **whole), 100, 10, 0) == 50
    assert earmark_of(Policy(earmark=500, **whole), 100, 10, 0) == 100
    assert earmark_of(Policy(earmark_share_bps=2_500, **whole), 101, 10, 0) == 25
    assert earmark_of(Policy(**whole), 0, 10, 0) == 0


@given(st.integers(1, 9_999), st.integers(1, 1 << 80), st.integers(0, 1 << 80), st.integers(0, 1 << 80))
def test_the_earmark_expects_at_most_its_share_of_the_seats(share: int, least: int, enrolled: int, later: int) -> None:
    policy = Policy(earmark=1 << 87, max_seat_share_bps=share)
    earmark = earmark_of(policy, 1 << 87, least, enrolled)
    total = max(least, enrolled + earmark) + later
    assert earmark * 10_000 <= share * total
    assert (earmark + 1) * 10_000 > share * max(least, enrolled + earmark + 1), "and no less than that"


def test_uneven_strata_that_cannot_fill_a_sample_are_declined_before_stake_is_put_up() -> None:
    weights = [{"name": name, "weight": 5000, "min_records": 2, "min_tokens": 8} for name in ("a", "b")]
    evaluation = {"source": "local", "sequence_length": 32, "min_records": 20, "max_records": 20}
    uneven = spec(strata=weights, evaluation=evaluation)
    assert "a sample of this node's has 12" in str(reason_not_to_score(uneven, PARAMS, Policy(), {"a": 500, "b": 2}))
    assert reason_not_to_score(uneven, PARAMS, Policy(), {"a": 500, "b": 10}) is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"privacy": {"max_epsilon": "1", "delta": "0.00001"}}, "privacy: "),
        ({"aggregation": {"rule": "stacking"}}, "aggregation: "),
        ({"training": {"alpha": 1024}}, "training.alpha: 1024"),
        (
            {"adapter": {"target_modules": ["lm_head"], "max_rank": 4, "max_bytes": 1000}},
            "adapter.target_modules: lm_head",
        ),
        (
            {"adapter": {"target_modules": ["q_proj"], "max_rank": 4, "max_bytes": 1000, "shared_a": "00" * 32}},
            "adapter.shared_a: ",
        ),
    ],
)
def test_a_promise_that_is_not_kept_is_declined_by_trainers_and_validators(
    changes: dict[str, Any], message: str
) -> None:
    for reason in (
        reason_not_to_enter(spec(**changes), PARAMS, Policy(), 0),
        reason_not_to_score(spec(**changes), PARAMS, Policy(), HELD_OUT),
    ):
        assert str(reason).startswith(f"its spec cannot be met: {message}")
