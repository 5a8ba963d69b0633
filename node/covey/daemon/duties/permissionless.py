"""Steps that any node may take. Nodes stagger their attempts and check the head first; the first one gets the tip."""

from __future__ import annotations

from covey.chain.contracts import Committee
from covey.chain.rpc.header import header_proof
from covey.daemon.context import Context
from covey.daemon.duties.outcomes import Step, Waiting
from covey.daemon.duties.transactions import revert_reason, send
from covey.daemon.planning.duty import Duty
from covey.daemon.state.task import Task
from covey.protocol.types import Outcome


def close_task(ctx: Context, task: Task, duty: Duty) -> Step:
    return send(ctx, duty, ctx.contracts.registry.close_task(task.id), lambda: _has_ended(ctx, task))


def expire(ctx: Context, task: Task, duty: Duty) -> Step:
    return send(ctx, duty, ctx.contracts.registry.expire(task.id), lambda: _has_ended(ctx, task))


def request_seed(ctx: Context, task: Task, duty: Duty) -> Step:
    scoring = ctx.contracts.scoring
    return send(ctx, duty, scoring.request_seed(task.id), lambda: scoring.round_of(task.id).target != 0)


def fix_seed(ctx: Context, task: Task, duty: Duty) -> Step:
    return fix_seed_of(ctx, task, duty, ctx.contracts.scoring)


def fix_seed_of(ctx: Context, task: Task, duty: Duty, committee: Committee) -> Step:
    """Prove the target block's header. Request another target if the contract can no longer verify that block."""
    round_ = committee.round_of(task.id)
    if round_.seeded:
        return Waiting("the seed is fixed; its event is not settled yet")
    target, tag = round_.target, str(round_.target)
    if revert_reason(ctx, duty, "RandomnessTargetLost", tag=tag) is not None:
        call = committee.request_seed(task.id)
        return send(ctx, duty, call, lambda: committee.round_of(task.id).target != target, tag=f"{tag}-lost")
    head = ctx.contracts.rpc.block_number()
    if head <= target:
        return Waiting(f"block {target} is {target - head + 1} blocks ahead")
    call = committee.fix_seed(task.id, header_proof(ctx.contracts.rpc, target))
    return send(ctx, duty, call, lambda: committee.round_of(task.id).seeded, tag=tag)


def fail_round(ctx: Context, task: Task, duty: Duty) -> Step:
    """Report a missed quorum. After the first one a second committee is drawn; after the second one the task fails."""
    scoring = ctx.contracts.scoring

    def is_done_at_head() -> bool:
        return scoring.round_of(task.id).number != duty.round or _has_ended(ctx, task)

    return send(ctx, duty, scoring.fail_round(task.id), is_done_at_head)


def finalise(ctx: Context, task: Task, duty: Duty) -> Step:
    return send(ctx, duty, ctx.contracts.scoring.finalise(task.id), lambda: _has_ended(ctx, task))


def _has_ended(ctx: Context, task: Task) -> bool:
    return ctx.contracts.registry.outcome_of(task.id) != Outcome.RUNNING
