"""Chooses how many blocks to query logs for at once, within the node's limits and a small amount of memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from covey.chain.errors import TooManyResults

if TYPE_CHECKING:
    from covey.chain.rpc.client import Rpc

WANTED_EVENTS = 5_000
"""Target number of events per range where they are dense: a few megabytes of JSON."""
_SUCCESSES_BEFORE_MORE = 16
"""Successful ranges after a failure before a larger size is tried again."""

_REFUSALS_BEFORE_LESS = 8
"""Refusals in a row, for whatever reason, after which a smaller range is tried."""


class AdaptiveRange:
    """The size of the next range in blocks: halved at a failure, grown back after successes.

    A failure sets the ceiling to half the failed size. Sixteen successes raise the ceiling by half; if that fails, it
    returns to the last size that worked. So a provider's fixed limit costs one refusal in seventeen calls, and the
    ranges reach at least two thirds of it.
    """

    def __init__(self, first: int, maximum: int) -> None:
        self.size = max(1, min(first, maximum))
        self._maximum = maximum
        self._ceiling = maximum
        self._worked: int | None = None
        """The previous ceiling, while a raised one is being tried."""
        self._successes = 0
        self._refusals = 0

    def refused(self, blocks: int) -> None:
        """Record a failure that a smaller range should not mend, such as a rate limit. If nothing else mends it
        either, the range shrinks: the refusal may have been misread."""
        self._refusals += 1
        if self._refusals >= _REFUSALS_BEFORE_LESS:
            self.failed(blocks)

    def failed(self, blocks: int) -> None:
        """Record that a range of ``blocks`` was too large or too slow."""
        tried = self._worked is not None and blocks > self._worked
        self._ceiling = self._worked if tried and self._worked is not None else max(1, blocks // 2)
        self.size = self._ceiling
        self._worked = None
        self._successes = 0
        self._refusals = 0

    def read(self, blocks: int, events: int) -> None:
        """Record that a range of ``blocks`` was read and contained ``events``."""
        self._successes += 1
        self._refusals = 0
        if self._worked is not None and blocks > self._worked:
            self._worked = None
        if self._successes >= _SUCCESSES_BEFORE_MORE and self._ceiling < self._maximum:
            self._worked = self._ceiling
            self._ceiling = min(self._maximum, self._ceiling + max(1, self._ceiling // 2))
            self._successes = 0
        if events * 2 > WANTED_EVENTS:
            size = blocks * WANTED_EVENTS // events
        elif blocks >= self.size:
            size = 2 * blocks
        else:  # the range ended at the head, so it does not show whether more blocks would work
            return
        self.size = max(1, min(size, self._ceiling))


def read_logs(rpc: Rpc, addresses: Sequence[str], first: int, last: int, sizes: AdaptiveRange) -> list[dict[str, Any]]:
    """Raw logs of blocks ``first`` to ``last``, both included, in chain order, read in ranges that the node allows.

    Raises:
        Unreachable: no endpoint answered, or a single block was refused.
    """
    logs: list[dict[str, Any]] = []
    while first <= last:
        blocks = min(sizes.size, last - first + 1)
        try:
            found = rpc.logs(addresses, first, first + blocks - 1)
        except TooManyResults:
            sizes.failed(blocks)
            continue
        sizes.read(blocks, len(found))
        logs += found
        first += blocks
    return logs
