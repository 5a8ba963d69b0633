"""Reads the state and the events of one deployment."""

from __future__ import annotations

from functools import cached_property

from covey.audit.rules import HashDomain
from covey.chain.contracts import Contracts
from covey.chain.deployment import Deployment
from covey.chain.events.decoder import Event, EventReader
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.log_ranges import AdaptiveRange, read_logs

_BLOCKS_PER_REQUEST = 20_000


class Chain:
    """One deployment of the contracts, read over a pool of endpoints."""

    def __init__(self, rpc: Rpc, deployment: Deployment) -> None:
        self.rpc = rpc
        self.deployment = deployment
        self.contracts = Contracts(rpc, deployment)
        c = self.contracts
        self.domain = HashDomain(deployment.chain_id, c.registry.address, c.scoring.address, c.appeal_committee.address)

    def now(self) -> int:
        """Chain time, unix seconds: the timestamp of the newest block."""
        return self.rpc.block().timestamp

    def events(self) -> list[Event]:
        """All events of the deployment's contracts since they were deployed, in chain order."""
        return self.events_from(self.deployment.start_block)

    def events_from(self, first: int, last: int | None = None) -> list[Event]:
        """Events of blocks `first` to `last`, both included; None is the newest block."""
        last = self.rpc.block_number() if last is None else last
        sizes = AdaptiveRange(_BLOCKS_PER_REQUEST, _BLOCKS_PER_REQUEST)
        return self._reader.read_all(read_logs(self.rpc, self._reader.addresses, first, last, sizes))

    @cached_property
    def _reader(self) -> EventReader:
        return EventReader.of(self.deployment)
