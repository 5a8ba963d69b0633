"""Ended tasks are dropped from memory except for the look-back's entries, and the ledger sums the operator's money."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import pytest
from tests.support.daemon.scenario import (
    CREATOR,
    EXPIRES,
    OPERATOR,
    SIGNER,
    START,
    FakeEvent,
    Scenario,
    address,
    identity,
)

from covey.chain.events.decoder import Event
from covey.chain.events.follower import Checkpoint
from covey.daemon.planning.plan import plan
from covey.daemon.state import projection
from covey.daemon.state.folds import branch
from covey.daemon.state.ledger import APPEALS, KINDS, Ledger, movements
from covey.daemon.state.projection import ChainLog
from covey.daemon.state.pruning import LOOK_BACK, has_part, prune
from covey.daemon.state.world import ChainState
from covey.daemon.storage.journal import Journal
from covey.protocol.types import Outcome

OTHER = address(7)
has_own_part = partial(has_part, operator=OPERATOR)


def ended(number: int, state: ChainState, entrants: int, operator: str = OTHER) -> Scenario:
    """A task that has failed; `operator` is its first entrant."""
    scenario = Scenario(task_id=number, state=state)
    operators = [operator, *(address(1_000 + index) for index in range(entrants - 1))][:entrants]
    for entrant in operators:
        scenario.enter(entrant)
    scenario.enrol(address(8))
    for entrant in operators:
        scenario.reveal_entry(entrant)
    return scenario.end(Outcome.FAILED)


def test_an_ended_task_without_own_part_keeps_only_its_first_entries() -> None:
    state = ChainState()
    ended(1, state, LOOK_BACK + 6)
    assert prune(state, has_own_part) == [1]
    assert state.tasks == {}
    [kept] = state.past.values()
    assert [entry.lane for entry in kept.lanes] == list(range(LOOK_BACK))
    assert (kept.enrolled, kept.committee) == ({}, None)
    assert plan(state, identity(), EXPIRES, {}) == []


def test_running_and_kept_tasks_stay() -> None:
    state = ChainState()
    Scenario(task_id=1, state=state).enter(OTHER)
    ended(2, state, 1, operator=OPERATOR)
    assert prune(state, has_own_part) == []
    assert set(state.tasks) == {1, 2}
    assert prune(state, lambda task: False) == [2]
    assert set(state.tasks) == {1}


def test_events_of_a_pruned_task_are_ignored() -> None:
    state = ChainState()
    scenario = ended(1, state, 2)
    prune(state, has_own_part)
    before = repr(state.past)
    scenario.emit("Rewards", "FeeRefunded", operator=OTHER, to=OTHER, amount=5)
    scenario.emit("TaskRegistry", "EarmarkFreed", operator=address(8), amount=10)
    assert repr(state.past) == before
    refund = FakeEvent("Rewards", "FeeRefunded", {"taskId": 1, "operator": OTHER, "amount": 5})
    assert branch(state, [refund]).past is state.past


def test_entries_that_no_look_back_can_reach_are_dropped() -> None:
    """Among tasks with the same spec, only the newest `LOOK_BACK` entries can be compared with."""
    state = ChainState()
    for number in range(1, 5):
        ended(number, state, LOOK_BACK // 2)
    prune(state, has_own_part)
    assert {number: len(task.entries) for number, task in state.past.items()} == {
        1: 0, 2: 0, 3: LOOK_BACK // 2, 4: LOOK_BACK // 2,
    }  # fmt: skip


def test_an_old_running_task_can_look_back_past_newer_tasks() -> None:
    state = ChainState()
    ended(1, state, LOOK_BACK)
    early = Scenario(task_id=2, state=state)
    early.task.schedule = early.task.schedule.__class__(START, START + 300, 0, 0, 0, EXPIRES)
    assert state.tasks[1].schedule.entry_reveal_end <= START + 300
    ended(3, state, LOOK_BACK)
    state.tasks[3].schedule = early.task.schedule.__class__(START + 400, START + 500, 0, START + 600, 0, EXPIRES)
    prune(state, has_own_part)
    assert len(state.past[1].entries) == LOOK_BACK, "task 3 was revealed after task 2's commits had closed"
    early.end(Outcome.REFUNDED)
    prune(state, has_own_part)
    assert len(state.past[1].entries) == 0


class EventJournal:
    """The part of a journal that a ChainLog reads. Event n is in block n."""

    def __init__(self, events: Sequence[FakeEvent]) -> None:
        self.stored = [Event(e.name, e.contract, e.args, n, "0x", "0x", 0) for n, e in enumerate(events)]

    def checkpoints(self) -> Sequence[Checkpoint]:
        return []

    def events(self, after_block: int = -1) -> Sequence[Event]:
        return self.stored

    def commit(self, events: Sequence[Event], checkpoint: Checkpoint, headers: Sequence[Checkpoint] = ()) -> None:
        self.stored += events

    def rewind(self, block: int) -> None:
        self.stored = [event for event in self.stored if event.block <= block]


def test_a_replay_prunes_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "_PRUNE_EVERY", 10)
    events: list[FakeEvent] = []
    for number in range(1, 9):
        events += ended(number, ChainState(), 3).events
    state = ChainLog(cast(Journal, EventJournal(events)), OPERATOR).state
    assert len(state.tasks) <= 2
    assert len(state.past) + len(state.tasks) == 8


def test_the_ledger_counts_each_movement_once_also_after_a_rewind() -> None:
    taken = {"fromActive": 40, "fromUnbonding": 2}
    moved: list[tuple[str, str, dict[str, Any]]] = [
        ("Rewards", "EntryRewardClaimed", {"taskId": 1, "operator": OPERATOR, "lane": 0, "amount": 700}),
        ("Rewards", "EntryRewardClaimed", {"taskId": 1, "operator": OTHER, "lane": 1, "amount": 9}),
        ("Rewards", "ScoringRewardClaimed", {"taskId": 1, "operator": OPERATOR, "amount": 30}),
        ("Rewards", "TipPaid", {"taskId": 1, "to": SIGNER, "amount": 2}),
        ("Rewards", "TipPaid", {"taskId": 1, "to": CREATOR, "amount": 2}),
        ("Rewards", "FeePaid", {"taskId": 1, "operator": OPERATOR, "payer": SIGNER, "amount": 5}),
        ("Rewards", "FeeRefunded", {"taskId": 1, "operator": OPERATOR, "to": SIGNER, "amount": 4}),
        ("Staking", "Slashed", {"operator": OPERATOR, "reporter": CREATOR, "reporterReward": 4, **taken}),
        ("Staking", "Slashed", {"operator": OTHER, "reporter": CREATOR, "reporterReward": 4, **taken}),
        ("Staking", "Slashed", {"operator": OTHER, "reporter": SIGNER, "reporterReward": 3, **taken}),
        ("Staking", "OwedPaid", {"account": SIGNER, "amount": 3}),
    ]
    events = [FakeEvent(*event) for event in moved]
    created = Scenario(task_id=1).events
    ledger = Ledger(OPERATOR, (SIGNER,))
    chain_log = ChainLog(cast(Journal, EventJournal([*created, *events[:3]])), OPERATOR, ledger)
    rest = [Event(e.name, e.contract, e.args, 50, "0x", "0x", n) for n, e in enumerate(events[3:])]
    chain_log.commit(rest, Checkpoint(50, "0x"))
    expected = dict.fromkeys(KINDS, 0) | {
        "entries": 700, "scoring": 30, "tips": 2, "reports": 3, "fees": 5, "fees_back": 4, "slashed": 42,
    }  # fmt: skip
    assert ledger.sums == expected
    chain_log.rewind(49)
    assert ledger.sums == dict.fromkeys(KINDS, 0) | {"entries": 700, "scoring": 30}
    chain_log.commit(rest, Checkpoint(50, "0x"))
    assert ledger.sums == expected


def test_an_appeal_reward_counts() -> None:
    args = {"taskId": 1, "operator": OPERATOR, "seats": 3, "amount": 11}
    assert list(movements(FakeEvent("Appeals", "AppealRewardClaimed", args), OPERATOR)) == [(APPEALS, 11)]
    assert list(movements(FakeEvent("Appeals", "AppealRewardClaimed", {**args, "operator": OTHER}), OPERATOR)) == []


def test_a_self_report_counts_as_slash_and_as_report() -> None:
    args = {"operator": OPERATOR, "reporter": SIGNER, "reporterReward": 4, "fromActive": 40, "fromUnbonding": 2}
    ledger = Ledger(OPERATOR, (SIGNER,))
    ledger.apply(FakeEvent("Staking", "Slashed", args))
    assert (ledger.sums["slashed"], ledger.sums["reports"], ledger.net) == (42, 4, -38)
