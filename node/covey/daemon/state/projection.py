"""From events to the projection: what is settled by way of the journal, what is only at the head beside it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from covey.chain.deployment import Deployment
from covey.chain.errors import TooManyResults
from covey.chain.events.decoder import Event, EventReader
from covey.chain.events.follower import Checkpoint
from covey.chain.rpc.client import Rpc
from covey.daemon.context import log
from covey.daemon.state.ledger import Ledger
from covey.daemon.state.pruning import has_part, prune
from covey.daemon.state.world import ChainState, EventMissing
from covey.daemon.storage.journal import Journal


class HeadProjection:
    """What the chain says beyond its settled blocks. It may be undone, so nothing of it is kept."""

    def __init__(self, rpc: Rpc, deployment: Deployment) -> None:
        self._rpc = rpc
        self._reader = EventReader.of(deployment)
        self.block = 0
        """Up to which `world` looked the last time."""

    def world(self, settled: ChainState, block: int, head: int) -> ChainState:
        """`settled` (as of `block`) with the events up to `head` on top; `settled` itself where there are none."""
        self.block = block
        if head <= block:
            return settled
        try:
            logs = self._rpc.logs(self._reader.addresses, block + 1, head)
        except TooManyResults as error:  # finality is far behind: duties wait for it
            log.warning("the head is too far ahead to look at", extra={"blocks": head - block, "reason": str(error)})
            return settled
        self.block = head
        events = self._reader.read_all(logs)
        return settled.branch(events) if events else settled


_PRUNE_EVERY = 2_000  # events folded between two prunings while all are read again


class ChainLog:
    """See `covey.chain.events.follower.Sink`. `world` is what the journal's events say, before each look at the chain.
    Its methods raise EventMissing where these events cannot be all, until `reread` comes below the gap.

    With an operator, tasks that it has no part in leave `world.tasks` when they end; `ledger` counts its money.
    """

    def __init__(self, journal: Journal, operator: str | None = None, ledger: Ledger | None = None) -> None:
        self._journal = journal
        self._operator = operator
        self._ledger = ledger
        self._stale = True
        self.world = ChainState()
        with suppress(EventMissing):  # told by the first look, which can mend it
            self._catch_up()

    def checkpoints(self) -> Sequence[Checkpoint]:
        self._catch_up()
        return self._journal.checkpoints()

    def commit(self, events: Sequence[Event], checkpoint: Checkpoint, headers: Sequence[Checkpoint] = ()) -> None:
        self._journal.commit(events, checkpoint, headers)
        self._stale = True  # until all are folded: an error on the way must not lose the rest
        for event in events:
            self._fold(event)
        self._stale = False

    def rewind(self, block: int) -> None:
        self._journal.rewind(block)
        self._stale = True
        self._catch_up()

    def reread(self, known: Checkpoint) -> None:
        """Forget all above a block, and read on from there. Durable at once."""
        self._journal.reread(known)
        self._stale = True
        self._catch_up()

    def _catch_up(self) -> None:
        if self._stale:
            self.world = ChainState()
            if self._ledger is not None:
                self._ledger.clear()
            for number, event in enumerate(self._journal.events(), 1):
                self._fold(event)
                if self._operator is not None and number % _PRUNE_EVERY == 0:
                    prune(self.world, partial(has_part, operator=self._operator))
            self._stale = False

    def _fold(self, event: Event) -> None:
        self.world.apply(event)
        if self._ledger is not None:
            self._ledger.apply(event)
