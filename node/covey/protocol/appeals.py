"""Appeals of sealed tasks: contested median words, the committee that rescores them, bonds and rewards.

Equal to the contracts Appeals and AppealCommittee to the last wei. A contest covers one word (16 entries). All contests
of a task share one round, whose rows have one word per contest, in order of contest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from covey.protocol.scores import LANES, MAX_SCORE, pack, unpack, word_count
from covey.protocol.settlement import RevealedRow, clipped, quorum, weight_of, weighted_lower_median
from covey.protocol.types import AppealState, Round, Windows
from covey.protocol.windows import seed_in_time

MAX_SEATS = 1_023
MAX_H = 0x3FFF
"""Largest h that the lane-parallel comparison supports."""
OVERTURNED_H = 8
"""A row of the appeal stands if each score is within this many h of the appeal's median."""
STEPS = 4
"""Tips that a contest prepays: for a request and a proof of the seed, a settlement or a failure, its own resolution."""
USEFUL = 2
"""Smallest score of an entry that is better than the base."""


def appeal_seats(target_seats: int) -> int:
    """Seats of the appeal's committee: twice the task's plus one, at most 1,023."""
    return min(2 * target_seats + 1, MAX_SEATS)


def moves_beyond(h: int, tau: int) -> int:
    """A median is replaced if the appeal's differs by more than this: max(tau, 2h), score units."""
    return max(tau, 2 * h)


def least_stake(min_stake: int, total: int) -> int:
    """Stake that must enrol for an appeal, wei: the larger of the task's minimum and half of its stake, rounded up."""
    return max(min_stake, -(-total // 2))


def least_juror_stake(min_stake: int, target_seats: int) -> int:
    """Smallest stake, earmark behind the task included, with which an operator may enrol for an appeal, wei."""
    return -(-min_stake // appeal_seats(target_seats))


def award_of(validators_pool: int, entries: int) -> int:
    """What the round and, if the word moved, its appellant are paid for a word, wei: ceil(V / (2 words))."""
    words = word_count(entries)
    return -(-validators_pool // (2 * words)) if words else 0


def contest_bond(validators_pool: int, entries: int, tip: int) -> int:
    """Bond for contesting one word, wei: the award and four tips.

    Args:
        validators_pool: V, with top-ups and entry fees.
    """
    return award_of(validators_pool, entries) + STEPS * tip if entries else 0


def lanes(word: int) -> list[int]:
    """The sixteen scores of a word, the first in the highest lane."""
    return unpack([word], LANES)


def merged(old: int, found: int, h: int, tau: int) -> int:
    """The old word with the found score in each lane where that is above 0 and differs by more than max(tau, 2h).

    A found 0 means that the entry could not be had, which says nothing about its score.
    """
    limit = moves_beyond(h, tau)
    pairs = zip(lanes(old), lanes(found), strict=True)
    return pack([new if new and abs(new - before) > limit else before for before, new in pairs])[0]


def has_moved(old: int, found: int, h: int, tau: int) -> bool:
    """Whether a score of the word is replaced, so that the appellant was right."""
    return merged(old, found, h, tau) != old


def is_copy(old: int, found: int, h: int) -> bool:
    """Whether the found word looks like a copy: each lane with an old score of at least 2, of which there is one, was
    found within h. Scores of a fresh part of the set differ more."""
    useful = [(before, new) for before, new in zip(lanes(old), lanes(found), strict=True) if before >= USEFUL]
    return bool(useful) and all(abs(before - new) <= h for before, new in useful)


def is_overturned(word: int, found: int, beyond: int) -> bool:
    """Whether a row's word has a score more than ``beyond`` from the appeal's median, neither of the two being 0."""
    return any(a and b and abs(a - b) > beyond for a, b in zip(lanes(word), lanes(found), strict=True))


def row_stands_within(h: int, tau: int) -> int:
    """Distance from the appeal's median at which a row of the task still stands: both score different parts."""
    return 2 * moves_beyond(h, tau)


def juror_stands_within(h: int) -> int:
    """Distance from the appeal's median at which a row of the appeal still stands: both score the same part."""
    return OVERTURNED_H * h


def word_weight(word: int, floor: int, power: int) -> int:
    """Sum of the trainers' weights of a median word."""
    return sum(weight_of(median, floor, power) for median in lanes(word))


def is_row(words: Sequence[int], contested: Sequence[int], entries: int) -> bool:
    """Whether ``words`` may be revealed as a row over the contested words (their indices) of a task of ``entries``."""
    if len(words) != len(contested):
        return False
    for word, index in zip(words, contested, strict=True):
        used = min(LANES, entries - LANES * index)
        if any(score > MAX_SCORE for score in _raw(word)) or any(_raw(word)[used:]):
            return False
    return True


def _raw(word: int) -> list[int]:
    return [(word >> (16 * (LANES - 1 - lane))) & 0xFFFF for lane in range(LANES)]


@dataclass(frozen=True, slots=True)
class AppealRound:
    """A settled appeal round: median words by contest, losses beyond h and paid seats by row."""

    found: list[int]
    losses: list[int]
    paid: list[int]

    @property
    def paid_seats(self) -> int:
        """Seats that share the pool."""
        return sum(self.paid)


def settle_contests(rows: Sequence[RevealedRow], h: int, tau: int) -> AppealRound:
    """Compute the medians of the contested words and the paid rows: those within h of the medians in every lane.

    Args:
        rows: the revealed rows in order of reveal; scores over all contested words, sixteen per word.

    Raises:
        ValueError: no row, or rows of different lengths.
    """
    if not rows or any(len(row.scores) != len(rows[0].scores) for row in rows):
        raise ValueError("rows must cover the same words, at least one")
    seats = [row.seats for row in rows]
    medians = [weighted_lower_median(column, seats) for column in zip(*(row.scores for row in rows), strict=True)]
    losses = [sum(clipped(x - m, h, tau) for x, m in zip(row.scores, medians, strict=True)) for row in rows]
    paid = [row.seats if loss == 0 else 0 for row, loss in zip(rows, losses, strict=True)]
    return AppealRound(pack(medians), losses, paid)


@dataclass(frozen=True, slots=True)
class Resolution:
    """Outcome of one contest, in wei. `cost` and `tips` are taken from the task's escrow, `unspent` from the tips."""

    moved: bool
    copied: bool
    to_appellant: int
    to_pool: int
    to_treasury: int
    unspent: int
    cost: int = 0
    tips: int = 0


@dataclass(frozen=True, slots=True)
class Funds:
    """What a contest is decided over, wei.

    Attributes:
        award: `award_of` the task, fixed at the first contest.
        tip: of each step.
        unspent: this contest's part of the prepaid tips that no step has taken.
        pool_left: the validators' pool, less the cost of appeals so far.
        bond_left: the creator's bond, less all tips so far.
    """

    award: int
    tip: int
    unspent: int
    pool_left: int
    bond_left: int


def resolve(moved: bool | None, copied: bool, funds: Funds, paid_seats: int) -> Resolution:
    """Decide a contest's bond.

    Args:
        moved: whether a score of the word is replaced; None if the appeal failed.
        copied: whether the word that was found looks like a copy of the old one.
        paid_seats: seats of the rows that are paid; without any the treasury gets their part.
    """
    award, unspent = funds.award, funds.unspent
    if moved is None or (copied and not moved):
        return Resolution(False, copied and moved is not None, award + unspent, 0, 0, unspent)
    if moved:
        cost = min(2 * award, funds.pool_left)
        tips = min(STEPS * funds.tip - unspent, funds.bond_left)
        to_pool, to_treasury = (cost // 2, 0) if paid_seats else (0, cost // 2)
        to_appellant = award + unspent + tips + cost - cost // 2
        return Resolution(True, False, to_appellant, to_pool, to_treasury, unspent, cost, tips)
    if not paid_seats:
        return Resolution(False, False, 0, 0, award + unspent, unspent)
    return Resolution(False, False, 0, award, unspent, unspent)


def appeal_reward(pool: int, seats: int, paid_seats: int) -> int:
    """Flat share of the round's pool for a paid row, wei."""
    return pool * seats // paid_seats if paid_seats else 0


class AppealPhase(StrEnum):
    """The step that an appeal waits for."""

    CONTEST = "contests"
    ENROL = "enrolment"
    SEED_REQUEST = "seed request"
    SEED_FIX = "seed fix"
    SCORE_COMMIT = "score commit"
    SCORE_REVEAL = "score reveal"
    SETTLE = "settle"
    FAIL = "fail"
    """Too little stake has enrolled, the quorum was missed or the deadline has passed; anyone may fail the appeal."""
    WAIT = "deadline"
    """Too late for a committee, too early to fail."""
    RESOLVE = "resolve"
    """Contested words are to be resolved one by one."""
    REPORT = "reports"
    """Overturned rows can be reported; no earmark is released yet."""
    OVER = "over"


@dataclass(frozen=True, slots=True)
class AppealTimes:
    """State of an appeal, as in the contract Appeals; times in chain seconds."""

    state: AppealState
    contest_end: int
    enrol_end: int
    deadline: int
    report_end: int
    contested: int
    resolved: int
    has_enough_stake: bool = True
    """Whether at least `least_stake` has enrolled."""


def appeal_phase(
    appeal: AppealTimes, round_: Round | None, windows: Windows, target_seats: int, now: int
) -> AppealPhase:
    """The phase of an appeal at chain time ``now``; ``round_`` is None until its seed is requested.

    Args:
        target_seats: K of the *task*.
    """
    if appeal.state != AppealState.OPEN:
        if appeal.resolved < appeal.contested:
            return AppealPhase.RESOLVE
        return AppealPhase.REPORT if now < appeal.report_end else AppealPhase.OVER
    if now >= appeal.deadline:
        return AppealPhase.FAIL
    if now < appeal.contest_end:
        return AppealPhase.CONTEST
    if now < appeal.enrol_end:
        return AppealPhase.ENROL
    if not appeal.has_enough_stake:
        return AppealPhase.FAIL
    if round_ is None or not round_.seeded:
        if not seed_in_time(now, windows, appeal.deadline, 0):
            return AppealPhase.WAIT
        return AppealPhase.SEED_REQUEST if round_ is None or round_.target == 0 else AppealPhase.SEED_FIX
    if now < round_.score_commit_end:
        return AppealPhase.SCORE_COMMIT
    if now < round_.score_reveal_end and round_.revealed_rows < round_.committed_rows:
        return AppealPhase.SCORE_REVEAL
    if not quorum(round_.revealed_seats, round_.committed_seats, appeal_seats(target_seats)):
        return AppealPhase.FAIL
    return AppealPhase.SETTLE
