"""The audit recomputes faults, a second committee, top-ups and freed stake, and finds every planted difference."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.audit.chain_scenario import EARMARKS, NETWORK, VALIDATORS
from tests.support.audit.disputes import EXTRA, REPORTER, reseated, seats_in

from covey.audit.explain import explain
from covey.audit.record import AuditError
from covey.audit.replay import replay
from covey.protocol.types import Fault


def test_an_honest_second_committee_has_no_difference() -> None:
    audit = replay(reseated(), NETWORK)
    assert [str(one) for one in audit.differences] == []
    assert audit.unclaimed == []
    [row] = audit.rulings[1].rows
    assert (row.operator, row.seats, row.gain) == (VALIDATORS[0], seats_in(1, 0), 1), "flat pay"


CHANGES: list[tuple[str, int, str, Any, str]] = [
    ("ToppedUp", 0, "amount", lambda amount: amount - 1, "pool"),
    ("FaultReported", 0, "taken", lambda taken: taken + 1, "what the fault of"),
    ("FaultReported", 0, "operator", lambda _: VALIDATORS[1], "an act of the absent"),
    ("FaultReported", 0, "fault", lambda _: int(Fault.UNREVEALED), "never revealed"),
    ("FaultReported", 0, "reporter", lambda _: VALIDATORS[1], "who reported"),
    ("Slashed", 0, "fromActive", lambda amount: amount + 9, "took"),
    ("Slashed", 0, "reporterReward", lambda _: 1, "within a tenth"),
    ("Slashed", 0, "toTreasury", lambda amount: amount - 1, "went to the treasury"),
    ("RoundFailed", 0, "revealedSeats", lambda seats: seats - 1, "seats revealed in round 0"),
    ("TaskExtended", 0, "expiresAt", lambda at: at + 1, "end of the extended task"),
    ("SeedRequested", 1, "totalEarmarked", lambda _: sum(EARMARKS), "stake behind round 1"),
    ("ScoresCommitted", 1, "seats", lambda seats: seats + 1, "in round 1"),
    ("ScoresCommitted", 1, "operator", lambda _: VALIDATORS[1], "seats of"),
    ("RoundSettled", 0, "totals", lambda totals: {**totals, "gainSeats": 1}, "seats times gain"),
    ("ScoringRewardClaimed", 0, "gain", lambda gain: gain + 1, "gain of"),
    ("EarmarkFreed", 2, "amount", lambda amount: amount + 1, "that was freed"),
    ("EarmarkFreed", 1, "operator", lambda _: VALIDATORS[0], "that was freed"),
]


@pytest.mark.parametrize(("name", "which", "key", "change", "found"), CHANGES, ids=[f"{c[0]}.{c[2]}" for c in CHANGES])
def test_planted_difference_is_found(name: str, which: int, key: str, change: Any, found: str) -> None:
    events = reseated()
    event = [event for event in events if event.name == name][which]
    event.args = {**event.args, key: change(event.args[key])}
    lines = [str(one) for one in replay(events, NETWORK).differences]
    assert any(found in line for line in lines), lines


def test_stake_freed_before_its_fault_was_told_is_found() -> None:
    events = [event for event in reseated() if event.name not in ("FaultReported", "Slashed")]
    assert any("an unreported fault" in str(one) for one in replay(events, NETWORK).differences)


def test_a_second_committee_without_a_failed_first_is_found() -> None:
    events = [event for event in reseated() if event.name != "RoundFailed"]
    assert any("a failed first round" in str(one) for one in replay(events, NETWORK).differences)


def test_a_task_settled_on_a_row_without_a_seat_is_refused() -> None:
    events = reseated()
    fault = next(event for event in events if event.name == "FaultReported")
    fault.args = {**fault.args, "operator": VALIDATORS[0]}
    with pytest.raises(AuditError, match="no seat by the rules"):
        replay(events, NETWORK)


def test_the_explanation_tells_of_them() -> None:
    why = explain(reseated(), NETWORK, 1)
    assert (why.round, why.extra) == (1, EXTRA)
    [fault] = why.faults
    assert (fault.operator, fault.where, fault.fault, fault.reporter) == (VALIDATORS[2], "round 0", "absent", REPORTER)
    assert [row.expected_seats for row in why.rows] == [31.0], "all the stake that was left"
    until = [event for event in reseated() if event.name != "RoundSettled"]
    cut = next(i for i, event in enumerate(until) if event.name == "Reseated")
    assert explain(until[: cut + 1], NETWORK, 1).stage == "waits for the seed of a second committee"
