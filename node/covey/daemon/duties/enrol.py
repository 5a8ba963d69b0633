"""Enrolling: put stake behind a task in order to validate it, if it is one that this node can score in time."""

from __future__ import annotations

from covey.daemon.context import Context, Ended, Step, Waiting, declined
from covey.daemon.duties.specs import base_of, spec_of
from covey.daemon.duties.transactions import reverted_as, send, under_way
from covey.daemon.planning.plan import Duty
from covey.daemon.planning.policy import count_strata, earmark_of, unscorable
from covey.daemon.state.world import Task
from covey.daemon.workers.background import Pending
from covey.protocol.canonical import DocumentError

_NO_USE = ("RegistryNotSigner", "RegistryIsEntrant", "StakingNotEligible")
"""Refusals that another attempt would meet again. A window that was not open is none: planned for while chain time is
in it, it was another time only on a chain that was reorganised meanwhile."""


def advance(ctx: Context, task: Task, duty: Duty) -> Step:
    if (sent := under_way(ctx, duty)) is not None:
        return sent
    if (reason := reverted_as(ctx, duty, *_NO_USE)) is not None:
        return declined(reason)
    spec = spec_of(ctx, task)
    if isinstance(spec, Waiting | Ended):
        return spec
    records = ctx.config.heldout_records
    assert records is not None, "the settings demand held-out records of a validator"
    try:
        held = ctx.background.get("held-out records", lambda: count_strata(records))
    except Pending:
        return Waiting("counting held-out records")
    except DocumentError as error:
        return Waiting(str(error))
    if (no := unscorable(spec, task.params, ctx.config.policy, held)) is not None:
        return declined(no)
    if (no := ctx.strategy.decline(spec, task.params)) is not None:
        return declined(no)
    base = base_of(ctx, spec)
    if isinstance(base, Waiting | Ended):
        return base
    registry, operator = ctx.contracts.registry, ctx.me.operator
    amount = earmark_of(ctx.config.policy, free_stake(ctx, task))
    if amount == 0:
        return Waiting("no free eligible stake")
    call = registry.enrol(task.id, operator, amount)
    return send(ctx, duty, call, lambda: registry.earmark_of(task.id, operator) > 0)


def free_stake(ctx: Context, task: Task) -> int:
    """Stake that may back the task: eligible now and as of its creation, less what backs others, wei."""
    staking, operator = ctx.contracts.staking, ctx.me.operator
    eligible = min(staking.eligible_stake(operator), staking.stake_at(operator, task.schedule.created_at))
    return max(0, eligible - staking.pool_of(operator).earmarked)
