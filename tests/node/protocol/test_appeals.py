"""Appeals: bonds, moved medians, overturned and paid rows, phases. Also penalties of faults and flat gains."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey.protocol.appeals import (
    AppealPhase,
    AppealTimes,
    Resolution,
    appeal_phase,
    appeal_reward,
    appeal_seats,
    contest_bond,
    has_moved,
    is_overturned,
    is_row,
    resolve,
    settle_contests,
    tolerance,
    word_weight,
)
from covey.protocol.faults import slash_of, stake_in_round
from covey.protocol.payouts import split
from covey.protocol.scores import LANES, pack
from covey.protocol.settlement import RevealedRow, Rules, gain_of, settle
from covey.protocol.types import AppealState, Fault, Outcome, Round, Windows
from covey.protocol.windows import seed_in_time

score = st.integers(0, 0x7FFF)
word = st.lists(score, min_size=LANES, max_size=LANES)


def pack_word(*scores: int) -> int:
    [packed] = pack([*scores, *[0] * (LANES - len(scores))])
    return packed


def test_seats_bonds_and_weights_of_examples() -> None:
    assert [appeal_seats(k) for k in (1, 21, 511, 512, 1023)] == [3, 43, 1023, 1023, 1023]
    assert contest_bond(1_000, 2_000, 17) == 50, "two words: a quarter of 200"
    assert contest_bond(1_001, 2_000, 1) == 100, "of 200, rounded up"
    assert contest_bond(1_001, 3_333, 33) == 56, "333 over six, rounded up"
    assert contest_bond(1_000, 2_000, 0) == 0
    assert (tolerance(8), tolerance(8_000)) == (64, 0x3FFF)
    assert word_weight(pack_word(700, 100, 900), 655, 2) == 45**2 + 245**2


def test_median_has_moved_beyond_the_larger_of_tau_and_2h() -> None:
    assert not has_moved(pack_word(1_000, 5), pack_word(1_500, 5), h=50, tau=500)
    assert has_moved(pack_word(1_000, 5), pack_word(1_501, 5), h=50, tau=500)
    assert not has_moved(pack_word(1_000), pack_word(1_600), h=300, tau=500)
    assert has_moved(pack_word(1_000), pack_word(0), h=300, tau=500), "a median that becomes 0 has moved"


def test_row_is_overturned_beyond_8h_unless_a_score_is_zero() -> None:
    assert not is_overturned(pack_word(1_000, 9), pack_word(1_080, 9), h=10)
    assert is_overturned(pack_word(1_000, 9), pack_word(1_081, 9), h=10)
    assert not is_overturned(pack_word(0), pack_word(9_000), h=10)
    assert not is_overturned(pack_word(9_000), pack_word(0), h=10)


def test_row_has_one_word_per_contest_and_no_score_past_the_last_entry() -> None:
    full, last = pack_word(*range(1, 17)), pack_word(1, 2, 3)
    assert is_row([full, last], [0, 1], 19)
    assert is_row([last, full], [1, 0], 19), "in order of contest"
    assert not is_row([full, last], [1, 0], 19)
    assert not is_row([full], [0, 1], 19)
    assert not is_row([1 << 255], [0], 19)


@given(word, st.integers(8, 300), st.integers(1, 4095))
def test_identical_rows_are_paid(scores: list[int], h: int, tau: int) -> None:
    rows = [RevealedRow("a", 3, scores), RevealedRow("b", 2, scores)]
    found = settle_contests(rows, h, tau)
    assert (found.found, found.paid, found.paid_seats) == (pack(scores), [3, 2], 5)
    assert not has_moved(pack(scores)[0], found.found[0], h, tau)


def test_rows_within_8h_share_the_pool_by_seats() -> None:
    rows = [RevealedRow("a", 5, [1_000] * 16), RevealedRow("b", 2, [1_080] * 16), RevealedRow("c", 2, [1_081] * 16)]
    found = settle_contests(rows, 10, 500)
    assert (found.paid, found.losses) == ([5, 2, 0], [0, 0, 16])
    assert [appeal_reward(100, seats, found.paid_seats) for seats in found.paid] == [71, 28, 0]
    assert appeal_reward(100, 0, 0) == 0
    with pytest.raises(ValueError, match="the same words"):
        settle_contests([RevealedRow("a", 3, [1]), RevealedRow("b", 3, [1, 2])], 10, 500)


def test_contest_bond_is_resolved() -> None:
    assert resolve(None, 50, 10, 10) == Resolution(False, 50, 0), "no result: the bond is returned"
    assert resolve(False, 50, 10, 10) == Resolution(False, 0, 50), "not moved: the bond pays the round"
    assert resolve(True, 50, 1_000, 1_000) == Resolution(True, 100, 50, 50, 50), "moved: bond and premium"
    assert resolve(True, 50, 20, 7) == Resolution(True, 57, 20, 20, 7), "limited by the available amounts"


@given(st.booleans() | st.none(), *[st.integers(0, 1 << 60)] * 3)
def test_resolution_conserves_amounts(moved: bool | None, bond: int, pool: int, left: int) -> None:
    made = resolve(moved, bond, pool, left)
    assert made.to_appellant + made.to_pool == bond + made.cost + made.premium
    assert made.cost <= pool and made.premium <= left


WINDOWS = Windows(100, 50, 50, 10, 100, 50, 500, 60)
TIMES = AppealTimes(AppealState.OPEN, 1_000, 1_050, 1_700, 0, 1, 0)
ROUND = Round(0, 9, b"\1" * 32, 1_060, 1_160, 1_210, 2, 30, 2, 30, 64, 1, 0, 0)


@pytest.mark.parametrize(
    ("times", "round_", "now", "expected"),
    [
        (TIMES, None, 999, AppealPhase.CONTEST),
        (TIMES, None, 1_049, AppealPhase.ENROL),
        (TIMES, None, 1_050, AppealPhase.SEED_REQUEST),
        (TIMES, None, 1_550, AppealPhase.SEED_REQUEST),
        (TIMES, None, 1_551, AppealPhase.WAIT),
        (TIMES, replace(ROUND, seed=bytes(32)), 1_055, AppealPhase.SEED_FIX),
        (TIMES, ROUND, 1_159, AppealPhase.SCORE_COMMIT),
        (TIMES, ROUND, 1_160, AppealPhase.SETTLE),
        (TIMES, replace(ROUND, revealed_rows=1, revealed_seats=16), 1_209, AppealPhase.SCORE_REVEAL),
        (TIMES, replace(ROUND, revealed_rows=1, revealed_seats=10), 1_210, AppealPhase.FAIL),
        (TIMES, ROUND, 1_700, AppealPhase.FAIL),
        (replace(TIMES, state=AppealState.SETTLED, report_end=1_300), ROUND, 1_250, AppealPhase.RESOLVE),
        (replace(TIMES, state=AppealState.SETTLED, report_end=1_300, resolved=1), ROUND, 1_299, AppealPhase.REPORT),
        (replace(TIMES, state=AppealState.SETTLED, report_end=1_300, resolved=1), ROUND, 1_300, AppealPhase.OVER),
        (replace(TIMES, state=AppealState.FAILED), None, 1_700, AppealPhase.RESOLVE),
    ],
)
def test_appeal_phase(times: AppealTimes, round_: Round | None, now: int, expected: AppealPhase) -> None:
    assert appeal_phase(times, round_, WINDOWS, 10, now) == expected


def test_seed_must_leave_time_for_the_windows() -> None:
    assert seed_in_time(90, WINDOWS, 300, 60)
    assert not seed_in_time(91, WINDOWS, 300, 60)


def test_faults_cost_a_share_and_exclude_from_the_second_committee() -> None:
    assert [slash_of(fault, 1_000) for fault in Fault] == [10, 50, 100]
    assert stake_in_round(0, 7, abstained=True, unrevealed=True, reported=True) == 7
    assert stake_in_round(1, 7, abstained=False, unrevealed=False, reported=False) == 7
    for out in range(3):
        assert stake_in_round(1, 7, out == 0, out == 1, out == 2) == 0


def test_second_committee_has_flat_gains() -> None:
    assert [gain_of(100, loss) for loss in (0, 30, 50, 80)] == [100, 40, 0, 0]
    assert [gain_of(100, loss, 1) for loss in (0, 30, 50, 80)] == [1, 1, 0, 0]
    rows = [RevealedRow("a", 3, [900, 4_000]), RevealedRow("b", 1, [4_000, 900])]
    first, second = (settle(rows, Rules(10, 500, 100, 1), 64, number) for number in (0, 1))
    assert first.gains[0] > 1
    assert (second.gains, second.gain_seats) == ([1, 0], 3)
    assert (first.medians, first.losses) == (second.medians, second.losses)


def test_split_with_extra_bounty_and_appeal_cost() -> None:
    paid = split(Outcome.PAID, 1_000, 50, 30, 2_000, 7, 9, extra=500, appeal_cost=40)
    assert (paid.trainers, paid.validators, paid.to_creator, paid.to_treasury) == (1_200, 290, 50, 0)
    refunded = split(Outcome.REFUNDED, 1_000, 50, 30, 2_000, extra=500)
    assert refunded.to_treasury == 500, "a creator cannot gain the extra bounty by cancelling"
    assert split(Outcome.FAILED, 1_000, 50, 30, 2_000, extra=500).to_treasury == 1_050
