"""Faults that anyone can prove now, from the local draw of seats and chain time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from covey.daemon.planning.duty import NO_DEADLINE, Duty, DutyKind, Identity
from covey.daemon.state.appeal import Appeal
from covey.daemon.state.committee import Committee
from covey.daemon.state.task import Task
from covey.protocol.appeals import appeal_seats, is_overturned, juror_stands_within
from covey.protocol.seats import seats
from covey.protocol.settlement import quorum
from covey.protocol.types import AppealState, Fault, Outcome

_KINDS = {Fault.ABSENT: DutyKind.REPORT_ABSENT, Fault.UNREVEALED: DutyKind.REPORT_UNREVEALED}
_MISSABLE = (Outcome.PAID, Outcome.FAILED)
"""How a task with a missed round can end."""
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
        stake = appeal.stakes.get(operator, 0)
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


def silent_seats(task: Task, committee: Committee, identity: Identity, operator: str, now: int) -> int:
    """Seats of an operator without a revealed row in a missed round for which it can be reported, else 0.

    What silence costs depends on how the task ended, so a round of a running task has none yet.
    """
    if task.outcome not in _MISSABLE or not committee.is_missed(task.params.target_seats, now):
        return 0
    return 0 if operator in committee.missed_reports else _unrevealed_seats(task, committee, identity, operator)


def _unrevealed_seats(
    task: Task, committee: Committee, identity: Identity, operator: str, appeal: Appeal | None = None
) -> int:
    """Seats of an operator in a round whose reveals are over, 0 if it revealed its row."""
    if committee.has_revealed(operator):
        return 0
    if operator in committee.committed:
        return committee.committed[operator][0]
    return committee.abstained.get(operator, 0) or seats_in(task, committee, identity, operator, appeal)


def missed_reports(task: Task, identity: Identity, now: int) -> Iterator[Duty]:
    """Silent seats in missed rounds of the ended task. Each costs more than the fault of the row alone.

    The operator's own are reported too: until then its stake is held.
    """
    for committee in task.committees:
        for operator in task.enrolled:
            if silent_seats(task, committee, identity, operator, now) > 0:
                yield Duty(NO_DEADLINE, DutyKind.REPORT_MISSED, task.id, committee.number, account=operator)


def fault_reports(task: Task, identity: Identity, now: int) -> Iterator[Duty]:
    """Faults in the task's rounds that can be reported at chain time `now`."""
    for committee in task.committees:
        yield from _reports(task, committee, identity, now, task.enrolled, _KINDS)


def appeal_fault_reports(task: Task, appeal: Appeal, identity: Identity, now: int) -> Iterator[Duty]:
    """Faults in the appeal's round that can be reported at chain time `now`."""
    if appeal.committee is None:
        return
    yield from _reports(task, appeal.committee, identity, now, appeal.stakes, _APPEAL_KINDS, appeal)
    for operator in appeal.stakes:
        if silent_in_appeal(task, appeal, identity, operator) > 0:
            yield Duty(NO_DEADLINE, DutyKind.REPORT_SILENT, task.id, account=operator)
    if appeal.state == AppealState.SETTLED:
        yield from _overturned_jurors(task, appeal, identity)


def silent_in_appeal(task: Task, appeal: Appeal, identity: Identity, operator: str) -> int:
    """Seats of an operator without a row in an appeal that missed its quorum, for which it is not reported yet."""
    committee = appeal.committee
    if appeal.state != AppealState.FAILED or committee is None or operator in appeal.reported_jurors:
        return 0
    # The deadline of an appeal lies behind its reveals, so a failed one has no row to come.
    wanted = appeal_seats(task.params.target_seats)
    if not committee.seeded or quorum(committee.revealed_seats, committee.committed_seats, wanted):
        return 0
    return _unrevealed_seats(task, committee, identity, operator, appeal)


def _overturned_jurors(task: Task, appeal: Appeal, identity: Identity) -> Iterator[Duty]:
    """Rows of the appeal that are far from its medians. The operator's own row is left to others."""
    committee, beyond = appeal.drawn_committee, juror_stands_within(task.params.h)
    for row in committee.revealed:
        known = row.operator in (identity.operator, *appeal.reported_jurors, *appeal.freed)
        if not known and any(is_overturned(*pair, beyond) for pair in zip(row.words, appeal.found, strict=True)):
            yield Duty(NO_DEADLINE, DutyKind.REPORT_JUROR, task.id, account=row.operator)


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
