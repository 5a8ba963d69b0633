"""Durations as text."""

from __future__ import annotations


def format_duration(seconds: int | None) -> str:
    """A duration in its two largest units, for instance 3d 4h, 2h 5m or 4m 30s; a dash for None."""
    if seconds is None:
        return "–"
    sign, rest = ("-" if seconds < 0 else ""), abs(seconds)
    days, rest = divmod(rest, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, rest = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (rest, "s")]
    first = next((index for index, (number, _) in enumerate(parts) if number), 3)
    return sign + " ".join(f"{number}{unit}" for number, unit in parts[first : first + 2])
