"""Which faults anyone can prove now, by our own draw of the seats and the chain's time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from covey.daemon.planning.duty import NO_DEADLINE, Duty, DutyKind, Identity
from covey.daemon.state.world import Appeal, Committee, Task
from covey.protocol.appeals import appeal_seats
from covey.protocol.seats import seats
from covey.protocol.types import Fault, Outcome

_KINDS = {Fault.ABSENT: DutyKind.REPORT_ABSENT, Fault.UNREVEALED: DutyKind.REPORT_UNREVEALED}
_APPEAL_KINDS = {
    Fault.ABSENT: DutyKind.APPEAL_REPORT_ABSENT,
    Fault.UNREVEALED: DutyKind.APPEAL_REPORT_UNREVEALED,
}


def seats_in(task: Task, c: Committee, me: Identity, operator: str, appeal: Appeal | None = None) -> int:
    """Seats of an operator in a round of the task, or of its appeal; 0 before the seed and without stake behind it."""
    wanted, contract = task.params.target_seats, me.scoring
    stake = task.stake_of(operator, c.number)
    if appeal is not None:
        wanted, contract = appeal_seats(wanted), me.appeal_committee
        stake = task.enrolled.get(operator, 0) + appeal.enrolled.get(operator, 0)
    if not c.seeded or stake == 0:
        return 0
    return seats(me.chain_id, contract, task.id, c.number, c.seed, operator, stake, c.total, wanted)


def owes(task: Task, c: Committee, me: Identity, operator: str, appeal: Appeal | None = None) -> bool:
    """Whether the operator has a duty in that round, or left one undone, that is not reported yet: its stake stays."""
    if operator in c.faults:
        return False
    return c.owes_row(operator) or (c.is_silent(operator) and seats_in(task, c, me, operator, appeal) > 0)


def reports(task: Task, me: Identity, now: int) -> Iterator[Duty]:
    """Faults of the task's committees that can be reported now."""
    for c in task.committees:
        yield from _reports(task, c, me, now, task.enrolled, _KINDS)


def appeal_reports(task: Task, appeal: Appeal, me: Identity, now: int) -> Iterator[Duty]:
    """The same of the appeal's committee."""
    if appeal.committee is not None:
        backers = dict.fromkeys((*task.enrolled, *appeal.enrolled))
        yield from _reports(task, appeal.committee, me, now, backers, _APPEAL_KINDS, appeal)


def _reports(
    task: Task,
    c: Committee,
    me: Identity,
    now: int,
    backers: Iterable[str],
    kinds: dict[Fault, DutyKind],
    appeal: Appeal | None = None,
) -> Iterator[Duty]:
    """Own faults are left to others while the task runs; after it they are told, to free the rest of the stake."""
    if not c.seeded or now < c.commit_end:
        return
    for operator in backers:
        if operator == me.operator and task.outcome == Outcome.RUNNING:
            continue
        if not owes(task, c, me, operator, appeal):
            continue
        fault = Fault.UNREVEALED if c.owes_row(operator) else Fault.ABSENT
        if fault == Fault.ABSENT or now >= c.reveal_end:
            yield Duty(NO_DEADLINE, kinds[fault], task.id, c.number, account=operator)
