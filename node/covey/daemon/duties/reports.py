"""Reporting faults: what the chain shows undone is said by whoever comes first, who is paid a share of the slash.

A report costs its operator money, so one endpoint is not believed: as many as agree on what costs money must show,
at the head, the seat that our own draw gives and a duty still undone.
"""

from __future__ import annotations

from covey.chain.contracts import Call, Committee
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.quorum import quorum_read
from covey.daemon.context import Context, Step, Waiting
from covey.daemon.duties.transactions import send, under_way
from covey.daemon.planning.faults import seats_in
from covey.daemon.planning.plan import Duty
from covey.daemon.state.world import Task
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


def _report(ctx: Context, task: Task, duty: Duty, committee: Committee, call: Call, undone: RowStatus) -> Step:
    if (sent := under_way(ctx, duty)) is not None:
        return sent

    def read(rpc: Rpc) -> tuple[RowStatus, int, bool]:
        view = type(committee)(rpc, committee.address)
        row = view.row_at(task.id, duty.round, duty.account)
        seats = view.seats_at(task.id, duty.round, duty.account)
        return row.status, row.seats or seats, view.owes_fault(task.id, duty.account)

    status, seats, owes = quorum_read(ctx.contracts.rpc, read)
    if status == undone:
        ours = _our_draw(ctx, task, duty, committee)
        if seats != ours or not owes:
            return Waiting(
                f"not reported: the chain shows {seats} seats and {'a' if owes else 'no'} fault, our draw {ours}"
            )
    return send(ctx, duty, call, lambda: status != undone)


def _our_draw(ctx: Context, task: Task, duty: Duty, committee: Committee) -> int:
    """Seats that the reported operator had by our own draw; a row's own where it committed one."""
    appeal = task.appeal if committee is ctx.contracts.appeal_committee else None
    if appeal is not None:
        c = appeal.committee
    else:
        c = next((one for one in task.committees if one.number == duty.round), None)
    assert c is not None, "only rounds that were drawn are planned for"
    if duty.account in c.committed:
        return c.committed[duty.account][0]
    return seats_in(task, c, ctx.me, duty.account, appeal)
