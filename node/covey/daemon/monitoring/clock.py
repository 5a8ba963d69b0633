"""Checks that the local clock agrees with the chain's time.

A wrong clock misses no duty: windows use chain time, and ages use the monotonic clock. It does affect log timestamps
and the validity of TLS certificates. So it is a warning and does not turn the health red.
"""

from __future__ import annotations

import logging
import time

log = logging.getLogger("covey.daemon")

OFF_S = 60
"""Seconds between the local clock and the time of a new block from which on a warning is given."""
_FRESH_S = 20.0  # a block counts as new if it came between two cycles at most this far apart


class ClockMonitor:
    """Compares the local clock with the time of each new head. Used from one thread."""

    def __init__(self) -> None:
        self._head: int | None = None
        self._checked_at = 0.0
        self._ahead: int | None = None

    @property
    def ahead(self) -> int | None:
        """Seconds by which the clock was ahead of the newest block on its arrival; None before the first new block."""
        return self._ahead

    def tick(self, block: int, timestamp: int) -> None:
        """Record the head's number and time (seconds). Call it in every cycle."""
        now = time.monotonic()
        fresh = self._head is not None and block > self._head and now - self._checked_at <= _FRESH_S
        self._head, self._checked_at = block, now
        if not fresh:
            return
        before = self.warning()
        self._ahead = round(time.time() - timestamp)
        after = self.warning()
        if after is not None and before is None:
            log.warning(after)
        elif after is None and before is not None:
            log.info("the local clock agrees with the chain again")

    def warning(self) -> str | None:
        """A line with the difference and what to do; None while the clock is right."""
        if self._ahead is None or abs(self._ahead) < OFF_S:
            return None
        direction = "ahead of" if self._ahead > 0 else "behind"
        return (
            f"the local clock is {abs(self._ahead)} s {direction} the chain's newest block: set it, for example by "
            "NTP (no duty depends on it; if the clock is right, the chain or its endpoint is late)"
        )
