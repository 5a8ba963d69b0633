"""Following the chain: finalised events into a sink, in order, once, across restarts and reorganisations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from covey.chain.answers import Block
from covey.chain.errors import TooManyResults, Unreachable
from covey.chain.events import Event, EventReader

if TYPE_CHECKING:
    from covey.chain.deployment import Deployment
    from covey.chain.rpc import Rpc


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A block up to which everything was read."""

    block: int
    hash: str


class Sink(Protocol):
    """Where events go. Each method is one transaction: it happens wholly or not at all."""

    def checkpoints(self) -> Sequence[Checkpoint]:
        """The newest checkpoints, newest first; empty before the first `commit`."""

    def commit(self, events: Sequence[Event], checkpoint: Checkpoint) -> None:
        """Store events and the checkpoint behind them."""

    def rewind(self, block: int) -> None:
        """Forget all events and checkpoints above ``block``."""


@dataclass(frozen=True, slots=True)
class Finality:
    """Which blocks count as settled.

    ``confirmations`` None asks the chain for its finalised block; a number counts blocks behind the head, 0 being the
    head itself.
    """

    confirmations: int | None = None

    def block(self, rpc: Rpc) -> Block:
        """The newest settled block.

        Raises:
            Unreachable: the node has none (yet).
        """
        if self.confirmations is None:
            return rpc.block("finalized")
        if self.confirmations == 0:
            return rpc.block("latest")
        return rpc.block(max(0, rpc.block_number() - self.confirmations))


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


class Follower:
    """Reads a deployment's events into a sink.

    Ranges of blocks adapt: halved when a node finds one too large or too slow, grown back after successes.

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
        first_range: int = 1_000,
        max_range: int = 10_000,
    ) -> None:
        self._rpc = rpc
        self._reader = EventReader.of(deployment)
        self._start = deployment.start_block
        self._sink = sink
        self._finality = finality or Finality()
        self._range = first_range
        self._max_range = max_range

    def poll(self, max_ranges: int = 16) -> Progress:
        """Read what is new, at most ``max_ranges`` ranges, so that a long catch-up leaves room for duties.

        Raises:
            Unreachable: no endpoint gave a usable answer; nothing of the failed range was stored.
        """
        target = self._finality.block(self._rpc)
        known, rewound_to = self._common_ancestor()
        total = 0
        for _ in range(max_ranges):
            start = self._start if known is None else known.block + 1
            if start > target.number:
                break
            events, known = self._range_from(start, target)
            total += len(events)
        if known is None:  # the chain has not reached the deployment yet
            known = Checkpoint(target.number, target.hash)
        return Progress(target, known, total, rewound_to)

    def _common_ancestor(self) -> tuple[Checkpoint | None, int | None]:
        """The newest checkpoint still on the chain, and the block rewound to if the newest was not."""
        checkpoints = self._sink.checkpoints()
        for position, checkpoint in enumerate(checkpoints):
            if self._still_there(checkpoint):
                if position == 0:
                    return checkpoint, None
                self._sink.rewind(checkpoint.block)
                return checkpoint, checkpoint.block
        if not checkpoints:
            return None, None
        self._sink.rewind(self._start - 1)
        return None, self._start - 1

    def _still_there(self, checkpoint: Checkpoint) -> bool:
        if checkpoint.block > self._rpc.block_number():
            # A lagging node is no reorganisation: only a chain that has the block may contradict it.
            raise Unreachable(f"the endpoint's head is behind block {checkpoint.block}, which was already read")
        return self._rpc.block(checkpoint.block).hash == checkpoint.hash

    def _range_from(self, start: int, target: Block) -> tuple[list[Event], Checkpoint]:
        while True:
            end = min(start + self._range - 1, target.number)
            try:
                logs = self._rpc.logs(self._reader.addresses, start, end)
                break
            except TooManyResults:
                if end == start:
                    raise
            except Unreachable:
                if end == start:
                    raise
                self._shrink()
                raise
            self._shrink()
        events = self._reader.read_all(logs)
        last = target if end == target.number else self._rpc.block(end)
        _check_order(events, start, last)
        self._sink.commit(events, Checkpoint(last.number, last.hash))
        self._range = min(self._max_range, self._range + max(1, self._range // 4))
        return events, Checkpoint(last.number, last.hash)

    def _shrink(self) -> None:
        self._range = max(1, self._range // 2)


def _check_order(events: Sequence[Event], start: int, last: Block) -> None:
    """A node that answers from another range, or from another fork than its blocks, is not believed."""
    previous = (start, -1)
    for event in events:
        place = (event.block, event.log_index)
        if place <= previous or event.block > last.number:
            raise Unreachable(f"a node answered logs out of order or range at block {event.block}")
        if event.block == last.number and event.block_hash != last.hash:
            raise Unreachable(f"block {last.number} changed while its logs were read")
        previous = place
