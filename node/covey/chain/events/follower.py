"""Following the chain: settled events into a sink, in order, once, across restarts and reorganisations.

Two ways of reading. Blocks that can no more be undone come in ranges, as many at once as the node bears. Blocks near
the head come one by one: each header must name the one before it as its parent, and its logs are asked for by its hash,
so that what is stored for a block is of that very block even if the chain changes meanwhile. All those headers are
kept. When the chain turns out to have changed, the newest kept header that is still on it is where both chains part:
what lies above is forgotten, no more and no less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from covey.chain.errors import TooManyResults, TooSlow, TransientError, Unreachable
from covey.chain.events.decoder import Event, EventReader
from covey.chain.events.ranges import WANTED_EVENTS, AdaptiveRange
from covey.chain.rpc.finality import Finality
from covey.chain.rpc.responses import Block

if TYPE_CHECKING:
    from covey.chain.deployment import Deployment
    from covey.chain.rpc.client import Rpc

_BLOCKS_A_COMMIT = 32
_LOOKS_FOR_AN_ANCESTOR = 3


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A block up to which everything was read."""

    block: int
    hash: str


class Sink(Protocol):
    """Where events go. Each method is one transaction: it happens wholly or not at all."""

    def checkpoints(self) -> Sequence[Checkpoint]:
        """The newest checkpoints, newest first, at least `UNFINAL_BLOCKS` of them; empty before the first `commit`."""

    def commit(self, events: Sequence[Event], checkpoint: Checkpoint, headers: Sequence[Checkpoint] = ()) -> None:
        """Store events, the checkpoint behind them, and checkpoints between the last one and it, oldest first."""

    def rewind(self, block: int) -> None:
        """Forget all events and checkpoints above ``block``."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What one `Follower.poll` did."""

    target: Block
    """The newest settled block when the poll began."""
    checkpoint: Checkpoint
    events: int
    rewound_to: int | None = None

    @property
    def caught_up(self) -> bool:
        """True when everything up to ``target`` was read."""
        return self.checkpoint.block >= self.target.number


class ChainMoved(Unreachable):
    """The chain changed while it was read; reading on means looking for the common ancestor again."""


class Follower:
    """Reads a deployment's events into a sink.

    Memory holds one range at a time, however many events there are.

    Args:
        first_range: blocks asked for at first.
        max_range: most blocks asked for at once.
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
        """Read what is new, at most ``max_ranges`` ranges, so that a long catch-up leaves room for duties.

        Raises:
            Unreachable: no endpoint gave a usable answer; what was read before is stored. TooSlow, where the
                next poll asks for less.
            TooManyResults: a single block has more logs than the node gives.
        """
        target = self._finality.block(self._rpc)
        lowest: int | None = None
        total = 0
        for attempt in range(1, _LOOKS_FOR_AN_ANCESTOR + 1):
            known, rewound_to = self._common_ancestor()
            if rewound_to is not None:
                lowest = rewound_to if lowest is None else min(lowest, rewound_to)
            try:
                for _ in range(max_ranges):
                    start = self._start if known is None else known.block + 1
                    if start > target.number:
                        break
                    read, known = self._read_on(start, target.number, known)
                    total += read
                break
            except ChainMoved:
                if attempt == _LOOKS_FOR_AN_ANCESTOR:
                    raise
        if known is None:  # the chain has not reached the deployment yet
            known = Checkpoint(target.number, target.hash)
        return Progress(target, known, total, lowest)

    # ------------------------------------------------------------------ where we are

    def _common_ancestor(self) -> tuple[Checkpoint | None, int | None]:
        """The newest checkpoint still on the chain, and the block rewound to if the newest was not.

        If a block is on the chain, so is every block below it: the place is bracketed in growing steps, then bisected.
        """
        checkpoints = self._sink.checkpoints()
        if not checkpoints:
            return None, None
        if self._newest_is_there(checkpoints):
            return checkpoints[0], None
        gone, step = 0, 1  # checkpoints[gone] is not on the chain
        there = len(checkpoints)  # checkpoints[there] is, or there are no more
        while gone + step < there:
            if self._is_there(checkpoints[gone + step]):
                there = gone + step
                break
            gone, step = gone + step, 2 * step
        while there - gone > 1:
            middle = (gone + there) // 2
            if self._is_there(checkpoints[middle]):
                there = middle
            else:
                gone = middle
        if there < len(checkpoints):
            ancestor = checkpoints[there]
            self._sink.rewind(ancestor.block)
            return ancestor, ancestor.block
        self._sink.rewind(self._start - 1)
        return None, self._start - 1

    def _newest_is_there(self, checkpoints: Sequence[Checkpoint]) -> bool:
        newest = checkpoints[0]
        found = self._rpc.find_block(newest.block)
        if found is not None:
            return found.hash == newest.hash
        # A lagging node is no reorganisation: only a block that the chain has in place of one of ours may say so.
        head = self._rpc.block("latest")
        below = next((checkpoint for checkpoint in checkpoints if checkpoint.block <= head.number), None)
        if below is None or self._is_there(below):
            raise Unreachable(f"the endpoint's head is behind block {newest.block}, which was already read")
        return False

    def _is_there(self, checkpoint: Checkpoint) -> bool:
        found = self._rpc.find_block(checkpoint.block)
        return found is not None and found.hash == checkpoint.hash

    # ------------------------------------------------------------------ reading

    def _read_on(self, start: int, target: int, known: Checkpoint | None) -> tuple[int, Checkpoint]:
        """Read and store one range, or some single blocks near the head; the number of events, the new checkpoint."""
        settled = target - self._finality.reorg_depth
        if start <= settled:
            return self._read_range(start, settled)
        return self._read_blocks(start, target, known)

    def _read_range(self, start: int, limit: int) -> tuple[int, Checkpoint]:
        while True:
            end = min(start + self._range.size - 1, limit)
            last = self._rpc.block(end)  # before the logs: if the chain changes in between, its hash will not be there
            try:
                logs = self._rpc.logs(self._reader.addresses, start, end)
                break
            except TooManyResults:
                if end == start:
                    raise
                self._range.failed(end - start + 1)
            except TooSlow:  # told at once: a deadline has passed, and duties may be waiting
                self._range.failed(end - start + 1)
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
        for number in range(start, min(start + _BLOCKS_A_COMMIT - 1, target) + 1):
            try:
                block = self._rpc.block(number)
                logs = self._rpc.logs_of(self._reader.addresses, block.hash)
            except TransientError:
                if not headers:
                    raise
                break  # over a bad connection a little at a time: what was read is kept
            if parent is not None and block.parent_hash != parent:
                raise ChainMoved(f"block {number} does not follow the block {number - 1} that was read")
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
    """A node that answers from another range, or from another fork than its blocks, is not believed."""
    previous = (start, -1)
    for event in events:
        place = (event.block, event.log_index)
        if place <= previous or event.block > last.number:
            raise Unreachable(f"a node answered logs out of order or range at block {event.block}")
        if event.block == last.number and event.block_hash != last.hash:
            raise ChainMoved(f"block {last.number} changed while its logs were read")
        previous = place


def _check_block(events: Sequence[Event], block: Block) -> None:
    """All of this very block, in its order."""
    previous = -1
    for event in events:
        if event.block_hash != block.hash or event.block != block.number or event.log_index <= previous:
            raise Unreachable(f"a node answered logs out of order or of another block than {block.number}")
        previous = event.log_index
