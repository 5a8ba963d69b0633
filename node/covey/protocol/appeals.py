"""Appeals of sealed tasks: contested median words, the committee that rescores them, bonds and rewards.

Equal to the contracts Appeals and AppealCommittee to the last wei. A contest covers one word (16 entries). All contests
of a task share one round, whose rows have one word per contest, in order of contest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from covey.protocol.payouts import BPS
from covey.protocol.scores import LANES, MAX_SCORE, pack, unpack, word_count
from covey.protocol.settlement import RevealedRow, clipped, quorum, weight_of, weighted_lower_median
from covey.protocol.types import AppealState, Round, Windows
from covey.protocol.windows import seed_in_time

MAX_SEATS = 1_023
MAX_H = 0x3FFF
"""Largest tolerance that the lane-parallel comparison supports."""
TOLERANCE_H = 8
"""A row is paid, and an original row stands, if each score is within this many h of the appeal's median."""


def appeal_seats(target_seats: int) -> int:
    """Seats of the appeal's committee: twice the task's plus one, at most 1,023."""
    return min(2 * target_seats + 1, MAX_SEATS)


def tolerance(h: int) -> int:
    """Largest distance of a paid row from the appeal's medians, score units: 8h, at most MAX_H."""
    return min(TOLERANCE_H * h, MAX_H)


def contest_bond(bounty: int, validator_bps: int, entries: int) -> int:
    """Bond for contesting one word, wei: 1 / (2 words) of the validators' part of the bounty, rounded up."""
    words = word_count(entries)
    return -(-(bounty * validator_bps // BPS) // (2 * words)) if words else 0


def lanes(word: int) -> list[int]:
    """The sixteen scores of a word, the first in the highest lane."""
    return unpack([word], LANES)


def has_moved(before: int, after: int, h: int, tau: int) -> bool:
    """Whether a median of the word moved by more than max(tau, 2h), so that the appellant was right."""
    limit = max(tau, 2 * h)
    return any(abs(a - b) > limit for a, b in zip(lanes(before), lanes(after), strict=True))


def is_overturned(word: int, median_word: int, h: int) -> bool:
    """Whether a row's word has a score more than 8h from the appeal's median, neither of the two being 0."""
    pairs = zip(lanes(word), lanes(median_word), strict=True)
    return any(a and b and abs(a - b) > TOLERANCE_H * h for a, b in pairs)


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
    """A settled appeal round: median words by contest, losses beyond the tolerance and paid seats by row."""

    found: list[int]
    losses: list[int]
    paid: list[int]

    @property
    def paid_seats(self) -> int:
        """Seats that share the pool."""
        return sum(self.paid)


def settle_contests(rows: Sequence[RevealedRow], h: int, tau: int) -> AppealRound:
    """Compute the medians of the contested words and the paid rows.

    Args:
        rows: the revealed rows in order of reveal; scores over all contested words, sixteen per word.

    Raises:
        ValueError: no row, or rows of different lengths.
    """
    if not rows or any(len(row.scores) != len(rows[0].scores) for row in rows):
        raise ValueError("rows must cover the same words, at least one")
    seats = [row.seats for row in rows]
    medians = [weighted_lower_median(column, seats) for column in zip(*(row.scores for row in rows), strict=True)]
    free = tolerance(h)
    losses = [sum(clipped(x - m, free, tau) for x, m in zip(row.scores, medians, strict=True)) for row in rows]
    paid = [row.seats if loss == 0 else 0 for row, loss in zip(rows, losses, strict=True)]
    return AppealRound(pack(medians), losses, paid)


@dataclass(frozen=True, slots=True)
class Resolution:
    """Outcome of one contest, in wei. `cost` and `premium` are taken from the task's escrow."""

    moved: bool
    to_appellant: int
    to_pool: int
    cost: int = 0
    premium: int = 0


def resolve(moved: bool | None, bond: int, pool_left: int, bond_left: int) -> Resolution:
    """Decide a contest's bond.

    Args:
        moved: whether the median moved; None if the round has no result, in which case the bond is returned.
        pool_left: the validators' part of the bounty, less the cost of appeals so far.
        bond_left: the creator's bond, less tips and premiums so far.
    """
    if moved is None:
        return Resolution(False, bond, 0)
    if not moved:
        return Resolution(False, 0, bond)
    cost, premium = min(bond, pool_left), min(bond, bond_left)
    return Resolution(True, bond + premium, cost, cost, premium)


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
    """The quorum was missed or the deadline has passed; anyone may fail the appeal."""
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
