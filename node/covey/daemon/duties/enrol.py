"""Enrolling: put stake behind a task in order to validate it, if this node can score it in time."""

from __future__ import annotations

from covey.chain.units import cvy
from covey.daemon.context import Context
from covey.daemon.duties.outcomes import Ended, Step, Waiting, declined
from covey.daemon.duties.records import heldout_records, lacking_tokens, records_by_stratum
from covey.daemon.duties.specs import base_of, reason_of_base, spec_of
from covey.daemon.duties.transactions import revert_reason, send, transaction_progress
from covey.daemon.planning.duty import Duty
from covey.daemon.planning.policy import earmark_of, reason_not_to_score
from covey.daemon.state.task import Task
from covey.protocol.faults import least_enrolment

_PERMANENT = ("RegistryNotSigner", "RegistryIsEntrant", "StakingNotEligible")
"""Reverts that a retry would meet again. A closed window is not among them: the duty is planned only while chain time
is in the window, so such a revert comes from a chain that was reorganised meanwhile."""


def advance(ctx: Context, task: Task, duty: Duty) -> Step:
    if (in_progress := transaction_progress(ctx, duty)) is not None:
        return in_progress
    if (reason := revert_reason(ctx, duty, *_PERMANENT)) is not None:
        return declined(reason)
    spec = spec_of(ctx, task)
    if isinstance(spec, Waiting | Ended):
        return spec
    if (problem := ctx.readiness.reason_to_wait()) is not None:
        return Waiting(problem)
    records = heldout_records(ctx.config)
    held_out = records_by_stratum(ctx, records)
    if isinstance(held_out, Waiting):
        return held_out
    if (reason := reason_not_to_score(spec, task.params, ctx.config.policy, held_out)) is not None:
        return declined(reason)
    if (reason := ctx.strategy.decline(spec, task.params)) is not None:
        return declined(reason)
    base = base_of(ctx, spec)
    if isinstance(base, Waiting | Ended):
        return base
    if (reason := reason_of_base(ctx, spec, base)) is not None:
        return declined(reason)
    lacking = lacking_tokens(ctx, task.id, spec, base, records)
    if lacking is not None:
        return lacking if isinstance(lacking, Waiting) else declined(lacking)
    registry, operator = ctx.contracts.registry, ctx.identity.operator
    free, min_stake = free_stake(ctx, task), task.params.min_stake
    amount = earmark_of(ctx.config.policy, free, min_stake, task.total_earmarked)
    if free == 0:
        return Waiting("no free eligible stake")
    if amount < (least := least_enrolment(min_stake, task.params.target_seats)):
        return Waiting(f"a seat needs at least {cvy(least)}, the policy and the free stake allow {cvy(amount)}")
    call = registry.enrol(task.id, operator, amount)
    return send(ctx, duty, call, lambda: registry.earmark_of(task.id, operator) > 0)


def free_stake(ctx: Context, task: Task) -> int:
    """Stake that may back the task, wei: eligible now and at its creation, within the leverage, less other earmarks."""
    staking, operator = ctx.contracts.staking, ctx.identity.operator
    eligible = min(staking.eligible_stake(operator), staking.stake_since(operator, task.schedule.created_at))
    pool = staking.pool_of(operator)
    return max(0, min(eligible, staking.leverage() * pool.self_bond) - pool.earmarked)
