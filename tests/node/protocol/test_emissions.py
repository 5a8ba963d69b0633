"""The mirror of Emissions by itself; tests/contracts/test_emissions.py compares it with the contract."""

from __future__ import annotations

import random

import pytest

from covey.protocol.emissions import DAY, MAX_STEPS, ONE, EmissionsConfig, Stream, let_out

CVY = 10**18


def stream(config: EmissionsConfig) -> Stream:
    made = Stream(now=1000)
    made.configure(1000, config)
    return made


def test_a_day_lets_out_its_amount_and_the_next_one_decays() -> None:
    assert let_out(1000, ONE, DAY // 2) == 500
    assert let_out(1000, ONE, 10 * DAY) == 10_000
    assert let_out(1000, ONE * 9 // 10, 3 * DAY) == 1000 + 900 + 810
    assert let_out(1001, ONE * 9 // 10, 2 * DAY + DAY // 2) == 1001 + 900 + 405
    assert let_out(3, ONE // 2, 100 * DAY) == 3 + 1


@pytest.mark.parametrize("case", range(20))
def test_it_is_the_same_however_often_it_is_counted(case: int) -> None:
    rng = random.Random(f"emissions {case}")
    config = EmissionsConfig(
        rng.randrange(50_000 * CVY), rng.choice([ONE, ONE * 999 // 1000, ONE * 9 // 10]), CVY**2, 0
    )
    one = stream(config)
    one.vote(1000, "a", 1, CVY)
    now = 1000
    for _ in range(30):
        now += rng.choice([1, 60, 5000, DAY, rng.randrange(5 * DAY)])
        one.accrue(now)
    assert one.allotted == let_out(config.per_day, config.decay, now - 1000)


def test_votes_share_and_a_dropped_task_gives_back() -> None:
    made = stream(EmissionsConfig(1000 * CVY, ONE, 10**9 * CVY, 10**6 * CVY))
    made.vote(1000, "a", 1, 3 * CVY)
    made.vote(1000, "b", 2, CVY)
    day = 1000 + DAY
    made.accrue(day)
    assert made.push(day, 1, 10**9 * CVY, 10**9 * CVY) in range(750 * CVY - 10, 750 * CVY + 1)
    assert made.push(day, 2, 10 * CVY, 10**9 * CVY) == 10 * CVY  # full: the rest is given back
    assert made.shares[2].weight == 0
    assert made.total_weight == 3 * CVY
    assert 760 * CVY - 10 <= made.minted <= made.allotted <= 760 * CVY + 10
    with pytest.raises(ValueError, match="nothing to push"):
        made.push(day, 2, 0, 10**9 * CVY)
    made.poke(day, "b", 2, 0, over=False)
    assert made.voted["b"] == 0
    with pytest.raises(ValueError, match="nothing to poke"):
        made.poke(day, "a", 1, 3 * CVY, over=False)
    made.poke(day, "a", 1, CVY, over=False)
    assert made.total_weight == made.voted["a"] == CVY


def test_below_the_quorum_a_part_is_let_out() -> None:
    made = stream(EmissionsConfig(1000 * CVY, ONE, 10**9 * CVY, 10**6 * CVY, quorum=10 * CVY))
    made.vote(1000, "a", 1, CVY)
    assert made.accrue(1000 + DAY) == 100 * CVY


def test_a_long_silence_is_counted_in_steps() -> None:
    made = stream(EmissionsConfig(1000 * CVY, ONE * 999 // 1000, 10**9 * CVY, 0))
    made.vote(1000, "a", 1, CVY)
    late = 1000 + 900 * DAY
    with pytest.raises(ValueError, match="accrue first"):
        made.vote(late, "a", 1, 0)
    assert made.now == 1000 + MAX_STEPS * DAY
    made.accrue(late)
    made.accrue(late)
    assert made.allotted == let_out(1000 * CVY, ONE * 999 // 1000, 900 * DAY)
