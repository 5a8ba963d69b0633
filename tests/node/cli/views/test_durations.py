"""Durations as text."""

from __future__ import annotations

import pytest

from covey.cli.views.durations import format_duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0, "0s"),
        (59, "59s"),
        (270, "4m 30s"),
        (7_500, "2h 5m"),
        (3 * 86_400 + 4 * 3_600 + 59, "3d 4h"),
        (86_400, "1d 0h"),
        (-90, "-1m 30s"),
    ],
)
def test_duration_has_its_two_largest_units(seconds: int | None, text: str) -> None:
    assert format_duration(seconds) == text
