"""Steps that anyone may take. Nodes wait their turn, look at the head again, and the first one gets the tip."""

from __future__ import annotations

from covey.chain.contracts import Committee
from covey.chain.rpc.header import header_proof
from covey.daemon.context import Context, Step, Waiting
from covey.daemon.duties.transactions import reverted_as, send
from covey.daemon.planning.plan import Duty
from covey.daemon.state.world import Task
from covey.protocol.types import Outcome


def close_task(ctx: Context, task: Task, duty: Duty) -> Step:
    return send(ctx, duty, ctx.contracts.registry.close_task(task.id), lambda: _ended(ctx, task))


def expire(ctx: Context, task: Task, duty: Duty) -> Step:
    return send(ctx, duty, ctx.contracts.registry.expire(task.id), lambda: _ended(ctx, task))


def request_seed(ctx: Context, task: Task, duty: Duty) -> Step:
    scoring = ctx.contracts.scoring
    return send(ctx, duty, scoring.request_seed(task.id), lambda: scoring.round_of(task.id).target != 0)


def fix_seed(ctx: Context, task: Task, duty: Duty) -> Step:
    return fix_seed_of(ctx, task, duty, ctx.contracts.scoring)


def fix_seed_of(ctx: Context, task: Task, duty: Duty, committee: Committee) -> Step:
    """Prove the target block; ask for another target once that one has left the chain's memory."""
    round_ = committee.round_of(task.id)
    if round_.seeded:
        return Waiting("the seed is fixed; its event is not settled yet")
    target, tag = round_.target, str(round_.target)
    if reverted_as(ctx, duty, "RandomnessTargetLost", tag=tag) is not None:
        again = committee.request_seed(task.id)
        return send(ctx, duty, again, lambda: committee.round_of(task.id).target != target, tag=f"{tag}-lost")
    head = ctx.contracts.rpc.block_number()
    if head <= target:
        return Waiting(f"block {target} is {target - head + 1} blocks ahead")
    call = committee.fix_seed(task.id, header_proof(ctx.contracts.rpc, target))
    return send(ctx, duty, call, lambda: committee.round_of(task.id).seeded, tag=tag)


def fail_round(ctx: Context, task: Task, duty: Duty) -> Step:
    """Say that the quorum was missed: the first time a second committee follows, the second time the task fails."""
    scoring = ctx.contracts.scoring

    def over() -> bool:
        return scoring.round_of(task.id).number != duty.round or _ended(ctx, task)

    return send(ctx, duty, scoring.fail_round(task.id), over)


def finalise(ctx: Context, task: Task, duty: Duty) -> Step:
    return send(ctx, duty, ctx.contracts.scoring.finalise(task.id), lambda: _ended(ctx, task))


def _ended(ctx: Context, task: Task) -> bool:
    return ctx.contracts.registry.outcome_of(task.id) != Outcome.RUNNING
