"""A clock that is wrong: told with the difference, and never a reason to stop."""

from __future__ import annotations

import logging
import time

import pytest

from covey.daemon.monitoring.clock import ClockWatch


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "covey.daemon")
    return caplog


def seen(watch: ClockWatch, *ahead: int) -> None:
    """New blocks, one after the other, whose times this clock is ahead of."""
    for number, seconds in enumerate(ahead, 1):
        watch.tick(number, round(time.time()) - seconds)


def test_nothing_is_said_before_a_block_has_come() -> None:
    watch = ClockWatch()
    seen(watch, 5_000)
    assert (watch.ahead, watch.warning()) == (None, None)


@pytest.mark.parametrize(("ahead", "says"), [(300, "300 s ahead of"), (-300, "300 s behind")])
def test_five_minutes_are_told_once_with_what_to_do(ahead: int, says: str, told: pytest.LogCaptureFixture) -> None:
    watch = ClockWatch()
    seen(watch, ahead, ahead, ahead, ahead)
    assert abs((watch.ahead or 0) - ahead) <= 1
    warning = watch.warning()
    assert warning is not None
    assert says.rsplit(maxsplit=1)[-1] in warning and "set it" in warning
    assert len(told.records) == 1
    seen(watch, 0)
    watch.tick(9, round(time.time()) - 3)
    assert watch.warning() is None
    assert [record.levelname for record in told.records] == ["WARNING", "INFO"]


def test_a_few_seconds_are_nothing() -> None:
    watch = ClockWatch()
    seen(watch, 0, 14, -12)
    assert watch.warning() is None


def test_an_old_head_says_nothing_about_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain that stands still, or a look that comes late, is no news of the time."""
    watch = ClockWatch()
    watch.tick(7, round(time.time()) - 3)
    watch.tick(7, round(time.time()) - 900)
    assert watch.ahead is None
    late = time.monotonic() + 600
    monkeypatch.setattr(time, "monotonic", lambda: late)
    watch.tick(8, round(time.time()) - 600)
    assert watch.ahead is None
