"""Ended tasks leave memory, but for what a look back needs; what nobody needs of them any more is not planned."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

from tests.support.daemon.scenario import CREATOR, EXPIRES, ME, SIGNER, START, Scenario, Told, address, me

from covey.chain.events.decoder import Event
from covey.chain.events.follower import Checkpoint
from covey.daemon.planning.plan import plan
from covey.daemon.state import projection as chainlog
from covey.daemon.state.ledger import APPEALS, KINDS, Ledger, own
from covey.daemon.state.projection import ChainLog
from covey.daemon.state.pruning import LOOK_BACK, has_part, prune
from covey.daemon.state.world import ChainState
from covey.daemon.storage.journal import Journal
from covey.protocol.types import Outcome

OTHER = address(7)
keep_mine = partial(has_part, operator=ME)


def ended(number: int, world: ChainState, entrants: int, operator: str = OTHER) -> Scenario:
    story = Scenario(task_id=number, world=world)
    operators = [operator, *(address(1_000 + one) for one in range(entrants - 1))]
    for one in operators[:entrants]:
        story.enter(one)
    story.enrol(address(8))
    for one in operators[:entrants]:
        story.reveal_entry(one)
    return story.end(Outcome.FAILED)


def test_an_ended_task_of_others_keeps_its_first_entries_only() -> None:
    world = ChainState()
    ended(1, world, LOOK_BACK + 6)
    assert prune(world, keep_mine) == [1]
    assert world.tasks == {}
    [kept] = world.past.values()
    assert [entry.lane for entry in kept.lanes] == list(range(LOOK_BACK))
    assert (kept.enrolled, kept.committee) == ({}, None)
    assert plan(world, me(), EXPIRES, {}) == []


def test_running_tasks_and_those_that_are_held_stay() -> None:
    world = ChainState()
    Scenario(task_id=1, world=world).enter(OTHER)
    ended(2, world, 1, operator=ME)
    assert prune(world, keep_mine) == []
    assert set(world.tasks) == {1, 2}
    assert prune(world, lambda task: False) == [2]
    assert set(world.tasks) == {1}


def test_events_about_a_task_that_is_gone_change_nothing() -> None:
    world = ChainState()
    story = ended(1, world, 2)
    prune(world, keep_mine)
    before = repr(world.past)
    story.tell("Rewards", "FeeRefunded", operator=OTHER, to=OTHER, amount=5)
    story.tell("TaskRegistry", "EarmarkFreed", operator=address(8), amount=10)
    assert repr(world.past) == before
    ahead = world.branch([Told("Rewards", "FeeRefunded", {"taskId": 1, "operator": OTHER, "amount": 5})])
    assert ahead.past is world.past


def test_what_no_look_back_can_reach_is_stripped_too() -> None:
    """Of tasks with one and the same spec, only the newest `LOOK_BACK` entries can ever be compared with."""
    world = ChainState()
    for number in range(1, 5):
        ended(number, world, LOOK_BACK // 2)
    prune(world, keep_mine)
    assert {number: len(task.entries) for number, task in world.past.items()} == {
        1: 0, 2: 0, 3: LOOK_BACK // 2, 4: LOOK_BACK // 2,
    }  # fmt: skip


def test_an_old_running_task_may_still_look_back_past_newer_ones() -> None:
    world = ChainState()
    ended(1, world, LOOK_BACK)
    early = Scenario(task_id=2, world=world)
    early.task.schedule = early.task.schedule.__class__(START, START + 300, 0, 0, 0, EXPIRES)
    assert world.tasks[1].schedule.entry_reveal_end <= START + 300
    ended(3, world, LOOK_BACK)
    world.tasks[3].schedule = early.task.schedule.__class__(START + 400, START + 500, 0, START + 600, 0, EXPIRES)
    prune(world, keep_mine)
    assert len(world.past[1].entries) == LOOK_BACK, "task 3 was revealed after task 2's commits had closed"
    early.end(Outcome.REFUNDED)
    prune(world, keep_mine)
    assert len(world.past[1].entries) == 0


class Events:
    """As much of a journal as a ChainLog reads."""

    def __init__(self, told: Sequence[Any]) -> None:
        self.told = [Event(e.name, e.contract, e.args, n, "0x", "0x", 0) for n, e in enumerate(told)]

    def checkpoints(self) -> Sequence[Checkpoint]:
        return []

    def events(self, after_block: int = -1) -> Sequence[Event]:
        return self.told

    def commit(self, events: Sequence[Event], checkpoint: Checkpoint, headers: Sequence[Checkpoint] = ()) -> None:
        self.told += events

    def rewind(self, block: int) -> None:
        self.told = [event for event in self.told if event.block <= block]


def test_a_node_that_reads_all_again_prunes_on_the_way(monkeypatch: Any) -> None:
    monkeypatch.setattr(chainlog, "_PRUNE_EVERY", 10)
    told: list[Told] = []
    for number in range(1, 9):
        told += ended(number, ChainState(), 3).events
    journal = Events(told)
    log = ChainLog(cast(Journal, journal), ME)
    assert len(log.world.tasks) <= 2
    assert len(log.world.past) + len(log.world.tasks) == 8


def test_the_ledger_sums_what_concerns_the_operator_once_also_after_a_rewind() -> None:
    taken = {"fromActive": 40, "fromUnbonding": 2}
    events = [
        ("Rewards", "EntryRewardClaimed", {"taskId": 1, "operator": ME, "lane": 0, "amount": 700}),
        ("Rewards", "EntryRewardClaimed", {"taskId": 1, "operator": OTHER, "lane": 1, "amount": 9}),
        ("Rewards", "ScoringRewardClaimed", {"taskId": 1, "operator": ME, "amount": 30}),
        ("Rewards", "TipPaid", {"taskId": 1, "to": SIGNER, "amount": 2}),
        ("Rewards", "TipPaid", {"taskId": 1, "to": CREATOR, "amount": 2}),
        ("Rewards", "FeePaid", {"taskId": 1, "operator": ME, "payer": SIGNER, "amount": 5}),
        ("Rewards", "FeeRefunded", {"taskId": 1, "operator": ME, "to": SIGNER, "amount": 4}),
        ("Staking", "Slashed", {"operator": ME, "reporter": CREATOR, "reporterReward": 4, **taken}),
        ("Staking", "Slashed", {"operator": OTHER, "reporter": CREATOR, "reporterReward": 4, **taken}),
        ("Staking", "Slashed", {"operator": OTHER, "reporter": SIGNER, "reporterReward": 3, **taken}),
        ("Staking", "OwedPaid", {"account": SIGNER, "amount": 3}),
    ]
    told = [Told(*one) for one in events]
    begun = Scenario(task_id=1).events
    ledger = Ledger(ME, (SIGNER,))
    log = ChainLog(cast(Journal, Events([*begun, *told[:3]])), ME, ledger)
    rest = [Event(e.name, e.contract, e.args, 50, "0x", "0x", n) for n, e in enumerate(told[3:])]
    log.commit(rest, Checkpoint(50, "0x"))
    wanted = dict.fromkeys(KINDS, 0) | {
        "entries": 700, "scoring": 30, "tips": 2, "reports": 3, "fees": 5, "fees_back": 4, "slashed": 42,
    }  # fmt: skip
    assert ledger.sums == wanted
    log.rewind(49)
    assert ledger.sums == dict.fromkeys(KINDS, 0) | {"entries": 700, "scoring": 30}
    log.commit(rest, Checkpoint(50, "0x"))
    assert ledger.sums == wanted


def test_pay_for_settling_an_appeal_counts() -> None:
    args = {"taskId": 1, "operator": ME, "seats": 3, "amount": 11}
    assert list(own(Told("Appeals", "AppealRewardClaimed", args), ME)) == [(APPEALS, 11)]
    assert list(own(Told("Appeals", "AppealRewardClaimed", {**args, "operator": OTHER}), ME)) == []


def test_a_node_that_reports_its_own_operator_gets_its_share_of_what_it_loses() -> None:
    args = {"operator": ME, "reporter": SIGNER, "reporterReward": 4, "fromActive": 40, "fromUnbonding": 2}
    ledger = Ledger(ME, (SIGNER,))
    ledger.apply(Told("Staking", "Slashed", args))
    assert (ledger.sums["slashed"], ledger.sums["reports"], ledger.net) == (42, 4, -38)
