"""A wrong local clock gives a warning with the difference, and never stops the node."""

from __future__ import annotations

import logging
import time

import pytest

from covey.daemon.monitoring.clock import ClockMonitor


@pytest.fixture
def log_records(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "covey.daemon")
    return caplog


def see_blocks(monitor: ClockMonitor, *ahead: int) -> None:
    """Show new blocks, whose times the local clock is `ahead` of."""
    for number, seconds in enumerate(ahead, 1):
        monitor.tick(number, round(time.time()) - seconds)


def test_there_is_no_warning_before_the_first_new_block() -> None:
    monitor = ClockMonitor()
    see_blocks(monitor, 5_000)
    assert (monitor.ahead, monitor.warning()) == (None, None)


@pytest.mark.parametrize(("ahead", "message"), [(300, "300 s ahead of"), (-300, "300 s behind")])
def test_five_minutes_give_one_warning_with_what_to_do(
    ahead: int, message: str, log_records: pytest.LogCaptureFixture
) -> None:
    monitor = ClockMonitor()
    see_blocks(monitor, ahead, ahead, ahead, ahead)
    assert abs((monitor.ahead or 0) - ahead) <= 1
    warning = monitor.warning()
    assert warning is not None
    assert message.rsplit(maxsplit=1)[-1] in warning and "set it" in warning
    assert len(log_records.records) == 1
    see_blocks(monitor, 0)
    monitor.tick(9, round(time.time()) - 3)
    assert monitor.warning() is None
    assert [record.levelname for record in log_records.records] == ["WARNING", "INFO"]


def test_a_few_seconds_give_no_warning() -> None:
    monitor = ClockMonitor()
    see_blocks(monitor, 0, 14, -12)
    assert monitor.warning() is None


def test_an_old_head_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a chain that stands still nor a late cycle gives the current time."""
    monitor = ClockMonitor()
    monitor.tick(7, round(time.time()) - 3)
    monitor.tick(7, round(time.time()) - 900)
    assert monitor.ahead is None
    late = time.monotonic() + 600
    monkeypatch.setattr(time, "monotonic", lambda: late)
    monitor.tick(8, round(time.time()) - 600)
    assert monitor.ahead is None
