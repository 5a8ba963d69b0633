"""Payouts: amounts are conserved, and shares are floors of exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey.protocol import payouts
from covey.protocol.payouts import Pools, split
from covey.protocol.types import Outcome

amount = st.integers(0, (1 << 88) - 1)
bps = st.integers(1, 9_999)


@given(st.sampled_from([Outcome.PAID, Outcome.REFUNDED, Outcome.FAILED]), amount, amount, amount, bps, amount, amount)
def test_split_conserves_amounts(
    outcome: Outcome, bounty: int, bond: int, fees: int, validator_bps: int, weights: int, gain_seats: int
) -> None:
    pools = split(outcome, bounty, bond, fees, validator_bps, weights, gain_seats)
    returned = fees if outcome != Outcome.PAID else 0
    parts = pools.trainers + pools.validators + pools.to_creator + pools.to_treasury
    assert parts + returned == bounty + bond + fees
    assert min(pools.trainers, pools.validators, pools.to_creator, pools.to_treasury) >= 0


def test_split_of_a_paid_task() -> None:
    assert split(Outcome.PAID, 1_000, 50, 30, 2_000, 7, 9) == Pools(800, 230, 50, 0, False)


def test_trainers_pool_is_returned_without_weights() -> None:
    assert split(Outcome.PAID, 1_000, 50, 30, 2_000, 0, 9) == Pools(0, 230, 850, 0, False)


def test_split_without_gains_is_flat() -> None:
    assert split(Outcome.PAID, 1_000, 50, 30, 2_000, 7, 0) == Pools(800, 57, 50, 173, True)


def test_split_of_refunded_and_failed_tasks() -> None:
    assert split(Outcome.REFUNDED, 1_001, 50, 30, 2_000) == Pools(0, 0, 1_051, 0, False)
    assert split(Outcome.FAILED, 1_001, 50, 30, 2_000) == Pools(0, 0, 500, 551, False)
    with pytest.raises(ValueError, match="still running"):
        split(Outcome.RUNNING, 1, 1, 1, 1)


@given(
    amount,
    amount,
    st.lists(st.integers(0, 1 << 45), min_size=1, max_size=9),
    st.lists(st.tuples(st.integers(1, 30), st.integers(0, 1 << 20)), min_size=1, max_size=9),
)
def test_shares_are_floors_of_exact_fractions(
    trainers: int, validators: int, weights: list[int], rows: list[tuple[int, int]]
) -> None:
    gain_seats = sum(s * g for s, g in rows)
    pools = Pools(trainers, validators, 0, 0, gain_seats == 0)
    entrants = [f"e{i}" for i in range(len(weights))]
    paid = payouts.payouts(pools, entrants, weights, {f"v{i}": row for i, row in enumerate(rows)})
    for name, weight in zip(entrants, weights, strict=True):
        share = Fraction(weight, sum(weights)) if sum(weights) else Fraction(0)
        assert paid.entries[name] == floor(trainers * share)
    for i, (seats, gain) in enumerate(rows):
        all_seats = sum(s for s, _ in rows)
        share = Fraction(seats * gain, gain_seats) if gain_seats else Fraction(seats, all_seats)
        assert paid.scoring[f"v{i}"] == floor(validators * share)
    assert sum(paid.entries.values()) <= trainers
    assert validators - len(rows) < sum(paid.scoring.values()) <= validators


def test_entry_fee_rises_to_four_times_the_first() -> None:
    assert [payouts.entry_fee(10, n, 4) for n in range(5)] == [10, 17, 25, 32, 40]


def test_tips_do_not_exceed_the_bond() -> None:
    assert payouts.bond_left(100, 30, 3) == 10
    assert payouts.bond_left(100, 30, 4) == 0
