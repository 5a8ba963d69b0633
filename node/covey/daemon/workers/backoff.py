"""Pauses between tries, by this machine's monotonic clock. They are politeness: chain time decides what is due."""

from __future__ import annotations

import time

_LONGEST = 60.0  # seconds


class Backoff:
    """Growing pauses after failures, and one-off delays from when something was first seen."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._length: dict[str, float] = {}
        self._seen: dict[str, float] = {}

    def ready(self, name: str) -> bool:
        """Whether `name` may be tried (again)."""
        return time.monotonic() >= self._until.get(name, 0.0)

    def failed(self, name: str, first: float = 1.0) -> None:
        """It failed: wait `first` seconds, and twice as long each time after that, up to a minute."""
        length = min(_LONGEST, self._length.get(name, first / 2) * 2)
        self._length[name] = length
        self._until[name] = time.monotonic() + length

    def after(self, name: str, seconds: float) -> bool:
        """Whether `seconds` have passed since this was first asked for `name`."""
        now = time.monotonic()
        return now - self._seen.setdefault(name, now) >= seconds

    def reset(self, name: str) -> None:
        """It succeeded, or is no longer due."""
        for table in (self._until, self._length, self._seen):
            table.pop(name, None)
