"""The audit recomputes faults, a second committee, top-ups and released stake, and reports every altered figure."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.audit.chain_scenario import DOMAIN, EARMARKS, VALIDATORS
from tests.support.audit.disputes import EXTRA, REPORTER, reseated_task_events, seats_in

from covey.audit.explain import explain
from covey.audit.record import AuditError
from covey.audit.replay import replay
from covey.protocol.types import Fault


def test_correct_second_committee_has_no_difference() -> None:
    audit = replay(reseated_task_events(), DOMAIN)
    assert [str(difference) for difference in audit.differences] == []
    assert audit.unclaimed == []
    [row] = audit.rulings[1].rows
    assert (row.operator, row.seats, row.gain) == (VALIDATORS[0], seats_in(1, 0), 1), "flat pay"


CHANGES: list[tuple[str, int, str, Any, str]] = [
    ("ToppedUp", 0, "amount", lambda amount: amount - 1, "pool"),
    ("FaultReported", 0, "taken", lambda taken: taken + 1, "stake taken by the fault of"),
    ("FaultReported", 0, "operator", lambda _: VALIDATORS[1], "action of the absent"),
    ("FaultReported", 0, "fault", lambda _: int(Fault.UNREVEALED), "not revealed"),
    ("FaultReported", 0, "reporter", lambda _: VALIDATORS[1], "reporter of"),
    ("FaultReported", 0, "taken", lambda taken: taken + 1, "stake taken by the fault of"),
    ("Slashed", 0, "fromActive", lambda amount: amount + 9, "stake taken"),
    ("Slashed", 0, "reporterReward", lambda _: 10**20, "within a tenth"),
    ("Slashed", 1, "capped", lambda _: False, "cap on absences"),
    ("ToppedUp", 0, "amount", lambda _: 1, "within"),
    ("MissedReported", 0, "seats", lambda seats: seats + 1, "silent seats of"),
    ("MissedReported", 0, "operator", lambda _: VALIDATORS[0], "silent seats of"),
    ("MissedReported", 0, "failed", lambda _: True, "whether the task failed"),
    ("MissedReported", 1, "taken", lambda taken: taken - 1, "stake taken by the fault of"),
    ("Slashed", 0, "toTreasury", lambda amount: amount - 1, "treasury's share"),
    ("RoundFailed", 0, "revealedSeats", lambda seats: seats - 1, "seats revealed in round 0"),
    ("TaskExtended", 0, "expiresAt", lambda at: at + 1, "deadline of the extended task"),
    ("SeedRequested", 1, "totalEarmarked", lambda _: sum(EARMARKS), "stake behind round 1"),
    ("ScoresCommitted", 1, "seats", lambda seats: seats + 1, "in round 1"),
    ("ScoresCommitted", 1, "operator", lambda _: VALIDATORS[1], "seats of"),
    ("RoundSettled", 0, "totals", lambda totals: {**totals, "gainSeats": 1}, "seats times gain"),
    ("ScoringRewardClaimed", 0, "gain", lambda gain: gain + 1, "gain of"),
    ("EarmarkFreed", 2, "amount", lambda amount: amount + 1, "released stake of"),
    ("EarmarkFreed", 1, "operator", lambda _: VALIDATORS[0], "released stake of"),
]


@pytest.mark.parametrize(("name", "which", "key", "change", "found"), CHANGES, ids=[f"{c[0]}.{c[2]}" for c in CHANGES])
def test_altered_figure_is_reported(name: str, which: int, key: str, change: Any, found: str) -> None:
    events = reseated_task_events()
    event = [event for event in events if event.name == name][which]
    event.args = {**event.args, key: change(event.args[key])}
    lines = [str(difference) for difference in replay(events, DOMAIN).differences]
    assert any(found in line for line in lines), lines


def test_stake_released_before_its_fault_is_reported() -> None:
    events = [event for event in reseated_task_events() if event.name not in ("FaultReported", "Slashed")]
    assert any("unreported fault" in str(difference) for difference in replay(events, DOMAIN).differences)


def test_stake_released_before_its_silence_is_reported() -> None:
    reports = ("0xfb1", "0xfb2")
    events = [event for event in reseated_task_events() if event.tx_hash not in reports]
    lines = [str(difference) for difference in replay(events, DOMAIN).differences]
    assert sum("unreported silence" in line for line in lines) == 2, lines


def test_silence_reported_of_a_round_with_a_quorum_is_a_difference() -> None:
    events = reseated_task_events()
    for event in events:
        if event.name == "MissedReported":
            event.args = {**event.args, "round": 1}
    assert any("quorum missed in round 1" in str(difference) for difference in replay(events, DOMAIN).differences)


def test_second_committee_without_a_failed_first_is_reported() -> None:
    events = [event for event in reseated_task_events() if event.name != "RoundFailed"]
    assert any("missed or void first round" in str(difference) for difference in replay(events, DOMAIN).differences)


def test_task_settled_with_a_seatless_row_is_refused() -> None:
    events = reseated_task_events()
    fault = next(event for event in events if event.name == "FaultReported")
    fault.args = {**fault.args, "operator": VALIDATORS[0]}
    with pytest.raises(AuditError, match="no seat by the rules"):
        replay(events, DOMAIN)


def test_explanation_lists_faults_and_top_ups() -> None:
    explanation = explain(reseated_task_events(), DOMAIN, 1)
    assert (explanation.round, explanation.extra) == (1, EXTRA)
    silent = "silent, quorum missed"
    assert [(fault.operator, fault.where, fault.fault, fault.reporter) for fault in explanation.faults] == [
        (VALIDATORS[2], "round 0", "absent", REPORTER),
        (VALIDATORS[1], "round 0", silent, REPORTER),
        (VALIDATORS[2], "round 0", silent, REPORTER),
    ]
    assert [row.expected_seats for row in explanation.rows] == [31.0], "all remaining stake"
    events = [event for event in reseated_task_events() if event.name != "RoundSettled"]
    cut = next(i for i, event in enumerate(events) if event.name == "Reseated")
    assert (
        explain(events[: cut + 1], DOMAIN, 1).stage == "the quorum was missed; waits for the seed of a second committee"
    )
