"""The Python model of Emissions; tests/contracts/test_emissions.py compares it with the contract."""

from __future__ import annotations

import random

import pytest

from covey.protocol.emissions import DAY, MAX_STEPS, ONE, EmissionsConfig, Stream, released

CVY = 10**18


def stream(config: EmissionsConfig) -> Stream:
    made = Stream(now=1000)
    made.configure(1000, config)
    return made


def test_each_day_releases_its_decayed_amount() -> None:
    assert released(1000, ONE, DAY // 2) == 500
    assert released(1000, ONE, 10 * DAY) == 10_000
    assert released(1000, ONE * 9 // 10, 3 * DAY) == 1000 + 900 + 810
    assert released(1001, ONE * 9 // 10, 2 * DAY + DAY // 2) == 1001 + 900 + 405
    assert released(3, ONE // 2, 100 * DAY) == 3 + 1


@pytest.mark.parametrize("case", range(20))
def test_release_does_not_depend_on_the_number_of_updates(case: int) -> None:
    rng = random.Random(f"emissions {case}")
    config = EmissionsConfig(
        rng.randrange(50_000 * CVY), rng.choice([ONE, ONE * 999 // 1000, ONE * 9 // 10]), CVY**2, 0
    )
    made = stream(config)
    made.vote(1000, "a", 1, CVY)
    now = 1000
    for _ in range(30):
        now += rng.choice([1, 60, 5000, DAY, rng.randrange(5 * DAY)])
        made.accrue(now)
    assert made.allotted == released(config.per_day, config.decay, now - 1000)


def test_votes_share_the_stream_and_a_full_task_returns_its_rest() -> None:
    made = stream(EmissionsConfig(1000 * CVY, ONE, 10**9 * CVY, 10**6 * CVY))
    made.vote(1000, "a", 1, 3 * CVY)
    made.vote(1000, "b", 2, CVY)
    day = 1000 + DAY
    made.accrue(day)
    assert made.push(day, 1, 10**9 * CVY, 10**9 * CVY) in range(750 * CVY - 10, 750 * CVY + 1)
    assert made.push(day, 2, 10 * CVY, 10**9 * CVY) == 10 * CVY  # full: the rest is returned
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


def test_part_of_the_stream_is_released_below_the_quorum() -> None:
    made = stream(EmissionsConfig(1000 * CVY, ONE, 10**9 * CVY, 10**6 * CVY, quorum=10 * CVY))
    made.vote(1000, "a", 1, CVY)
    assert made.accrue(1000 + DAY) == 100 * CVY


def test_long_gap_is_updated_in_steps() -> None:
    made = stream(EmissionsConfig(1000 * CVY, ONE * 999 // 1000, 10**9 * CVY, 0))
    made.vote(1000, "a", 1, CVY)
    late = 1000 + 900 * DAY
    with pytest.raises(ValueError, match="accrue first"):
        made.vote(late, "a", 1, 0)
    assert made.now == 1000 + MAX_STEPS * DAY
    made.accrue(late)
    made.accrue(late)
    assert made.allotted == released(1000 * CVY, ONE * 999 // 1000, 900 * DAY)
