"""Settlement: computes and checks the medians, losses, gains and weights of a scored task.

The results equal those of Scoring.settlePage bit for bit. With m the seat-weighted lower medians, h and tau in score
units and pi(i) the next entry of the same page whose median is at least 2, cyclic:

- G = sum over entries with m_i >= 2 of min(max(|m_i - m_pi(i)| - 2h, 0), tau)
- L_j = sum over all entries of min(max(|x_ij - m_i| - h, 0), tau)
- gain_j = max(0, sum over pages of G - 2 L_j)
- w_i = max(0, m_i - floor)^p

By the triangle inequality a constant row has 2 L >= G and gains nothing. A second committee (round 1) has flat gains: 1
where the gain is above 0. In a sealed task, whose rows can be computed again, it takes G > 0 and a loss of 0.

If every median is 0, nobody could fetch what was to be scored: the round is *void* and pays nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from covey.protocol.merkle import page_root
from covey.protocol.scores import LANES, pack, page_words, pages_of

USEFUL = 2
"""Smallest median of an entry that is better than the base."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Parameters of a task: h, tau and floor in score units, and the power p of the trainers' weights."""

    h: int
    tau: int
    floor: int
    power: int


@dataclass(frozen=True, slots=True)
class RevealedRow:
    """A revealed row: operator, its seats, and its score (0..32767) of every entry."""

    operator: str
    seats: int
    scores: Sequence[int]


@dataclass(frozen=True, slots=True)
class Page:
    """A settled page: its median words, their Merkle root, its sum of weights, its G."""

    words: list[int]
    root: bytes
    weights: int
    spread: int


@dataclass(frozen=True, slots=True)
class Settlement:
    """A settled task.

    ``medians`` and ``weights`` are by lane, ``losses`` and ``gains`` in order of reveal.
    """

    medians: list[int]
    median_words: list[int]
    pages: list[Page]
    losses: list[int]
    gains: list[int]
    weights: list[int]
    total_weights: int
    gain_seats: int
    spread: int
    revealed_seats: int

    @property
    def is_void(self) -> bool:
        """Whether every median is 0."""
        return not any(self.medians)


def weighted_lower_median(values: Sequence[int], weights: Sequence[int]) -> int:
    """The smallest x with 2 weight(values <= x) >= W, where W is the sum of weights.

    It is the only x that `is_weighted_lower_median` accepts.

    Raises:
        ValueError: no values, a different number of weights, or weights that are negative or all zero.
    """
    total = sum(weights)
    if not values or len(values) != len(weights) or total <= 0 or min(weights) < 0:
        raise ValueError("a weighted median needs one non-negative weight per value, not all zero")
    reached = 0
    for value, weight in sorted(zip(values, weights, strict=True)):
        reached += weight
        if 2 * reached >= total:
            return value
    raise ValueError("unreachable: the sum of all weights is less than half of it")


def is_weighted_lower_median(median: int, values: Sequence[int], weights: Sequence[int]) -> bool:
    """Check a claimed median as Scoring.settlePage does: 2 weight(<= median) >= W and 2 weight(< median) < W.

    W is the sum of weights. Exactly one of the values passes.

    Raises:
        ValueError: the numbers of values and weights differ.
    """
    total = sum(weights)
    up_to = sum(weight for value, weight in zip(values, weights, strict=True) if value <= median)
    below = sum(weight for value, weight in zip(values, weights, strict=True) if value < median)
    return 2 * up_to >= total and 2 * below < total


def weight_of(median: int, floor: int, power: int) -> int:
    """w = max(0, median - floor)^power: an entry's weight in the trainers' pool."""
    above: int = max(0, median - floor)
    return int(above**power)


def clipped(difference: int, free: int, tau: int) -> int:
    """min(max(|difference| - free, 0), tau)."""
    return min(max(abs(difference) - free, 0), tau)


def page_spread(medians: Sequence[int], h: int, tau: int) -> int:
    """G of a page: the clipped distances of each useful median to the next useful one, cyclic, summed."""
    useful = [m for m in medians if m >= USEFUL]
    return sum(clipped(m - following, 2 * h, tau) for m, following in zip(useful, useful[1:] + useful[:1], strict=True))


def row_loss(scores: Sequence[int], medians: Sequence[int], h: int, tau: int) -> int:
    """L of a row: the clipped distances of its scores to the medians, summed over all entries."""
    return sum(clipped(x - m, h, tau) for x, m in zip(scores, medians, strict=True))


def gain_of(spread: int, loss: int, round_number: int = 0, is_sealed: bool = False) -> int:
    """Gain of a row with that loss: max(0, G - 2 L).

    In a second committee 1 if that is above 0; in one of a sealed task 1 if G is above 0 and the loss 0.
    """
    if round_number == 0:
        return max(0, spread - 2 * loss)
    return int(spread > 0 and loss == 0) if is_sealed else int(spread > 2 * loss)


def quorum(revealed_seats: int, committed_seats: int, target_seats: int) -> bool:
    """Whether more than half of the committed seats, and more than K/2 seats, have revealed."""
    return 2 * revealed_seats > committed_seats and 2 * revealed_seats > target_seats


def settle(
    rows: Sequence[RevealedRow],
    rules: Rules,
    words_per_page: int | None = None,
    round_number: int = 0,
    is_sealed: bool = False,
) -> Settlement:
    """Settle all pages of a task.

    Args:
        rows: the revealed rows in order of reveal, all over the same entries.
        words_per_page: words of a page, which the contract derives from the number of *committed* rows; by default
            `page_words` of the number of revealed rows.
        round_number: 0 for the first committee, 1 for a second, whose gains are flat.
        is_sealed: whether all rows were computed from the same part of a sealed set.

    Raises:
        ValueError: no row, rows of different lengths, or no seat.
    """
    if not rows:
        raise ValueError("no revealed row to settle")
    entries = len(rows[0].scores)
    if entries == 0 or any(len(row.scores) != entries for row in rows):
        raise ValueError("rows must cover the same entries, at least one")
    seats = [row.seats for row in rows]
    medians = [weighted_lower_median(column, seats) for column in zip(*(row.scores for row in rows), strict=True)]
    words = pack(medians)
    per_page = page_words(len(rows)) if words_per_page is None else words_per_page
    weights = [weight_of(m, rules.floor, rules.power) for m in medians]
    pages = []
    for number, page in enumerate(pages_of(words, per_page)):
        lanes = slice(number * per_page * LANES, (number + 1) * per_page * LANES)
        spread = page_spread(medians[lanes], rules.h, rules.tau)
        pages.append(Page(list(page), page_root(page), sum(weights[lanes]), spread))
    total_spread = sum(page.spread for page in pages)
    losses = [row_loss(row.scores, medians, rules.h, rules.tau) for row in rows]
    gains = [gain_of(total_spread, loss, round_number, is_sealed) for loss in losses]
    return Settlement(
        medians=medians,
        median_words=words,
        pages=pages,
        losses=losses,
        gains=gains,
        weights=weights,
        total_weights=sum(weights),
        gain_seats=sum(s * g for s, g in zip(seats, gains, strict=True)),
        spread=total_spread,
        revealed_seats=sum(seats),
    )
