"""The audit reports no difference in a correct task, and every altered figure."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.audit.chain_scenario import DOMAIN, ENTRANTS, VALIDATORS, Event, paid_task_events

from covey.audit.record import AuditError
from covey.audit.replay import replay


def test_correct_task_has_no_difference() -> None:
    audit = replay(paid_task_events(), DOMAIN)
    assert audit.differences == []
    assert audit.unclaimed == []
    assert audit.checked > 40
    ruling = audit.rulings[1]
    assert [entry.median for entry in ruling.entries] == [9000, 12000, 1]
    assert ruling.entries[2].reward == 0, "an entry at the base earns nothing"
    assert ruling.rows[2].gain == 0, "a constant row gains nothing"
    assert sum(entry.reward for entry in ruling.entries) <= ruling.pools.trainers
    assert sum(row.reward for row in ruling.rows) <= ruling.pools.validators


CHANGES: list[tuple[str, str, Any, str]] = [
    ("EntryCommitted", "fee", lambda fee: fee - 1, "fee of the entry"),
    ("EntryCommitted", "sequence", lambda _: 7, "sequence"),
    ("FeePaid", "amount", lambda amount: amount + 1, "fees paid"),
    ("ValidatorEnrolled", "totalEarmarked", lambda total: total + 1, "earmarked stake"),
    ("EntryRevealed", "lane", lambda lane: lane + 1, "lane of the entry"),
    ("SeedRequested", "totalEarmarked", lambda total: total + 1, "stake behind round 0"),
    ("SeedFixed", "seed", lambda _: "0x" + "ff" * 32, "seats of"),
    ("ScoresCommitted", "seats", lambda seats: seats + 1, "seats of"),
    ("ScoresRevealed", "index", lambda index: index + 1, "order of the row"),
    ("ScoresRevealed", "words", lambda words: [words[0] ^ 1 << 244], "medians of page 0"),
    ("PageSettled", "root", lambda _: "0x" + "00" * 32, "root of page 0"),
    ("PageSettled", "weights", lambda weights: weights + 1, "weights of page 0"),
    ("PageSettled", "spread", lambda spread: spread + 1, "spread of page 0"),
    ("RoundSettled", "losses", lambda losses: [losses[0] + (1 << 64)], "loss of"),
    ("RoundSettled", "totals", lambda totals: {**totals, "gainSeats": 1}, "seats times gain"),
    ("TipPaid", "amount", lambda amount: amount + 1, "paid back to the creator"),
    ("EscrowClosed", "trainersPool", lambda pool: pool - 1, "trainers' pool"),
    ("EscrowClosed", "toTreasury", lambda amount: amount + 1, "paid to the treasury"),
    ("EntryRewardClaimed", "amount", lambda amount: amount + 1, "reward of the entry"),
    ("EntryRewardClaimed", "operator", lambda _: ENTRANTS[2], "claimant of lane"),
    ("EntryRewardClaimed", "lane", lambda _: 12, "first claim of lane 12"),
    ("ScoringRewardClaimed", "amount", lambda amount: amount + 1, "reward of the validator"),
    ("ScoringRewardClaimed", "gain", lambda gain: gain + 1, "gain of"),
    ("RewardAdded", "amount", lambda amount: amount - 1, "reward added to the pool"),
]


@pytest.mark.parametrize(("name", "key", "change", "found"), CHANGES, ids=[f"{c[0]}.{c[1]}" for c in CHANGES])
def test_altered_figure_is_reported(name: str, key: str, change: Any, found: str) -> None:
    events = paid_task_events()
    event = next(event for event in events if event.name == name)
    event.args = {**event.args, key: change(event.args[key])}
    lines = [str(difference) for difference in replay(events, DOMAIN).differences]
    assert any(found in line for line in lines), lines


def test_second_claim_is_reported() -> None:
    events = paid_task_events()
    events.append(next(event for event in events if event.name == "EntryRewardClaimed"))
    assert any("first claim" in str(difference) for difference in replay(events, DOMAIN).differences)


def test_validator_with_an_entry_is_reported() -> None:
    events = paid_task_events()
    for event in events:
        if event.name == "ValidatorEnrolled" and event.args["operator"] == VALIDATORS[0]:
            event.args = {**event.args, "operator": ENTRANTS[0]}
    assert any("entry of the validator" in str(difference) for difference in replay(events, DOMAIN).differences)


def test_unclaimed_reward_is_listed_and_no_difference() -> None:
    events = [event for event in paid_task_events() if event.name != "ScoringRewardClaimed"]
    audit = replay(events, DOMAIN)
    assert audit.differences == []
    assert len(audit.unclaimed) == 2, "the lazy validator has nothing to claim"


@pytest.mark.parametrize(
    ("changes", "back", "lost"),
    [
        ({}, 10**21 + 10**19, 0),
        ({"evaluation": 1}, 5 * 10**20, 5 * 10**20 + 10**19),
    ],
    ids=["no-quorum", "set-not-opened"],
)
def test_failed_task_splits_the_bounty_by_its_cause(changes: dict[str, int], back: int, lost: int) -> None:
    events = [
        event
        for event in paid_task_events()
        if event.contract in ("TaskRegistry", "Rewards") and "Claimed" not in event.name
    ]
    events = [event for event in events if event.name not in ("TaskEnded", "EscrowClosed", "TipPaid")]
    created = next(event for event in events if event.name == "TaskCreated")
    created.args = {**created.args, "params": {**created.args["params"], **changes}}
    closed = {"trainersPool": 0, "validatorsPool": 0, "toCreator": back, "toTreasury": lost}
    events += [
        Event("TaskRegistry", "TaskEnded", {"taskId": 1, "outcome": 3, "reason": "0x" + "00" * 32}),
        Event("Rewards", "EscrowClosed", {"taskId": 1, **closed}),
    ]
    assert replay(events, DOMAIN).differences == []
    events[-1].args["toTreasury"] += 1
    assert len(replay(events, DOMAIN).differences) == 1


def test_events_without_a_creation_are_refused() -> None:
    with pytest.raises(AuditError, match="no creation"):
        replay([event for event in paid_task_events() if event.name != "TaskCreated"], DOMAIN)


def test_only_requested_tasks_are_audited() -> None:
    assert replay(paid_task_events(), DOMAIN, tasks=[2]).checked == 0
