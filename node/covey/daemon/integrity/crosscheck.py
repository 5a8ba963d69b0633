"""Whether events tell the same of a task as the contracts themselves do.

Seats, rows and rounds are planned from events. An endpoint that leaves some out, or invents some, would hide a seat, or
make up one; what the contracts say of the same block shows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from covey.chain.contracts import Contracts
from covey.chain.deployment import Deployment
from covey.chain.rpc.client import Rpc
from covey.daemon.planning.duty import Duty, DutyKind, Identity
from covey.daemon.planning.plan import my_seats
from covey.daemon.state.world import ChainState, Task
from covey.protocol.types import Fault, Outcome, Round, RowStatus, TaskState

_STATE = ("outcome", "committed", "revealed", "total_earmarked", "sealed_open")
_ROUND = (
    "number",
    "target",
    "seed",
    "score_commit_end",
    "score_reveal_end",
    "committed_rows",
    "committed_seats",
    "revealed_rows",
    "revealed_seats",
    "settled_pages",
)
"""Fields of the contracts' structs that events tell in full."""


@dataclass(frozen=True, slots=True)
class OnChainTaskState:
    """What the contracts say of a task and of one operator's part in it, all as of one block."""

    state: TaskState
    round: Round
    status: RowStatus
    seats: int
    """0 before the seed."""
    entered: bool
    lane: int | None


@dataclass(frozen=True, slots=True)
class OnChainTotals:
    """What the contracts say of all tasks."""

    tasks: int
    earmarked: bool
    """Whether any stake of the operator is behind a task."""


def standing(rpc: Rpc, deployment: Deployment, task: int, operator: str) -> OnChainTaskState:
    """Ask for it: four calls, five where there is a seed."""
    contracts = Contracts(rpc, deployment)
    registry, scoring = contracts.registry, contracts.scoring
    round_ = scoring.round_of(task)
    entry = registry.entry_of(task, operator)
    return OnChainTaskState(
        registry.state_of(task),
        round_,
        scoring.row_of(task, operator).status,
        scoring.seats_at(task, round_.number, operator) if round_.seeded else 0,
        entry.committed,
        entry.lane if entry.revealed else None,
    )


def share(rpc: Rpc, deployment: Deployment, operator: str) -> OnChainTotals:
    """Ask for it: two calls."""
    contracts = Contracts(rpc, deployment)
    return OnChainTotals(contracts.registry.task_count(), contracts.staking.pool_of(operator).earmarked > 0)


def differences(task: Task, me: Identity, told: OnChainTaskState) -> Iterator[str]:
    """Where the events of a task say something else than the contracts do; nothing where they agree."""
    c, entry = task.committee, task.entries.get(me.operator)
    blank = Round(task.round_number, 0, bytes(32), *[0] * 11)
    for fields, said, events in (
        (_STATE, told.state, task.state()),
        (_ROUND, told.round, task.round() or blank),
    ):
        for name in fields:
            yield from _differ(name.replace("_", " "), getattr(said, name), getattr(events, name))
    yield from _differ("own row", told.status, _status(task, me.operator))
    yield from _differ("own seats", told.seats, 0 if c is None else my_seats(task, me))
    yield from _differ("own entry", told.entered, entry is not None)
    yield from _differ("own lane", told.lane, None if entry is None else entry.lane)


def owed(task: Task, told: OnChainTaskState, now: int) -> Iterator[Duty]:
    """What the contracts say is due of the operator at chain time `now`, whatever events say: what to do where no
    endpoint gives all events. A row can only be abstained from then, see `covey.daemon.duties.score`."""
    schedule, round_ = task.schedule, told.round
    if told.state.outcome != Outcome.RUNNING:
        return
    if told.entered and told.lane is None and schedule.enrol_end <= now < schedule.entry_reveal_end:
        yield Duty(schedule.entry_reveal_end, DutyKind.REVEAL_ENTRY, task.id)
    if told.status == RowStatus.NONE and told.seats > 0 and now < round_.score_commit_end:
        yield Duty(round_.score_commit_end, DutyKind.SCORE, task.id, round_.number)
    if told.status == RowStatus.COMMITTED and round_.score_commit_end <= now < round_.score_reveal_end:
        yield Duty(round_.score_reveal_end, DutyKind.REVEAL_SCORES, task.id, round_.number)


def differences_in_all(world: ChainState, me: Identity, told: OnChainTotals) -> Iterator[str]:
    """The same of all tasks at once: one that is hidden as a whole, and stake that no event tells of."""
    yield from _differ("number of tasks", told.tasks, max((*world.tasks, *world.past), default=0))
    backed = any(
        (me.operator in task.enrolled and me.operator not in task.freed)
        or (task.appeal is not None and me.operator in task.appeal.enrolled and me.operator not in task.appeal.freed)
        for task in world.tasks.values()
    )
    if told.earmarked and not backed:
        yield "own stake is behind a task, by events behind none"


def gap(world: ChainState) -> int | None:
    """The lowest task that was never told of although a later one was: they are numbered without a gap, from 1."""
    known = len(world.tasks) + len(world.past)
    if known == max((*world.tasks, *world.past), default=0):
        return None
    return next(number for number in range(1, known + 2) if number not in world.tasks and number not in world.past)


def _status(task: Task, operator: str) -> RowStatus:
    """An operator's row of the current round, as the contract would tell it."""
    c = task.committee
    if c is None:
        return RowStatus.NONE
    if (fault := c.faults.get(operator)) is not None:
        return RowStatus.ABSENT if fault == Fault.ABSENT else RowStatus.UNREVEALED
    if operator in c.abstained:
        return RowStatus.ABSTAINED
    if operator not in c.committed:
        return RowStatus.NONE
    return RowStatus.REVEALED if c.has_revealed(operator) else RowStatus.COMMITTED


def _differ(name: str, said: object, events: object) -> Iterator[str]:
    if said != events:
        yield f"{name} {_shown(said)}, by events {_shown(events)}"


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        return f"0x{value.hex()[:8]}…"
    if isinstance(value, RowStatus | Outcome):
        return value.name.lower()
    return str(value)
