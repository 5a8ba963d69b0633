"""Appeals: bonds, moved medians, overturned and paid rows, phases. Also penalties of faults and flat gains."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey.protocol.appeals import (
    STEPS,
    AppealPhase,
    AppealTimes,
    Funds,
    Resolution,
    appeal_phase,
    appeal_reward,
    appeal_seats,
    award_of,
    contest_bond,
    has_moved,
    is_copy,
    is_overturned,
    is_row,
    juror_stands_within,
    lanes,
    least_juror_stake,
    least_stake,
    merged,
    resolve,
    row_stands_within,
    settle_contests,
    word_weight,
)
from covey.protocol.faults import (
    bounty_limit,
    least_enrolment,
    missed_kind,
    missed_slash,
    slash_of,
    stake_in_round,
    unit,
)
from covey.protocol.payouts import split
from covey.protocol.scores import LANES, pack
from covey.protocol.settlement import RevealedRow, Rules, gain_of, settle
from covey.protocol.types import AppealState, Fault, Outcome, Round, SlashKind, Windows
from covey.protocol.windows import seed_in_time

score = st.integers(0, 0x7FFF)
word = st.lists(score, min_size=LANES, max_size=LANES)


def pack_word(*scores: int) -> int:
    [packed] = pack([*scores, *[0] * (LANES - len(scores))])
    return packed


def test_seats_bonds_and_weights_of_examples() -> None:
    assert [appeal_seats(k) for k in (1, 21, 511, 512, 1023)] == [3, 43, 1023, 1023, 1023]
    assert contest_bond(200, 17, 0) == 50, "two words: a quarter"
    assert contest_bond(200, 1, 3) == 112, "half, and four tips"
    assert contest_bond(333, 33, 0) == award_of(333, 33) == 56, "over six, rounded up"
    assert contest_bond(200, 0, 3) == award_of(200, 0) == 0
    assert word_weight(pack_word(700, 100, 900), 655, 2) == 45**2 + 245**2
    assert (least_stake(100, 199), least_stake(100, 201)) == (100, 101)
    assert (least_juror_stake(1_000, 21), least_juror_stake(1_000, 9)) == (24, 53)


def test_score_is_replaced_beyond_the_larger_of_tau_and_2h() -> None:
    assert not has_moved(pack_word(1_000, 5), pack_word(1_500, 5), h=50, tau=500)
    assert merged(pack_word(1_000, 5), pack_word(1_501, 9), h=50, tau=500) == pack_word(1_501, 5), "lane by lane"
    assert not has_moved(pack_word(1_000), pack_word(1_600), h=300, tau=500)
    assert has_moved(pack_word(1_000), pack_word(399), h=300, tau=500)


def test_score_that_the_appeal_could_not_have_stands() -> None:
    assert merged(pack_word(9_000, 9_000), pack_word(0, 1), h=10, tau=500) == pack_word(9_000, 1)
    assert not has_moved(pack_word(9_000), pack_word(0), h=10, tau=500)
    assert merged(pack_word(0), pack_word(9_000), h=10, tau=500) == pack_word(9_000), "what was 0 can be found"


def test_result_within_h_of_all_useful_scores_is_a_copy() -> None:
    assert is_copy(pack_word(1_000, 1, 2_000), pack_word(1_010, 700, 1_990), h=10)
    assert not is_copy(pack_word(1_000, 1, 2_000), pack_word(1_011, 1, 2_000), h=10)
    assert not is_copy(pack_word(1, 0), pack_word(1, 0), h=10), "nothing useful to copy"
    assert not is_copy(pack_word(1_000), pack_word(0), h=10)


@given(word, word, st.integers(8, 300), st.integers(655, 4095))
def test_merged_word_has_old_or_found_scores(old: list[int], found: list[int], h: int, tau: int) -> None:
    after = lanes(merged(pack(old)[0], pack(found)[0], h, tau))
    for before, new, kept in zip(old, found, after, strict=True):
        assert kept == (new if new and abs(new - before) > max(tau, 2 * h) else before)


def test_row_is_overturned_beyond_its_distance_unless_a_score_is_zero() -> None:
    assert (juror_stands_within(10), row_stands_within(10, 655), row_stands_within(400, 655)) == (80, 1_310, 1_600)
    assert not is_overturned(pack_word(1_000, 9), pack_word(1_080, 9), 80)
    assert is_overturned(pack_word(1_000, 9), pack_word(1_081, 9), 80)
    assert not is_overturned(pack_word(0), pack_word(9_000), 80)
    assert not is_overturned(pack_word(9_000), pack_word(0), 80)


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


def test_rows_within_h_share_the_pool_by_seats() -> None:
    rows = [RevealedRow("a", 5, [1_000] * 16), RevealedRow("b", 2, [1_010] * 16), RevealedRow("c", 2, [1_011] * 16)]
    found = settle_contests(rows, 10, 500)
    assert (found.paid, found.losses) == ([5, 2, 0], [0, 0, 16])
    assert [appeal_reward(100, seats, found.paid_seats) for seats in found.paid] == [71, 28, 0]
    assert appeal_reward(100, 0, 0) == 0
    with pytest.raises(ValueError, match="the same words"):
        settle_contests([RevealedRow("a", 3, [1]), RevealedRow("b", 3, [1, 2])], 10, 500)


def test_contest_bond_is_resolved() -> None:
    funds = Funds(award=50, tip=3, unspent=5, pool_left=1_000, bond_left=1_000)
    assert resolve(None, False, funds, 0) == Resolution(False, False, 55, 0, 0, 5), "no result: all but spent tips"
    assert resolve(False, True, funds, 9) == Resolution(False, True, 55, 0, 0, 5), "copied: the round earns nothing"
    assert resolve(False, False, funds, 9) == Resolution(False, False, 0, 50, 5, 5), "not moved: the bond pays"
    assert resolve(False, False, funds, 0) == Resolution(False, False, 0, 0, 55, 5), "nobody to pay"
    moved = resolve(True, False, funds, 9)
    assert moved == Resolution(True, False, 112, 50, 0, 5, cost=100, tips=7), "bond, award and spent tips"
    poor = resolve(True, False, replace(funds, pool_left=21, bond_left=4), 9)
    assert poor == Resolution(True, False, 70, 10, 0, 5, cost=21, tips=4), "limited by what is left"


def test_right_appellant_pays_nothing_and_a_wrong_one_its_whole_bond() -> None:
    award, tip, own = 50, 3, 3  # one tip goes to who resolves
    for spent in range(3 * tip + 1):
        funds = Funds(award, tip, 3 * tip - spent, 10**6, 10**6)
        bond = award + STEPS * tip
        assert resolve(True, False, funds, 1).to_appellant == bond + award
        assert resolve(False, False, funds, 1).to_appellant == 0
        assert resolve(None, False, funds, 0).to_appellant == bond - spent - own


amounts = st.integers(0, 1 << 60)


@given(st.booleans() | st.none(), st.booleans(), st.integers(0, 5), amounts, st.integers(0, 99), amounts, amounts)
def test_resolution_conserves_amounts(
    moved: bool | None, copied: bool, paid_seats: int, award: int, tip: int, pool: int, left: int
) -> None:
    made = resolve(moved, copied, Funds(award, tip, min(2, 3 * tip), pool, left), paid_seats)
    paid = made.to_appellant + made.to_pool + made.to_treasury
    assert paid == award + made.unspent + made.cost + made.tips
    assert made.cost <= pool and made.tips <= left
    assert made.to_pool == 0 or paid_seats


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
        (replace(TIMES, has_enough_stake=False), None, 1_049, AppealPhase.ENROL),
        (replace(TIMES, has_enough_stake=False), None, 1_050, AppealPhase.FAIL),
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


def test_faults_cost_a_share_of_the_unit_for_each_seat() -> None:
    assert [slash_of(fault, 3, 1_000) for fault in Fault] == [150, 750, 1_500]
    assert [missed_slash(3, 1_000, failed) for failed in (False, True)] == [750, 3_000]
    assert [missed_kind(failed) for failed in (False, True)] == [SlashKind.MISSED_ROUND, SlashKind.FAILED_TASK]
    assert (least_enrolment(1_000, 21), least_enrolment(1_050, 21)) == (48, 50)


def test_unit_is_the_bounty_for_each_seat_of_the_stake_that_is_drawn() -> None:
    assert unit(1_000, 2_000, 5_000, 5_000, 20) == 50
    assert unit(1_000, 2_000, 2_500, 5_000, 20) == 25, "half of the stake is left for the second committee"
    assert unit(3_000, bounty_limit(5_000, 50_000), 5_000, 5_000, 20) == 50, "at most a fifth of the seat's stake"
    assert unit(1_000, 1_000, 0, 0, 20) == 0


@given(st.integers(1, 1 << 40), st.integers(1, 1 << 60), st.integers(1, 99), st.integers(20_000, 99_999))
def test_unit_is_at_most_a_seats_stake_over_the_multiple(bounty: int, total: int, seats: int, multiple: int) -> None:
    worth = unit(bounty, bounty_limit(total, multiple), total, total, seats)
    assert worth * multiple * seats <= total * 10_000


def test_faults_exclude_from_the_second_committee() -> None:
    assert stake_in_round(0, 7, abstained=True, unrevealed=True, reported=True) == 7
    assert stake_in_round(1, 7, abstained=False, unrevealed=False, reported=False) == 7
    for out in range(3):
        assert stake_in_round(1, 7, out == 0, out == 1, out == 2) == 0


def test_second_committee_has_flat_gains() -> None:
    assert [gain_of(100, loss) for loss in (0, 30, 50, 80)] == [100, 40, 0, 0]
    assert [gain_of(100, loss, 1) for loss in (0, 30, 50, 80)] == [1, 1, 0, 0]
    assert [gain_of(100, loss, 1, is_sealed=True) for loss in (0, 1, 30, 80)] == [1, 0, 0, 0], "a copy has a loss"
    assert (gain_of(0, 0, 1), gain_of(0, 0, 1, is_sealed=True), gain_of(100, 30, 0, is_sealed=True)) == (0, 0, 40)
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
    assert split(Outcome.FAILED, 1_000, 50, 30, 2_000, extra=500).to_treasury == 500
