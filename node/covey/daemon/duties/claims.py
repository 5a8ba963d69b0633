"""Duties after a task's end: release the stake, claim rewards and fees, withdraw credits."""

from __future__ import annotations

from covey.chain.contracts import purposes
from covey.daemon.context import Context
from covey.daemon.duties.outcomes import Step, Waiting
from covey.daemon.duties.transactions import send, send_repeatable
from covey.daemon.planning.duty import Duty
from covey.daemon.state.events import MissingState
from covey.daemon.state.task import Task
from covey.protocol import merkle
from covey.protocol.scores import LANES, unpack


def release_earmark(ctx: Context, task: Task, duty: Duty) -> Step:
    """Release what slashes left of the earmark. The registry refuses while a fault can still be reported."""
    registry, operator = ctx.contracts.registry, ctx.identity.operator
    if ctx.contracts.scoring.owes_fault(task.id, operator) or ctx.contracts.faults.owes(task.id, operator):
        return Waiting("a fault of this operator is not reported yet")
    if ctx.contracts.appeals.holds(task.id, operator):
        return Waiting("an appeal of the task holds the earmark")
    call = registry.release_earmark(task.id, operator)
    return send(
        ctx, duty, call, lambda: registry.held_of(task.id, operator) == 0,
        purpose=lambda: purposes.released(task.id, operator, registry.held_of(task.id, operator)),
    )  # fmt: skip


def claim_entry(ctx: Context, task: Task, duty: Duty) -> Step:
    rewards, operator = ctx.contracts.rewards, ctx.identity.operator
    lane = task.entries[operator].lane
    if lane is None:
        raise MissingState(f"the entry in task {task.id} is not revealed")
    word, siblings = median_proof(task, lane)
    call = rewards.claim_entry(task.id, lane, word, siblings)
    median = unpack([word], LANES)[lane % LANES]
    return send(
        ctx, duty, call, lambda: rewards.entry_claimed(task.id, lane),
        purpose=lambda: purposes.claimed_entry(task.id, operator, rewards.entry_reward(task.id, median)),
    )  # fmt: skip


def median_proof(task: Task, lane: int) -> tuple[int, list[bytes]]:
    """The median word that contains a lane, and its Merkle proof against its page's root."""
    page, index = divmod(lane // LANES, task.words_per_page)
    medians = task.drawn_committee.pages[page].medians
    return medians[index], merkle.proof(medians, index)


def claim_scoring(ctx: Context, task: Task, duty: Duty) -> Step:
    rewards, operator = ctx.contracts.rewards, ctx.identity.operator
    return send(
        ctx, duty, rewards.claim_scoring(task.id, operator), lambda: rewards.scoring_claimed(task.id, operator),
        purpose=lambda: purposes.claimed_scoring(task.id, operator, rewards.scoring_reward(task.id, operator)),
    )  # fmt: skip


def claim_fee(ctx: Context, task: Task, duty: Duty) -> Step:
    rewards, operator = ctx.contracts.rewards, ctx.identity.operator
    registry = ctx.contracts.registry
    return send(
        ctx, duty, rewards.claim_fee(task.id, operator), lambda: rewards.fee_claimed(task.id, operator),
        purpose=lambda: purposes.returned_fee(task.id, registry.entry_of(task.id, operator).fee),
    )  # fmt: skip


def withdraw(ctx: Context, duty: Duty) -> Step:
    """Withdraw an account's credits."""
    rewards, account = ctx.contracts.rewards, duty.account
    return send_repeatable(
        ctx, duty, rewards.withdraw(account), lambda: rewards.owed_to(account) == 0, "paid",
        lambda: purposes.withdrawn(rewards.owed_to(account), purposes.CREDITS, account),
    )  # fmt: skip


def pay_owed(ctx: Context, duty: Duty) -> Step:
    """Withdraw an account's shares of slashes."""
    staking, account = ctx.contracts.staking, duty.account
    return send_repeatable(
        ctx, duty, staking.pay_owed(account), lambda: staking.owed_to(account) == 0, "paid",
        lambda: purposes.withdrawn(staking.owed_to(account), purposes.SHARES, account),
    )  # fmt: skip
