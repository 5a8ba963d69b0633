"""Whether this machine's clock agrees with the chain's. Nothing is decided by the clock, but logs and certificates are.

A wrong clock costs no duty: windows are chain time, and ages are counted on a clock that nobody sets. So it is told, as
a warning, and does not turn the health red.
"""

from __future__ import annotations

import logging
import time

log = logging.getLogger("covey.daemon")

OFF_S = 60
"""Seconds between this machine's clock and the time of a block that has just come, from which on it is told."""
_FRESH_S = 20.0  # a block that came between two looks so far apart at most has just come


class ClockWatch:
    """Compares the clock with each new head. Used from one thread."""

    def __init__(self) -> None:
        self._head: int | None = None
        self._looked_at = 0.0
        self._ahead: int | None = None

    @property
    def ahead(self) -> int | None:
        """Seconds by which the clock was ahead of the newest block when that came; None before one has come."""
        return self._ahead

    def tick(self, block: int, timestamp: int) -> None:
        """Take notice of the head, its number and its time in seconds; call it at every look at the chain."""
        now = time.monotonic()
        fresh = self._head is not None and block > self._head and now - self._looked_at <= _FRESH_S
        self._head, self._looked_at = block, now
        if not fresh:
            return
        before = self.warning()
        self._ahead = round(time.time() - timestamp)
        after = self.warning()
        if after is not None and before is None:
            log.warning(after)
        elif after is None and before is not None:
            log.info("this machine's clock agrees with the chain again")

    def warning(self) -> str | None:
        """A line with the difference and what to do; None while the clock is right."""
        if self._ahead is None or abs(self._ahead) < OFF_S:
            return None
        where = "ahead of" if self._ahead > 0 else "behind"
        return (
            f"this machine's clock is {abs(self._ahead)} s {where} the chain's newest block: set it, for example by "
            "NTP (no duty depends on it; if the clock is right, the chain or its endpoint is late)"
        )
