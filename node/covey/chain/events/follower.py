"""Reads settled events into a sink, in order and exactly once, across restarts and reorgs.

There are two ways of reading. Blocks that are too deep for a reorg are read in ranges, as large as the node allows.
Blocks near the head are read one by one: each header must name the previous one as its parent, and its logs are queried
by its hash. So the events stored for a block belong to it even if the chain changes meanwhile. All these headers are
kept. After a reorg, the newest kept header that is still on the chain is the common ancestor: exactly the events above
it are removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from covey.chain.errors import TooManyResults, TooSlow, TransientError, Unreachable
from covey.chain.events.decoder import Event, EventReader
from covey.chain.rpc.finality import Finality
from covey.chain.rpc.log_ranges import WANTED_EVENTS, AdaptiveRange
from covey.chain.rpc.responses import Block

if TYPE_CHECKING:
    from covey.chain.deployment import Deployment
    from covey.chain.rpc.client import Rpc

_BLOCKS_PER_COMMIT = 32
_MAX_ANCESTOR_SEARCHES = 3


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A block up to which all events are stored."""

    block: int
    hash: str


class Sink(Protocol):
    """Destination of events. Each method is one atomic transaction."""

    def checkpoints(self) -> Sequence[Checkpoint]:
        """The newest checkpoints, newest first, at least `UNFINAL_BLOCKS` of them; empty before the first `commit`."""

    def commit(self, events: Sequence[Event], checkpoint: Checkpoint, headers: Sequence[Checkpoint] = ()) -> None:
        """Store events, the new checkpoint, and the checkpoints between the last one and it, oldest first."""

    def rewind(self, block: int) -> None:
        """Delete all events and checkpoints above ``block``."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Result of one `Follower.poll`."""

    target: Block
    """The newest settled block at the start of the poll."""
    checkpoint: Checkpoint
    events: int
    rewound_to: int | None = None

    @property
    def caught_up(self) -> bool:
        """True if all events up to ``target`` are stored."""
        return self.checkpoint.block >= self.target.number


class ReorgDuringRead(Unreachable):
    """The chain changed during a read; the follower must find the common ancestor again."""


class Follower:
    """Reads a deployment's events into a sink. Holds at most one range in memory.

    Args:
        first_range: blocks of the first range.
        max_range: maximum number of blocks of a range.
    """

    def __init__(
        self,
        rpc: Rpc,
        deployment: Deployment,
        sink: Sink,
        finality: Finality | None = None,
        *,
        first_range: int = 32,
        max_range: int = 10_000,
    ) -> None:
        self._rpc = rpc
        self._reader = EventReader.of(deployment)
        self._start = deployment.start_block
        self._sink = sink
        self._finality = finality or Finality()
        self._range = AdaptiveRange(first_range, max_range)

    def poll(self, max_ranges: int = 16) -> Progress:
        """Read new events, at most ``max_ranges`` ranges, so that duties can run during a long catch-up.

        Raises:
            Unreachable: no endpoint gave a usable answer; events read before are stored. After TooSlow the next poll
                reads a smaller range. Also if the logs of a single block are refused.
        """
        target = self._finality.block(self._rpc)
        lowest: int | None = None
        total = 0
        for attempt in range(1, _MAX_ANCESTOR_SEARCHES + 1):
            known, rewound_to = self._common_ancestor()
            if rewound_to is not None:
                lowest = rewound_to if lowest is None else min(lowest, rewound_to)
            try:
                for _ in range(max_ranges):
                    start = self._start if known is None else known.block + 1
                    if start > target.number:
                        break
                    read, known = self._read_next(start, target.number, known)
                    total += read
                break
            except ReorgDuringRead:
                if attempt == _MAX_ANCESTOR_SEARCHES:
                    raise
        if known is None:  # the chain is still below the deployment
            known = Checkpoint(target.number, target.hash)
        return Progress(target, known, total, lowest)

    # ------------------------------------------------------------------ the common ancestor

    def _common_ancestor(self) -> tuple[Checkpoint | None, int | None]:
        """The newest checkpoint still on the chain, and the block rewound to if that is not the newest checkpoint.

        If a block is on the chain, so is every block below it. So the place is bracketed in growing steps, then
        bisected.
        """
        checkpoints = self._sink.checkpoints()
        if not checkpoints:
            return None, None
        if self._newest_is_on_chain(checkpoints):
            return checkpoints[0], None
        removed, step = 0, 1  # checkpoints[removed] is not on the chain
        present = len(checkpoints)  # checkpoints[present] is on the chain, or past the end
        while removed + step < present:
            if self._is_on_chain(checkpoints[removed + step]):
                present = removed + step
                break
            removed, step = removed + step, 2 * step
        while present - removed > 1:
            middle = (removed + present) // 2
            if self._is_on_chain(checkpoints[middle]):
                present = middle
            else:
                removed = middle
        if present < len(checkpoints):
            ancestor = checkpoints[present]
            self._sink.rewind(ancestor.block)
            return ancestor, ancestor.block
        self._sink.rewind(self._start - 1)
        return None, self._start - 1

    def _newest_is_on_chain(self, checkpoints: Sequence[Checkpoint]) -> bool:
        newest = checkpoints[0]
        found = self._rpc.find_block(newest.block)
        if found is not None:
            return found.hash == newest.hash
        # A node may lag. Only another block at the height of one of ours proves a reorg.
        head = self._rpc.block("latest")
        below = next((checkpoint for checkpoint in checkpoints if checkpoint.block <= head.number), None)
        if below is None or self._is_on_chain(below):
            raise Unreachable(f"the endpoint's head is behind block {newest.block}, which was already read")
        return False

    def _is_on_chain(self, checkpoint: Checkpoint) -> bool:
        found = self._rpc.find_block(checkpoint.block)
        return found is not None and found.hash == checkpoint.hash

    # ------------------------------------------------------------------ reading

    def _read_next(self, start: int, target: int, known: Checkpoint | None) -> tuple[int, Checkpoint]:
        """Read and store one range, or single blocks near the head; return the event count and the new checkpoint."""
        deep = target - self._finality.reorg_depth
        if start <= deep:
            return self._read_range(start, deep)
        return self._read_blocks(start, target, known)

    def _read_range(self, start: int, limit: int) -> tuple[int, Checkpoint]:
        while True:
            end = min(start + self._range.size - 1, limit)
            last = self._rpc.block(end)  # read before the logs, so that a reorg in between is noticed
            try:
                logs = self._rpc.logs(self._reader.addresses, start, end)
                break
            except TooManyResults:  # never of a single block
                self._range.failed(end - start + 1)
            except TooSlow:  # do not retry here: a deadline has passed, and duties may be waiting
                self._range.failed(end - start + 1)
                raise
            except Unreachable:
                self._range.refused(end - start + 1)
                raise
        events = self._reader.read_all(logs)
        _check_order(events, start, last)
        checkpoint = Checkpoint(last.number, last.hash)
        self._sink.commit(events, checkpoint)
        self._range.read(end - start + 1, len(logs))
        return len(events), checkpoint

    def _read_blocks(self, start: int, target: int, known: Checkpoint | None) -> tuple[int, Checkpoint]:
        events: list[Event] = []
        headers: list[Checkpoint] = []
        parent = known.hash if known is not None and known.block == start - 1 else None
        for number in range(start, min(start + _BLOCKS_PER_COMMIT - 1, target) + 1):
            try:
                block = self._rpc.block(number)
                logs = self._rpc.logs_of(self._reader.addresses, block.hash)
            except TransientError:
                if not headers:
                    raise
                break  # on a bad connection, store the blocks read so far
            if parent is not None and block.parent_hash != parent:
                raise ReorgDuringRead(f"block {number} is not a child of the block {number - 1} that was read")
            found = self._reader.read_all(logs)
            _check_block(found, block)
            events += found
            headers.append(Checkpoint(number, block.hash))
            parent = block.hash
            if len(events) >= WANTED_EVENTS:
                break
        *between, last = headers
        self._sink.commit(events, last, between)
        return len(events), last


def _check_order(events: Sequence[Event], start: int, last: Block) -> None:
    """Reject logs that are out of order, out of range, or from another fork than the block read before."""
    previous = (start, -1)
    for event in events:
        place = (event.block, event.log_index)
        if place <= previous or event.block > last.number:
            raise Unreachable(f"a node returned logs out of order or range at block {event.block}")
        if event.block == last.number and event.block_hash != last.hash:
            raise ReorgDuringRead(f"block {last.number} changed while its logs were read")
        previous = place


def _check_block(events: Sequence[Event], block: Block) -> None:
    """Reject logs that are out of order or not of this block."""
    previous = -1
    for event in events:
        if event.block_hash != block.hash or event.block != block.number or event.log_index <= previous:
            raise Unreachable(f"a node returned logs out of order or of another block than {block.number}")
        previous = event.log_index
