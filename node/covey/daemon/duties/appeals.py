"""The appeal of a sealed task: steps that anyone may take, to abstain where this node is seated, and what it earned.

The node scores no sealed set yet, so in an appeal's committee it never has scores: it says so before commits close.
"""

from __future__ import annotations

from covey.daemon.context import Context, Step, Waiting
from covey.daemon.duties.permissionless import fix_seed_of
from covey.daemon.duties.settle import arguments
from covey.daemon.duties.transactions import send, send_again
from covey.daemon.planning.plan import Duty
from covey.daemon.state.world import Appeal, Task
from covey.protocol import merkle
from covey.protocol.scores import LANES
from covey.protocol.types import AppealState, RowStatus


def request_seed(ctx: Context, task: Task, duty: Duty) -> Step:
    committee = ctx.contracts.appeal_committee
    return send(ctx, duty, committee.request_seed(task.id), lambda: committee.round_of(task.id).target != 0)


def fix_seed(ctx: Context, task: Task, duty: Duty) -> Step:
    return fix_seed_of(ctx, task, duty, ctx.contracts.appeal_committee)


def abstain(ctx: Context, task: Task, duty: Duty) -> Step:
    committee, operator = ctx.contracts.appeal_committee, ctx.me.operator
    call = committee.abstain(task.id, operator)
    return send(ctx, duty, call, lambda: committee.row_of(task.id, operator).status != RowStatus.NONE)


def settle(ctx: Context, task: Task, duty: Duty) -> Step:
    committee, appeal = ctx.contracts.appeal_committee, _appeal(task)
    assert appeal.committee is not None, "only a round that was drawn is settled"
    entries = LANES * len(appeal.contests)
    heads, found, words = arguments(appeal.committee.revealed, entries, appeal.words_a_page, duty.page)
    call = committee.settle_contests(task.id, duty.page, heads, found, words)
    return send(ctx, duty, call, lambda: committee.round_of(task.id).settled_pages > duty.page)


def fail(ctx: Context, task: Task, duty: Duty) -> Step:
    appeals = ctx.contracts.appeals
    return send(ctx, duty, appeals.fail_appeal(task.id), lambda: appeals.appeal_of(task.id).state != AppealState.OPEN)


def resolve(ctx: Context, task: Task, duty: Duty) -> Step:
    """Decide one contest. The proof is of the page as it is at the head: each replaced word changes its proofs."""
    appeals, contest = ctx.contracts.appeals, _appeal(task).contests[duty.page]
    assert task.committee is not None
    page, place = divmod(contest.word, task.words_a_page)
    settled = task.committee.pages[page]
    siblings = merkle.proof(settled.medians, place)

    def over() -> bool:
        return appeals.contest_of(task.id, duty.page).resolved

    if ctx.contracts.scoring.page_root_of(task.id, page) != settled.root and not over():
        return Waiting("another word of its page was replaced; its event is not settled yet")
    return send(ctx, duty, appeals.resolve(task.id, duty.page, siblings), over)


def report_overturned(ctx: Context, task: Task, duty: Duty) -> Step:
    appeals = ctx.contracts.appeals
    assert task.committee is not None
    row = next(row for row in task.committee.revealed if row.operator == duty.account)

    def over() -> bool:
        gone = ctx.contracts.registry.held_of(task.id, duty.account) == 0
        return gone or appeals.overturned(task.id, duty.account)

    call = appeals.report_overturned(task.id, duty.account, duty.page, row.words)
    return send(ctx, duty, call, over)


def claim(ctx: Context, task: Task, duty: Duty) -> Step:
    appeals, operator = ctx.contracts.appeals, ctx.me.operator
    return send(ctx, duty, appeals.claim_appeal(task.id, operator), lambda: appeals.claimed(task.id, operator))


def release(ctx: Context, task: Task, duty: Duty) -> Step:
    committee, operator = ctx.contracts.appeal_committee, ctx.me.operator
    if committee.owes_fault(task.id, operator):
        return Waiting("a fault of this operator is not reported yet")
    call = committee.release(task.id, operator)
    return send(ctx, duty, call, lambda: False)


def withdraw(ctx: Context, duty: Duty) -> Step:
    """Pay out an account's bonds and premiums."""
    appeals, account = ctx.contracts.appeals, duty.account
    return send_again(ctx, duty, appeals.withdraw(account), lambda: appeals.owed_to(account) == 0, "paid")


def _appeal(task: Task) -> Appeal:
    assert task.appeal is not None, "only contested tasks are planned for"
    return task.appeal
