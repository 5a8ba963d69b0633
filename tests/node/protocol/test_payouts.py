"""Payouts: amounts are conserved, and shares are floors of exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey.protocol import payouts
from covey.protocol.payouts import Pools, returns_fees, split
from covey.protocol.types import Outcome

amount = st.integers(0, (1 << 88) - 1)
bps = st.integers(1, 9_999)


outcome = st.sampled_from([Outcome.PAID, Outcome.REFUNDED, Outcome.FAILED])
weight = st.sampled_from([0, 7])


@given(outcome, amount, amount, amount, bps, weight, weight, amount, st.booleans(), st.booleans(), st.data())
def test_split_conserves_amounts(
    outcome: Outcome, bounty: int, bond: int, fees: int, validator_bps: int, weights: int, gain_seats: int, extra: int,
    is_void: bool, is_withheld: bool, data: st.DataObject,
) -> None:  # fmt: skip
    most = payouts.validators_pool(bounty + extra, validator_bps, fees) if outcome == Outcome.PAID else 0
    cost = data.draw(st.integers(0, most))
    pools = split(
        outcome, bounty, bond, fees, validator_bps, weights, gain_seats, extra, cost, is_void, is_withheld
    )  # fmt: skip
    returned = fees if returns_fees(outcome, is_void) else 0
    parts = pools.trainers + pools.validators + pools.to_creator + pools.to_treasury
    assert parts + returned == bounty + bond + fees + extra - cost
    assert min(pools.trainers, pools.validators, pools.to_creator, pools.to_treasury) >= 0


@given(outcome, amount, amount, amount, bps, weight, weight, amount, st.booleans())
def test_what_others_put_in_never_ends_with_the_creator(
    outcome: Outcome, bounty: int, bond: int, fees: int, validator_bps: int, weights: int, gain_seats: int, extra: int,
    is_void: bool,
) -> None:  # fmt: skip
    given_more = split(
        outcome, bounty, bond, fees, validator_bps, weights, gain_seats, extra, has_void_round=is_void
    )  # fmt: skip
    without = split(outcome, bounty, bond, 0, validator_bps, weights, gain_seats, 0, has_void_round=is_void)
    assert given_more.to_creator == without.to_creator <= bounty + bond


@given(amount, amount, amount, bps, weight)
def test_creator_has_no_more_without_weights_than_in_a_void_task(
    bounty: int, bond: int, fees: int, validator_bps: int, gain_seats: int
) -> None:
    worthless = split(Outcome.PAID, bounty, bond, fees, validator_bps, 0, gain_seats)
    void = split(Outcome.FAILED, bounty, bond, fees, validator_bps, has_void_round=True)
    assert worthless.to_creator <= void.to_creator
    assert worthless.trainers == 0 and worthless.flat


def test_split_of_a_paid_task() -> None:
    assert split(Outcome.PAID, 1_000, 50, 30, 2_000, 7, 9) == Pools(800, 230, 50, 0, False)


def test_half_of_the_trainers_part_is_returned_without_weights() -> None:
    assert split(Outcome.PAID, 1_000, 50, 30, 2_000, 0, 9) == Pools(0, 57, 450, 573, True)
    assert split(Outcome.PAID, 1_000, 50, 30, 2_000, 0, 9, extra=500) == Pools(0, 57, 450, 1_073, True)
    assert split(Outcome.PAID, 1_000, 50, 30, 2_000, 0, 9, appeal_cost=200) == Pools(0, 7, 450, 423, True)


def test_split_without_gains_is_flat() -> None:
    assert split(Outcome.PAID, 1_000, 50, 30, 2_000, 7, 0) == Pools(800, 57, 50, 173, True)
    assert split(Outcome.PAID, 1_000, 50, 30, 2_000, 7, 0, extra=500) == Pools(1_200, 57, 50, 273, True)


def test_split_of_refunded_and_failed_tasks() -> None:
    assert split(Outcome.REFUNDED, 1_001, 50, 30, 2_000) == Pools(0, 0, 1_051, 0, False)
    assert split(Outcome.FAILED, 1_001, 50, 30, 2_000) == Pools(0, 0, 1_051, 0, False)
    assert split(Outcome.FAILED, 1_001, 50, 30, 2_000, has_void_round=True) == Pools(0, 0, 550, 531, False)
    assert split(Outcome.FAILED, 1_001, 50, 30, 2_000, is_withheld=True) == Pools(0, 0, 500, 551, False)
    assert [returns_fees(end, void) for end in Outcome for void in (False, True)] == [
        False, False, False, False, True, True, True, False,
    ]  # fmt: skip
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
