"""Decides which tasks to join. Each function returns the reason to decline, or None to accept."""

from __future__ import annotations

from collections.abc import Mapping

from covey.chain.units import cvy
from covey.config.node import Policy
from covey.lora.data.sample import drawn_sizes
from covey.lora.errors import DataError
from covey.lora.jobs.feasible import spec_problems
from covey.protocol.spec import TaskSpec
from covey.protocol.types import Evaluation, Kind, TaskParams

SEALED = "sealed evaluation is not supported yet: this node takes only the permissionless steps of a sealed task"


def spec_mismatch(spec: TaskSpec, params: TaskParams) -> str | None:
    """The first field in which a spec differs from the task's parameters on chain."""
    fields = (
        ("h", spec.scoring.h, params.h),
        ("tau", spec.scoring.tau, params.tau),
        ("floor", spec.scoring.floor, params.floor_score),
        ("evaluation", spec.evaluation.source, params.evaluation.name.lower()),
    )
    for name, in_spec, on_chain in fields:
        if in_spec != on_chain:
            return f"its spec has {name} {in_spec}, the chain {on_chain}"
    return None


def reason_to_decline(spec: TaskSpec, params: TaskParams, policy: Policy) -> str | None:
    """Why the operator's policy rules the task out, for any role."""
    if params.kind != Kind.ARENA:
        return "federated rounds are not supported yet"
    if (problem := next(spec_problems(spec), None)) is not None:
        return f"its spec cannot be met: {problem}"
    if policy.domains and spec.domain not in policy.domains:
        return f"domain {spec.domain!r} is not one of policy.domains"
    if policy.bases and spec.base.name not in policy.bases:
        return f"base {spec.base.name} is not one of policy.bases"
    return None


def reason_not_to_enter(spec: TaskSpec, params: TaskParams, policy: Policy, fee: int) -> str | None:
    """Why not to train for a task whose next entry costs `fee` wei."""
    if fee > policy.max_fee:
        return f"an entry costs {cvy(fee)}, more than policy.max_fee of {cvy(policy.max_fee)}"
    return reason_to_decline(spec, params, policy)


def reason_not_to_score(spec: TaskSpec, params: TaskParams, policy: Policy, held_out: Mapping[str, int]) -> str | None:
    """Why not to validate a task. `held_out`: number of held-out records by stratum."""
    if params.evaluation != Evaluation.LOCAL:
        return SEALED
    for name, window in (("commit", params.windows.score_commit), ("reveal", params.windows.score_reveal)):
        if window < policy.min_score_window_seconds:
            return f"its score {name} window of {window} s is shorter than policy.min_score_window_seconds"
    if params.max_entries > policy.max_entries:
        return f"it allows {params.max_entries} entries, more than policy.max_entries {policy.max_entries}"
    weights = {stratum.name: float(stratum.weight) for stratum in spec.strata}
    minimum = {stratum.name: stratum.min_records for stratum in spec.strata}
    try:
        drawn = sum(drawn_sizes(held_out, weights, minimum, spec.evaluation.max_records).values())
    except DataError as error:
        return str(error)
    if drawn < spec.evaluation.min_records:
        return f"it needs {spec.evaluation.min_records} held-out records in all, a sample of this node's has {drawn}"
    return reason_to_decline(spec, params, policy)


def earmark_of(policy: Policy, free: int, min_stake: int, enrolled: int) -> int:
    """Stake to earmark for one task, wei.

    It is at most `policy.max_seat_share_bps` of the stake behind the task, so that an outage of this node alone misses
    no quorum: silence that fails a task costs a whole unit per seat.

    Args:
        free: stake that may back the task.
        min_stake: the task's minimum stake.
        enrolled: stake that others have enrolled so far; more can only follow.
    """
    wanted = policy.earmark if policy.earmark is not None else free * policy.earmark_share_bps // 10_000
    return min(wanted, free, most_for_seats(policy, min_stake, enrolled))


def most_for_seats(policy: Policy, min_stake: int, enrolled: int) -> int:
    """Largest earmark, wei, that expects no more than the policy's share of the seats."""
    share = policy.max_seat_share_bps
    if share == 10_000:
        return 1 << 88  # no limit: all amounts fit 88 bits
    return max(min_stake * share // 10_000, enrolled * share // (10_000 - share))
