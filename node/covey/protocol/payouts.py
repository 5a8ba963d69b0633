"""Payouts of an ended task in wei, equal to the contract Rewards to the last wei.

Every share is rounded down; the remainder stays in the escrow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from covey.protocol.types import Outcome

BPS = 10_000


@dataclass(frozen=True, slots=True)
class Pools:
    """How an escrow splits at a task's end, wei.

    ``flat`` is true if no validator has a gain, or no entry has a weight. ``validators`` is then a quarter of what they
    have from the bounty and the fees, without top-ups. It is shared by revealed seats; the rest goes to the treasury.
    """

    trainers: int
    validators: int
    to_creator: int
    to_treasury: int
    flat: bool


def entry_fee(first_fee: int, entries: int, max_entries: int) -> int:
    """Fee of the next entry after ``entries`` committed ones, wei: first + floor(3 first entries / max_entries)."""
    return first_fee + 3 * first_fee * entries // max_entries


def bond_left(bond: int, tip: int, steps: int) -> int:
    """The creator's bond after ``steps`` tips, not below 0, wei."""
    return max(0, bond - tip * steps)


def split(
    outcome: Outcome,
    bounty: int,
    bond: int,
    fees: int,
    validator_bps: int,
    total_weights: int = 0,
    gain_seats: int = 0,
    extra: int = 0,
    appeal_cost: int = 0,
    has_void_round: bool = False,
    is_withheld: bool = False,
) -> Pools:
    """Split a task's escrow.

    Args:
        bond: the creator's bond after tips.
        fees: sum of all entry fees.
        total_weights: sum of the trainers' weights over all entries.
        gain_seats: sum of seats times gain over all revealed rows.
        extra: amount that others added to the bounty; it goes to the treasury unless an entry earned a weight.
        appeal_cost: cost of appeals, taken from the validators' pool.
        has_void_round: every median of a round was 0. A failed task then keeps half of the bounty and the fees.
        is_withheld: the creator did not open its sealed set. A failed task then keeps half of the bounty and the bond.

    Raises:
        ValueError: the task is still running.
    """
    if outcome == Outcome.REFUNDED:  # fees go back entry by entry
        return Pools(0, 0, bounty + bond, extra, False)
    if outcome == Outcome.FAILED:
        return _failed(bounty, bond, fees, extra, has_void_round, is_withheld)
    if outcome != Outcome.PAID:
        raise ValueError("the task is still running: its escrow is not split yet")
    own = bounty * validator_bps // BPS + fees
    validators = validators_pool(bounty + extra, validator_bps, fees) - appeal_cost
    trainers = bounty + extra - (bounty + extra) * validator_bps // BPS
    shared = min(own, validators) // 4
    if total_weights == 0:
        half = bounty * (BPS - validator_bps) // (2 * BPS)
        return Pools(0, shared, bond + half, trainers - half + validators - shared, True)
    if gain_seats == 0:
        return Pools(trainers, shared, bond, validators - shared, True)
    return Pools(trainers, validators, bond, 0, False)


def validators_pool(bounty: int, validator_bps: int, fees: int) -> int:
    """The validators' pool before appeals: their share of the bounty with its top-ups, plus the entry fees, wei."""
    return bounty * validator_bps // BPS + fees


def _failed(bounty: int, bond: int, fees: int, extra: int, has_void_round: bool, is_withheld: bool) -> Pools:
    half = bounty // 2
    if has_void_round:
        return Pools(0, 0, half + bond, bounty - half + fees + extra, False)
    if is_withheld:
        return Pools(0, 0, half, bounty - half + bond + extra, False)
    return Pools(0, 0, bounty + bond, extra, False)


def returns_fees(outcome: Outcome, has_void_round: bool) -> bool:
    """Whether entry fees are refunded: the task ended without pay, and no round of it was void."""
    return outcome == Outcome.REFUNDED or (outcome == Outcome.FAILED and not has_void_round)


def entry_reward(trainers_pool: int, weight: int, total_weights: int) -> int:
    """An entry's share of the trainers' pool, wei."""
    return trainers_pool * weight // total_weights if total_weights else 0


def scoring_reward(pools: Pools, seats: int, gain: int, gain_seats: int, revealed_seats: int) -> int:
    """A revealed validator's share of the validators' pool, wei."""
    if pools.flat:
        return pools.validators * seats // revealed_seats if revealed_seats else 0
    return pools.validators * seats * gain // gain_seats


@dataclass(frozen=True, slots=True)
class Payouts:
    """All rewards of a paid task by entrant and by validator, wei."""

    pools: Pools
    entries: dict[str, int]
    scoring: dict[str, int]


def payouts(
    pools: Pools,
    entrants: Sequence[str],
    weights: Sequence[int],
    validators: Mapping[str, tuple[int, int]],
) -> Payouts:
    """Compute the rewards of all entrants (by lane) and all validators (operator: seats, gain).

    Raises:
        ValueError: the numbers of weights and entrants differ.
    """
    total_weights = sum(weights)
    gain_seats = sum(seats * gain for seats, gain in validators.values())
    revealed_seats = sum(seats for seats, _ in validators.values())
    return Payouts(
        pools,
        {o: entry_reward(pools.trainers, w, total_weights) for o, w in zip(entrants, weights, strict=True)},
        {o: scoring_reward(pools, seats, gain, gain_seats, revealed_seats) for o, (seats, gain) in validators.items()},
    )
