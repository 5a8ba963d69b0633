"""Reading one deployment's events off a chain, for whoever replays or shows them."""

from __future__ import annotations

from functools import cached_property

from covey.audit.rules import Network as Names
from covey.chain.contracts import Contracts
from covey.chain.deployment import Deployment
from covey.chain.events.decoder import Event, EventReader
from covey.chain.rpc.client import Rpc

_RANGE = 20_000


class Chain:
    """One deployment over one pool of endpoints."""

    def __init__(self, rpc: Rpc, deployment: Deployment) -> None:
        self.rpc = rpc
        self.deployment = deployment
        self.contracts = Contracts(rpc, deployment)
        c = self.contracts
        self.names = Names(deployment.chain_id, c.registry.address, c.scoring.address, c.appeal_committee.address)

    def now(self) -> int:
        """Chain time: the newest block's."""
        return self.rpc.block().timestamp

    def events(self) -> list[Event]:
        """All events of our contracts since their deployment."""
        return self.events_from(self.deployment.start_block)

    def events_from(self, first: int, last: int | None = None) -> list[Event]:
        """Events of an inclusive range of blocks, up to the newest one by default."""
        last = self.rpc.block_number() if last is None else last
        found: list[Event] = []
        for start in range(first, last + 1, _RANGE):
            logs = self.rpc.logs(self._reader.addresses, start, min(last, start + _RANGE - 1))
            found += self._reader.read_all(logs)
        return found

    @cached_property
    def _reader(self) -> EventReader:
        return EventReader.of(self.deployment)
