"""The follower's sink: events go into the journal first, and only then into the projection."""

from __future__ import annotations

from collections.abc import Sequence

from covey.chain.events import Event
from covey.chain.follower import Checkpoint
from covey.daemon.journal import Journal
from covey.daemon.state import World


class ChainLog:
    """See `covey.chain.follower.Sink`. `world` is what the journal's events say, at any time."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.world = World()
        self._replay()

    def checkpoints(self) -> Sequence[Checkpoint]:
        return self._journal.checkpoints()

    def commit(self, events: Sequence[Event], checkpoint: Checkpoint) -> None:
        self._journal.commit(events, checkpoint)
        for event in events:
            self.world.apply(event)

    def rewind(self, block: int) -> None:
        self._journal.rewind(block)
        self._replay()

    def _replay(self) -> None:
        self.world = World()
        for event in self._journal.events():
            self.world.apply(event)
