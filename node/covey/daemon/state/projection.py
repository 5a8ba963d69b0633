"""Keeps a `ChainState` up to date: from the journal for settled blocks, from logs for the blocks above them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from covey.chain.deployment import Deployment
from covey.chain.events.decoder import Event, EventReader
from covey.chain.events.follower import Checkpoint
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.log_ranges import AdaptiveRange, read_logs
from covey.daemon.state.events import EventMissing
from covey.daemon.state.folds import apply_event, branch
from covey.daemon.state.ledger import Ledger
from covey.daemon.state.pruning import has_part, prune
from covey.daemon.state.world import ChainState
from covey.daemon.storage.journal import Journal

_PRUNE_EVERY = 2_000  # events between two prunings while the journal is replayed
_BLOCKS_PER_REQUEST = 10_000


class HeadProjection:
    """The state at the chain's head. Unsettled blocks may be reorganised, so nothing of them is stored."""

    def __init__(self, rpc: Rpc, deployment: Deployment) -> None:
        self._rpc = rpc
        self._reader = EventReader.of(deployment)
        self._sizes = AdaptiveRange(_BLOCKS_PER_REQUEST, _BLOCKS_PER_REQUEST)
        self.block = 0
        """The newest block that the last projection covers."""

    def project(self, settled: ChainState, block: int, head: int) -> ChainState:
        """Return `settled` (as of `block`) with the events up to `head` applied; `settled` itself if there are none.

        Raises:
            EventMissing: an event above `block` does not follow from those before it.
        """
        self.block = block
        if head <= block:
            return settled
        logs = read_logs(self._rpc, self._reader.addresses, block + 1, head, self._sizes)
        self.block = head
        events = self._reader.read_all(logs)
        return branch(settled, events) if events else settled


class ChainLog:
    """The settled state, backed by the journal. Implements `covey.chain.events.follower.Sink`.

    Every method raises EventMissing while the stored events have a gap, until `reread` goes back below the gap.

    Args:
        operator: ended tasks without a part of this operator are pruned during a replay; None prunes nothing.
        ledger: also counts each event, if given.
    """

    def __init__(self, journal: Journal, operator: str | None = None, ledger: Ledger | None = None) -> None:
        self._journal = journal
        self._operator = operator
        self._ledger = ledger
        self._stale = True
        self.state = ChainState()
        with suppress(EventMissing):  # the first cycle meets the same error, and can resync
            self._catch_up()

    def checkpoints(self) -> Sequence[Checkpoint]:
        self._catch_up()
        return self._journal.checkpoints()

    def commit(self, events: Sequence[Event], checkpoint: Checkpoint, headers: Sequence[Checkpoint] = ()) -> None:
        self._journal.commit(events, checkpoint, headers)
        self._stale = True  # until every event is applied, so that an error on the way loses none
        for event in events:
            self._apply(event)
        self._stale = False

    def rewind(self, block: int) -> None:
        self._journal.rewind(block)
        self._stale = True
        self._catch_up()

    def reread(self, known: Checkpoint) -> None:
        """Delete all events above a block and continue from there. Durable when this returns."""
        self._journal.reread(known)
        self._stale = True
        self._catch_up()

    def _catch_up(self) -> None:
        """Replay the journal if the state may be incomplete."""
        if not self._stale:
            return
        self.state = ChainState()
        if self._ledger is not None:
            self._ledger.clear()
        for number, event in enumerate(self._journal.events(), 1):
            self._apply(event)
            if self._operator is not None and number % _PRUNE_EVERY == 0:
                prune(self.state, partial(has_part, operator=self._operator))
        self._stale = False

    def _apply(self, event: Event) -> None:
        apply_event(self.state, event)
        if self._ledger is not None:
            self._ledger.apply(event)
