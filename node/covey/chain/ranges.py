"""How many blocks to ask logs for at once: as many as the node bears, and no more events than fit in little memory."""

from __future__ import annotations

WANTED_EVENTS = 5_000
"""Events that a range should hold where they are dense: a few megabytes on the way."""
_SUCCESSES_BEFORE_MORE = 16
"""Ranges below a size that failed before that size is tried again."""


class AdaptiveRange:
    """The size of the next range, blocks: halved at a failure, grown back after successes.

    A size that failed is not tried again before sixteen ranges below it went well, so that a provider's fixed limit
    costs one refusal in seventeen calls; then the limit is taken to have risen by half.
    """

    def __init__(self, first: int, most: int) -> None:
        self.size = max(1, min(first, most))
        self._most = most
        self._failed_at: int | None = None
        self._successes = 0

    def failed(self, blocks: int) -> None:
        """A range of ``blocks`` was too large or too slow."""
        self._failed_at = blocks
        self._successes = 0
        self.size = max(1, blocks // 2)

    def read(self, blocks: int, events: int) -> None:
        """A range of ``blocks`` was read and held ``events``."""
        if self._failed_at is not None:
            self._successes += 1
            if self._successes >= _SUCCESSES_BEFORE_MORE:
                self._failed_at += max(1, self._failed_at // 2)
                self._successes = 0
                if self._failed_at > self._most:
                    self._failed_at = None
        if events * 2 > WANTED_EVENTS:
            size = blocks * WANTED_EVENTS // events
        elif blocks >= self.size:
            size = 2 * blocks
        else:  # the range ended early, at the head: it says nothing about more blocks
            return
        ceiling = self._most if self._failed_at is None else self._failed_at - 1
        self.size = max(1, min(size, ceiling))
