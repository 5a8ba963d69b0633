"""Retry delays on the local monotonic clock. They only pace retries; chain time decides what is due."""

from __future__ import annotations

import time

_LONGEST = 60.0  # seconds


class Backoff:
    """Exponential delays by name after failures, and one-off delays from a first request."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._length: dict[str, float] = {}
        self._seen: dict[str, float] = {}

    def ready(self, name: str) -> bool:
        """Whether the delay of `name` has passed."""
        return time.monotonic() >= self._until.get(name, 0.0)

    def failed(self, name: str, first: float = 1.0) -> None:
        """Delay the next attempt by `first` seconds, doubled with each further failure up to a minute."""
        length = min(_LONGEST, self._length.get(name, first / 2) * 2)
        self._length[name] = length
        self._until[name] = time.monotonic() + length

    def elapsed(self, name: str, seconds: float) -> bool:
        """Whether `seconds` have passed since the first call for `name`."""
        now = time.monotonic()
        return now - self._seen.setdefault(name, now) >= seconds

    def reset(self, name: str) -> None:
        """Drop all delays of `name`, after a success or when it is no longer due."""
        for table in (self._until, self._length, self._seen):
            table.pop(name, None)
