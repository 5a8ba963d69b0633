"""Settlement against independent definitions of the same values."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covey.protocol import scores, settlement
from covey.protocol.settlement import RevealedRow, Rules, settle

Table = np.ndarray[tuple[int, int], np.dtype[np.int64]]
RULES = Rules(h=150, tau=400, floor=655, power=2)


@st.composite
def tables(draw: st.DrawFn) -> tuple[Table, list[int], Rules, int]:
    """Scores (validators x entries) with ties and extremes, seats, rules, words per page."""
    validators = draw(st.integers(1, 9))
    entries = draw(st.integers(1, 40))
    value = st.one_of(st.integers(0, 3), st.integers(600, 1_400), st.integers(0, scores.MAX_SCORE))
    row = st.lists(value, min_size=entries, max_size=entries)
    table = np.array(draw(st.lists(row, min_size=validators, max_size=validators)), dtype=np.int64)
    seats = draw(st.lists(st.integers(1, 12), min_size=validators, max_size=validators))
    rules = Rules(
        draw(st.integers(0, 16_383)), draw(st.integers(1, 4_095)), draw(st.integers(1, 900)), draw(st.integers(1, 3))
    )
    return table, seats, rules, draw(st.integers(1, 3))


def settled(table: Table, seats: list[int], rules: Rules, width: int) -> settlement.Settlement:
    rows = [RevealedRow(f"0x{i:040x}", s, [int(x) for x in table[i]]) for i, s in enumerate(seats)]
    return settle(rows, rules, width)


@given(tables())
@settings(max_examples=80)
def test_medians_equal_the_lower_median_of_repeated_votes(case: tuple[Table, list[int], Rules, int]) -> None:
    table, seats, rules, width = case
    votes = np.sort(np.repeat(table, seats, axis=0), axis=0)
    assert settled(table, seats, rules, width).medians == votes[(len(votes) - 1) // 2].tolist()


@given(tables())
@settings(max_examples=80)
def test_losses_gains_and_weights_equal_their_definitions(case: tuple[Table, list[int], Rules, int]) -> None:
    table, seats, rules, width = case
    got = settled(table, seats, rules, width)
    medians = np.array(got.medians, dtype=np.int64)
    losses = np.clip(np.abs(table - medians) - rules.h, 0, rules.tau).sum(axis=1)
    assert got.losses == losses.tolist()

    spread = 0
    lanes = width * scores.LANES
    for start in range(0, len(medians), lanes):
        page = medians[start : start + lanes]
        for i in np.flatnonzero(page >= 2):
            step = 1
            while page[(i + step) % len(page)] < 2:  # cyclic: ends at i itself at the latest
                step += 1
            distance = abs(int(page[i]) - int(page[(i + step) % len(page)]))
            spread += min(max(distance - 2 * rules.h, 0), rules.tau)
    assert got.spread == spread == sum(page.spread for page in got.pages)
    assert got.gains == [max(0, spread - 2 * int(loss)) for loss in losses]
    assert got.gain_seats == sum(s * g for s, g in zip(seats, got.gains, strict=True))

    weights = [max(0, int(m) - rules.floor) ** rules.power for m in medians]
    assert got.weights == weights
    assert got.total_weights == sum(weights) == sum(page.weights for page in got.pages)


@given(tables(), st.integers(0, scores.MAX_SCORE))
@settings(max_examples=80)
def test_constant_row_gains_nothing(case: tuple[Table, list[int], Rules, int], constant: int) -> None:
    table, seats, rules, width = case
    table = np.vstack([table, np.full(table.shape[1], constant)])
    assert settled(table, [*seats, 1], rules, width).gains[-1] == 0


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 5)), min_size=1, max_size=12))
def test_only_the_weighted_lower_median_passes_the_check(pairs: list[tuple[int, int]]) -> None:
    values, weights = [v for v, _ in pairs], [w for _, w in pairs]
    total = sum(weights)
    if total == 0:
        with pytest.raises(ValueError, match="not all zero"):
            settlement.weighted_lower_median(values, weights)
        return
    accepted = [m for m in range(52) if settlement.is_weighted_lower_median(m, values, weights)]
    assert accepted == [settlement.weighted_lower_median(values, weights)]


def test_honest_rows_gain_and_dishonest_rows_do_not() -> None:
    rng = np.random.default_rng(7)
    truth = rng.integers(1_000, 12_000, size=64)
    honest = np.clip(truth + rng.normal(0, 100, size=(9, 64)), 1, scores.MAX_SCORE).astype(np.int64)
    random_row = rng.integers(1, 12_000, size=64)
    got = settled(np.vstack([honest, random_row, np.full(64, 6_000)]), [2] * 11, RULES, 64)
    assert min(got.gains[:9]) > 0.8 * got.spread
    assert got.gains[9:] == [0, 0]


def test_one_useful_entry_has_no_spread() -> None:
    table = np.array([[900, 1, 0], [900, 1, 0], [900, 1, 1]])
    assert settled(table, [1, 1, 1], RULES, 1).spread == 0


def test_round_is_void_only_if_every_median_is_zero() -> None:
    assert settled(np.array([[0, 0], [0, 0], [9, 9]]), [1, 1, 1], RULES, 1).is_void
    assert not settled(np.array([[0, 1], [0, 1], [9, 9]]), [1, 1, 1], RULES, 1).is_void
    assert not settled(np.array([[0] * 17 + [2]]), [1], RULES, 1).is_void, "a later page counts too"


def test_quorum_is_a_majority_of_committed_and_of_target_seats() -> None:
    assert settlement.quorum(11, 21, 21)
    assert not settlement.quorum(10, 20, 21)
    assert not settlement.quorum(11, 22, 21)
    assert not settlement.quorum(0, 0, 21)


def test_rows_that_cannot_be_settled_are_refused() -> None:
    with pytest.raises(ValueError, match="no revealed row"):
        settle([], RULES)
    with pytest.raises(ValueError, match="same entries"):
        settle([RevealedRow("0x1", 1, [1, 2]), RevealedRow("0x2", 1, [1])], RULES)


def test_page_width_defaults_to_that_of_the_revealed_rows() -> None:
    rows = [RevealedRow(f"0x{i:040x}", 1, [5] * 33) for i in range(3)]
    assert len(settle(rows, RULES).pages) == 1
    assert len(settle(rows, RULES, 1).pages) == 3
    assert Fraction(settle(rows, RULES).total_weights) == 0
