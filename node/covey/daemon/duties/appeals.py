"""Duties in the appeal of a sealed task: permissionless steps, abstaining if seated, claims and releases.

The node scores no sealed set yet. Seated in an appeal's committee, it abstains before the commit window closes.
"""

from __future__ import annotations

from covey.chain.contracts import purposes
from covey.daemon.context import Context
from covey.daemon.duties.outcomes import Step, Waiting
from covey.daemon.duties.permissionless import fix_seed_of
from covey.daemon.duties.settle import settlement_arguments
from covey.daemon.duties.transactions import send, send_repeatable
from covey.daemon.planning.duty import Duty
from covey.daemon.state.appeal import Appeal
from covey.daemon.state.events import MissingState
from covey.daemon.state.task import Task
from covey.protocol import merkle
from covey.protocol.scores import LANES
from covey.protocol.types import AppealState, RowStatus


def request_seed(ctx: Context, task: Task, duty: Duty) -> Step:
    committee = ctx.contracts.appeal_committee
    return send(ctx, duty, committee.request_seed(task.id), lambda: committee.round_of(task.id).target != 0)


def fix_seed(ctx: Context, task: Task, duty: Duty) -> Step:
    return fix_seed_of(ctx, task, duty, ctx.contracts.appeal_committee)


def abstain(ctx: Context, task: Task, duty: Duty) -> Step:
    committee, operator = ctx.contracts.appeal_committee, ctx.identity.operator
    call = committee.abstain(task.id, operator)
    return send(ctx, duty, call, lambda: committee.row_of(task.id, operator).status != RowStatus.NONE)


def settle(ctx: Context, task: Task, duty: Duty) -> Step:
    committee, appeal = ctx.contracts.appeal_committee, _appeal(task)
    entries = LANES * len(appeal.contests)
    revealed = appeal.drawn_committee.revealed
    heads, medians, words = settlement_arguments(revealed, entries, appeal.words_per_page, duty.page)
    call = committee.settle_contests(task.id, duty.page, heads, medians, words)
    return send(ctx, duty, call, lambda: committee.round_of(task.id).settled_pages > duty.page)


def fail(ctx: Context, task: Task, duty: Duty) -> Step:
    appeals = ctx.contracts.appeals
    return send(ctx, duty, appeals.fail_appeal(task.id), lambda: appeals.appeal_of(task.id).state != AppealState.OPEN)


def resolve(ctx: Context, task: Task, duty: Duty) -> Step:
    """Resolve one contest. The proof is against the page at the head: each replaced word changes the page's root."""
    appeals, contest = ctx.contracts.appeals, _appeal(task).contests[duty.page]
    page, place = divmod(contest.word, task.words_per_page)
    settled = task.drawn_committee.pages[page]
    siblings = merkle.proof(settled.medians, place)

    def is_done_at_head() -> bool:
        return appeals.contest_of(task.id, duty.page).resolved

    if ctx.contracts.scoring.page_root_of(task.id, page) != settled.root and not is_done_at_head():
        return Waiting("another word of the page was replaced; its event is not settled yet")
    return send(ctx, duty, appeals.resolve(task.id, duty.page, siblings), is_done_at_head)


def report_overturned(ctx: Context, task: Task, duty: Duty) -> Step:
    appeals = ctx.contracts.appeals
    row = task.drawn_committee.row_of(duty.account)
    if row is None:
        raise MissingState(f"{duty.account} has revealed no row in task {task.id}")

    def is_done_at_head() -> bool:
        released = ctx.contracts.registry.held_of(task.id, duty.account) == 0
        return released or appeals.overturned(task.id, duty.account)

    call = appeals.report_overturned(task.id, duty.account, duty.page, row.words)
    return send(ctx, duty, call, is_done_at_head)


def report_juror(ctx: Context, task: Task, duty: Duty) -> Step:
    faults, row = ctx.contracts.faults, _appeal(task).drawn_committee.row_of(duty.account)
    if row is None:
        raise MissingState(f"{duty.account} has revealed no row in the appeal of task {task.id}")
    call = faults.report_juror(task.id, duty.account, row.words)
    return send(ctx, duty, call, lambda: faults.juror_reported(task.id, duty.account))


def claim(ctx: Context, task: Task, duty: Duty) -> Step:
    appeals, operator = ctx.contracts.appeals, ctx.identity.operator
    return send(ctx, duty, appeals.claim_appeal(task.id, operator), lambda: appeals.claimed(task.id, operator))


def release(ctx: Context, task: Task, duty: Duty) -> Step:
    committee, operator = ctx.contracts.appeal_committee, ctx.identity.operator
    if committee.owes_fault(task.id, operator) or ctx.contracts.faults.owes(task.id, operator):
        return Waiting("a fault of this operator is not reported yet")
    call = committee.release(task.id, operator)
    return send(ctx, duty, call, lambda: False)


def withdraw(ctx: Context, duty: Duty) -> Step:
    """Withdraw an account's bonds, awards and tips."""
    appeals, account = ctx.contracts.appeals, duty.account
    return send_repeatable(
        ctx, duty, appeals.withdraw(account), lambda: appeals.owed_to(account) == 0, "paid",
        lambda: purposes.withdrawn(appeals.owed_to(account), purposes.BOND_CREDITS, account),
    )  # fmt: skip


def _appeal(task: Task) -> Appeal:
    if task.appeal is None:
        raise MissingState(f"task {task.id} has no appeal")
    return task.appeal
