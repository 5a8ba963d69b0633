"""Faults that anyone can prove now, from the local draw of seats and chain time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from covey.daemon.planning.duty import NO_DEADLINE, Duty, DutyKind, Identity
from covey.daemon.state.appeal import Appeal
from covey.daemon.state.committee import Committee
from covey.daemon.state.task import Task
from covey.protocol.appeals import appeal_seats
from covey.protocol.seats import seats
from covey.protocol.types import Fault, Outcome

_KINDS = {Fault.ABSENT: DutyKind.REPORT_ABSENT, Fault.UNREVEALED: DutyKind.REPORT_UNREVEALED}
_APPEAL_KINDS = {
    Fault.ABSENT: DutyKind.APPEAL_REPORT_ABSENT,
    Fault.UNREVEALED: DutyKind.APPEAL_REPORT_UNREVEALED,
}


def seats_in(task: Task, committee: Committee, identity: Identity, operator: str, appeal: Appeal | None = None) -> int:
    """An operator's seats in a round of the task, or of its appeal; 0 before the seed and without stake."""
    wanted, contract = task.params.target_seats, identity.scoring
    stake = task.stake_of(operator, committee.number)
    if appeal is not None:
        wanted, contract = appeal_seats(wanted), identity.appeal_committee
        stake = task.enrolled.get(operator, 0) + appeal.enrolled.get(operator, 0)
    if not committee.seeded or stake == 0:
        return 0
    return seats(
        identity.chain_id, contract, task.id, committee.number, committee.seed, operator, stake, committee.total, wanted
    )


def owes(task: Task, committee: Committee, identity: Identity, operator: str, appeal: Appeal | None = None) -> bool:
    """Whether the operator has an open duty in the round, or an unreported fault. Either one holds its stake."""
    if operator in committee.faults:
        return False
    if committee.owes_row(operator):
        return True
    return committee.is_silent(operator) and seats_in(task, committee, identity, operator, appeal) > 0


def fault_reports(task: Task, identity: Identity, now: int) -> Iterator[Duty]:
    """Faults in the task's rounds that can be reported at chain time `now`."""
    for committee in task.committees:
        yield from _reports(task, committee, identity, now, task.enrolled, _KINDS)


def appeal_fault_reports(task: Task, appeal: Appeal, identity: Identity, now: int) -> Iterator[Duty]:
    """Faults in the appeal's round that can be reported at chain time `now`."""
    if appeal.committee is not None:
        backers = dict.fromkeys((*task.enrolled, *appeal.enrolled))
        yield from _reports(task, appeal.committee, identity, now, backers, _APPEAL_KINDS, appeal)


def _reports(
    task: Task,
    committee: Committee,
    identity: Identity,
    now: int,
    backers: Iterable[str],
    kinds: dict[Fault, DutyKind],
    appeal: Appeal | None = None,
) -> Iterator[Duty]:
    """The operator's own faults are left to others while the task runs. Afterwards the node reports them itself, to
    free the rest of the stake."""
    if not committee.seeded or now < committee.commit_end:
        return
    for operator in backers:
        if operator == identity.operator and task.outcome == Outcome.RUNNING:
            continue
        if not owes(task, committee, identity, operator, appeal):
            continue
        fault = Fault.UNREVEALED if committee.owes_row(operator) else Fault.ABSENT
        if fault == Fault.ABSENT or now >= committee.reveal_end:
            yield Duty(NO_DEADLINE, kinds[fault], task.id, committee.number, account=operator)
