"""Reports faults. The first reporter is paid a share of the slash.

A wrong report costs its sender money, so one endpoint is not enough: a quorum must show, at the head, the seats of the
local draw and a duty that is still undone.
"""

from __future__ import annotations

from covey.chain.contracts import Call, Committee, Faults
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.quorum import quorum_read
from covey.daemon.context import Context
from covey.daemon.duties.outcomes import Step, Waiting
from covey.daemon.duties.transactions import send, transaction_progress
from covey.daemon.planning.duty import Duty
from covey.daemon.planning.faults import seats_in, silent_in_appeal, silent_seats
from covey.daemon.state.events import MissingState
from covey.daemon.state.task import Task
from covey.protocol.types import RowStatus


def absent(ctx: Context, task: Task, duty: Duty) -> Step:
    scoring = ctx.contracts.scoring
    call = scoring.report_absent(task.id, duty.round, duty.account)
    return _report(ctx, task, duty, scoring, call, RowStatus.NONE)


def unrevealed(ctx: Context, task: Task, duty: Duty) -> Step:
    scoring = ctx.contracts.scoring
    call = scoring.report_unrevealed(task.id, duty.round, duty.account)
    return _report(ctx, task, duty, scoring, call, RowStatus.COMMITTED)


def appeal_absent(ctx: Context, task: Task, duty: Duty) -> Step:
    committee = ctx.contracts.appeal_committee
    call = committee.report_absent(task.id, duty.round, duty.account)
    return _report(ctx, task, duty, committee, call, RowStatus.NONE)


def appeal_unrevealed(ctx: Context, task: Task, duty: Duty) -> Step:
    committee = ctx.contracts.appeal_committee
    call = committee.report_unrevealed(task.id, duty.round, duty.account)
    return _report(ctx, task, duty, committee, call, RowStatus.COMMITTED)


def missed(ctx: Context, task: Task, duty: Duty) -> Step:
    """Report silent seats in a missed round of the ended task."""
    if (in_progress := transaction_progress(ctx, duty)) is not None:
        return in_progress
    faults, operator = ctx.contracts.faults, duty.account

    def read(rpc: Rpc) -> tuple[int, bool]:
        view = Faults(rpc, faults.address)
        return view.silent_seats_of(task.id, duty.round, operator), view.reported(task.id, duty.round, operator)

    seats, reported = quorum_read(ctx.contracts.rpc, read)
    committee = next((candidate for candidate in task.committees if candidate.number == duty.round), None)
    drawn = 0 if committee is None else silent_seats(task, committee, ctx.identity, operator, ctx.now)
    if not reported and seats != drawn:
        return Waiting(f"not reported: the chain shows {seats} silent seats, the local draw {drawn}")
    call = faults.report_missed(task.id, duty.round, operator)
    return send(ctx, duty, call, lambda: reported)


def silent_juror(ctx: Context, task: Task, duty: Duty) -> Step:
    """Report silent seats in an appeal that missed its quorum."""
    if (in_progress := transaction_progress(ctx, duty)) is not None:
        return in_progress
    faults, operator = ctx.contracts.faults, duty.account

    def read(rpc: Rpc) -> tuple[int, bool]:
        view = Faults(rpc, faults.address)
        return view.silent_juror_seats_of(task.id, operator), view.juror_reported(task.id, operator)

    seats, reported = quorum_read(ctx.contracts.rpc, read)
    drawn = 0 if task.appeal is None else silent_in_appeal(task, task.appeal, ctx.identity, operator)
    if not reported and seats != drawn:
        return Waiting(f"not reported: the chain shows {seats} silent seats, the local draw {drawn}")
    return send(ctx, duty, faults.report_silent_juror(task.id, operator), lambda: reported)


def _report(ctx: Context, task: Task, duty: Duty, committee: Committee, call: Call, undone: RowStatus) -> Step:
    if (in_progress := transaction_progress(ctx, duty)) is not None:
        return in_progress

    def read(rpc: Rpc) -> tuple[RowStatus, int, bool]:
        view = type(committee)(rpc, committee.address)
        row = view.row_at(task.id, duty.round, duty.account)
        seats = view.seats_at(task.id, duty.round, duty.account)
        return row.status, row.seats or seats, view.owes_fault(task.id, duty.account)

    status, seats, has_fault = quorum_read(ctx.contracts.rpc, read)
    if status == undone:
        drawn = _drawn_seats(ctx, task, duty, committee)
        if seats != drawn or not has_fault:
            fault = "a fault" if has_fault else "no fault"
            return Waiting(f"not reported: the chain shows {seats} seats and {fault}, the local draw {drawn} seats")
    return send(ctx, duty, call, lambda: status != undone)


def _drawn_seats(ctx: Context, task: Task, duty: Duty, committee: Committee) -> int:
    """The reported operator's seats in the local draw; those of its row if it committed one."""
    appeal = task.appeal if committee is ctx.contracts.appeal_committee else None
    if appeal is not None:
        drawn = appeal.committee
    else:
        drawn = next((candidate for candidate in task.committees if candidate.number == duty.round), None)
    if drawn is None:
        raise MissingState(f"round {duty.round} of task {task.id} has no committee")
    if duty.account in drawn.committed:
        return drawn.committed[duty.account][0]
    return seats_in(task, drawn, ctx.identity, duty.account, appeal)
