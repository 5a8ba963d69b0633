"""How many blocks to ask logs for at once: as many as the node bears, and no more events than fit in little memory."""

from __future__ import annotations

WANTED_EVENTS = 5_000
"""Events that a range should hold where they are dense: a few megabytes on the way."""
_SUCCESSES_BEFORE_MORE = 16
"""Ranges that must go well below a size that failed before a larger one is tried again."""


class AdaptiveRange:
    """The size of the next range, blocks: halved at a failure, grown back after successes.

    After a failure half its size is the ceiling. Sixteen successes raise the ceiling by half; if that fails, it goes
    back to what worked. So a provider's fixed limit costs one refusal in seventeen calls, and is used by two thirds.
    """

    def __init__(self, first: int, most: int) -> None:
        self.size = max(1, min(first, most))
        self._most = most
        self._ceiling = most
        self._worked: int | None = None
        """While a raised ceiling is being tried: the one before."""
        self._successes = 0

    def failed(self, blocks: int) -> None:
        """A range of ``blocks`` was too large or too slow."""
        tried = self._worked is not None and blocks > self._worked
        self._ceiling = self._worked if tried and self._worked is not None else max(1, blocks // 2)
        self.size = self._ceiling
        self._worked = None
        self._successes = 0

    def read(self, blocks: int, events: int) -> None:
        """A range of ``blocks`` was read and held ``events``."""
        self._successes += 1
        if self._worked is not None and blocks > self._worked:
            self._worked = None
        if self._successes >= _SUCCESSES_BEFORE_MORE and self._ceiling < self._most:
            self._worked = self._ceiling
            self._ceiling = min(self._most, self._ceiling + max(1, self._ceiling // 2))
            self._successes = 0
        if events * 2 > WANTED_EVENTS:
            size = blocks * WANTED_EVENTS // events
        elif blocks >= self.size:
            size = 2 * blocks
        else:  # the range ended early, at the head: it says nothing about more blocks
            return
        self.size = max(1, min(size, self._ceiling))
