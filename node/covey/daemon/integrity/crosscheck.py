"""Compares a task's events with the contracts' own state.

Seats, rows and rounds are planned from events. An endpoint that omits or forges events could hide a seat or invent one.
The contracts' state in the same block reveals it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from covey.chain.contracts import Contracts
from covey.chain.deployment import Deployment
from covey.chain.rpc.client import Rpc
from covey.daemon.planning.duty import Duty, DutyKind, Identity
from covey.daemon.planning.plan import own_seats
from covey.daemon.state.task import Task
from covey.daemon.state.world import ChainState
from covey.protocol.types import Fault, Outcome, Round, RowStatus, TaskState

_STATE_FIELDS = ("outcome", "committed", "revealed", "total_earmarked", "sealed_open")
_ROUND_FIELDS = (
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
"""Fields of the contracts' structs that can be computed from events."""


@dataclass(frozen=True, slots=True)
class OnChainTaskState:
    """A task and one operator's part in it, as the contracts return them in one block."""

    state: TaskState
    round: Round
    status: RowStatus
    seats: int
    """0 before the seed."""
    entered: bool
    lane: int | None


@dataclass(frozen=True, slots=True)
class OnChainTotals:
    """The number of tasks and whether the operator has stake behind any, as the contracts return them."""

    tasks: int
    has_earmarks: bool


def read_task_state(rpc: Rpc, deployment: Deployment, task: int, operator: str) -> OnChainTaskState:
    """Read a task's state: four calls, five with a seed."""
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


def read_totals(rpc: Rpc, deployment: Deployment, operator: str) -> OnChainTotals:
    """Read the totals: two calls."""
    contracts = Contracts(rpc, deployment)
    return OnChainTotals(contracts.registry.task_count(), contracts.staking.pool_of(operator).earmarked > 0)


def task_discrepancies(task: Task, identity: Identity, on_chain: OnChainTaskState) -> Iterator[str]:
    """Differences between a task's events and the contracts."""
    entry = task.entries.get(identity.operator)
    no_round = Round(task.round_number, 0, bytes(32), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    for fields, chain_value, event_value in (
        (_STATE_FIELDS, on_chain.state, task.state()),
        (_ROUND_FIELDS, on_chain.round, task.round() or no_round),
    ):
        for name in fields:
            yield from _compare(name.replace("_", " "), getattr(chain_value, name), getattr(event_value, name))
    yield from _compare("own row", on_chain.status, _row_status(task, identity.operator))
    yield from _compare("own seats", on_chain.seats, own_seats(task, identity))
    yield from _compare("own entry", on_chain.entered, entry is not None)
    yield from _compare("own lane", on_chain.lane, None if entry is None else entry.lane)


def owed_duties(task: Task, on_chain: OnChainTaskState, now: int) -> Iterator[Duty]:
    """Duties of the operator at chain time `now` according to the contracts alone.

    Used while no endpoint delivers all events. Without the events the node cannot score, so it abstains; see
    `covey.daemon.duties.score`.
    """
    schedule, round_ = task.schedule, on_chain.round
    if on_chain.state.outcome != Outcome.RUNNING:
        return
    if on_chain.entered and on_chain.lane is None and schedule.enrol_end <= now < schedule.entry_reveal_end:
        yield Duty(schedule.entry_reveal_end, DutyKind.REVEAL_ENTRY, task.id)
    if on_chain.status == RowStatus.NONE and on_chain.seats > 0 and now < round_.score_commit_end:
        yield Duty(round_.score_commit_end, DutyKind.SCORE, task.id, round_.number)
    if on_chain.status == RowStatus.COMMITTED and round_.score_commit_end <= now < round_.score_reveal_end:
        yield Duty(round_.score_reveal_end, DutyKind.REVEAL_SCORES, task.id, round_.number)


def total_discrepancies(state: ChainState, identity: Identity, on_chain: OnChainTotals) -> Iterator[str]:
    """Differences over all tasks: a task that is hidden entirely, or stake that no event accounts for."""
    yield from _compare("number of tasks", on_chain.tasks, _highest_task(state))
    operator = identity.operator
    has_earmarks = any(
        (operator in task.enrolled and operator not in task.freed)
        or (task.appeal is not None and operator in task.appeal.enrolled and operator not in task.appeal.freed)
        for task in state.tasks.values()
    )
    if on_chain.has_earmarks and not has_earmarks:
        yield "own stake is behind a task, by events behind none"


def first_missing_task(state: ChainState) -> int | None:
    """The lowest task number without events although a later task has some. Numbers run from 1 without a gap."""
    known = len(state.tasks) + len(state.past)
    if known == _highest_task(state):
        return None
    return next(number for number in range(1, known + 2) if number not in state.tasks and number not in state.past)


def _highest_task(state: ChainState) -> int:
    return max((*state.tasks, *state.past), default=0)


def _row_status(task: Task, operator: str) -> RowStatus:
    """The status of an operator's row in the current round, as the contract would return it."""
    committee = task.committee
    if committee is None:
        return RowStatus.NONE
    if (fault := committee.faults.get(operator)) is not None:
        return RowStatus.ABSENT if fault == Fault.ABSENT else RowStatus.UNREVEALED
    if operator in committee.abstained:
        return RowStatus.ABSTAINED
    if operator not in committee.committed:
        return RowStatus.NONE
    return RowStatus.REVEALED if committee.has_revealed(operator) else RowStatus.COMMITTED


def _compare(name: str, on_chain: object, by_events: object) -> Iterator[str]:
    if on_chain != by_events:
        yield f"{name} {_format(on_chain)}, by events {_format(by_events)}"


def _format(value: object) -> str:
    if isinstance(value, bytes):
        return f"0x{value.hex()[:8]}…"
    if isinstance(value, RowStatus | Outcome):
        return value.name.lower()
    return str(value)
