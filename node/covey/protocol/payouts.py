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

    ``flat`` is true if no validator has a gain. Three quarters of the validators' pool then go to the treasury, and
    ``validators`` is the rest, which is shared by revealed seats.
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
) -> Pools:
    """Split a task's escrow.

    Args:
        bond: the creator's bond after tips and appellants' premiums.
        fees: sum of all entry fees.
        total_weights: sum of the trainers' weights over all entries.
        gain_seats: sum of seats times gain over all revealed rows.
        extra: amount that others added to the bounty; it goes to the treasury unless the task is paid.
        appeal_cost: cost of appeals, taken from the validators' part of the bounty.

    Raises:
        ValueError: the task is still running.
    """
    if outcome == Outcome.REFUNDED:  # fees go back entry by entry
        return Pools(0, 0, bounty + bond, extra, False)
    if outcome == Outcome.FAILED:
        return Pools(0, 0, bounty // 2, bounty - bounty // 2 + bond + extra, False)
    if outcome != Outcome.PAID:
        raise ValueError("the task is still running: its escrow is not split yet")
    from_bounty = (bounty + extra) * validator_bps // BPS
    validators = from_bounty - appeal_cost + fees
    trainers = bounty + extra - from_bounty
    to_creator, to_treasury = bond, 0
    if total_weights == 0:
        to_creator += trainers
        trainers = 0
    flat = gain_seats == 0
    if flat:
        shared = validators // 4
        to_treasury += validators - shared
        validators = shared
    return Pools(trainers, validators, to_creator, to_treasury, flat)


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
