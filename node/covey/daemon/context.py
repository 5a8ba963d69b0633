"""What every duty works with."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

from covey.chain.contracts import Contracts
from covey.chain.tx.sender import Sender
from covey.config.node import NodeConfig
from covey.daemon.planning.plan import Identity
from covey.daemon.state.world import ChainState, Task
from covey.daemon.storage.journal import DutyStatus, Journal
from covey.daemon.strategy import Strategy
from covey.daemon.workers.background import Background
from covey.daemon.workers.backoff import Backoff
from covey.daemon.workers.base_digests import BaseDigests
from covey.daemon.workers.executor import Executor, Finished
from covey.ipfs import Fetcher, Store
from covey.ipfs.keeper import Keeper
from covey.protocol.entry import TaskReference
from covey.protocol.spec import TaskSpec

log = logging.getLogger("covey.daemon")


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not done yet; look again. `reason` is for people."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing more to do here, and the chain will not say so: the journal keeps it."""

    status: DutyStatus
    note: str


Step = Waiting | Ended
"""What a look at a duty came to. A duty that the chain shows as done is no longer planned, so it needs no third."""


def declined(note: str) -> Ended:
    return Ended(DutyStatus.DECLINED, note)


def given_up(note: str) -> Ended:
    return Ended(DutyStatus.GIVEN_UP, note)


def done(note: str) -> Ended:
    return Ended(DutyStatus.DONE, note)


@dataclass(slots=True)
class Context:
    """Parts of the node, and chain time `now` of the current look."""

    config: NodeConfig
    me: Identity
    contracts: Contracts
    sender: Sender
    journal: Journal
    executor: Executor
    store: Store
    fetcher: Fetcher
    keeper: Keeper
    background: Background
    strategy: Strategy
    bases: BaseDigests
    now: int = 0
    world: ChainState = field(default_factory=ChainState)
    backoff: Backoff = field(default_factory=Backoff)
    open_transactions: set[str] = field(default_factory=set)
    """Keys of transactions whose end has not been logged yet."""
    specs: dict[int, TaskSpec] = field(default_factory=dict)
    unrecorded: list[Finished] = field(default_factory=list)
    """What workers have finished and the journal does not know yet."""

    @property
    def network(self) -> str:
        """Names this deployment among all: a task's number alone says nothing on a network that was set up anew."""
        return f"{self.me.chain_id}-{self.me.scoring.lower()}"

    def folder(self, *parts: str) -> Path:
        """A path under the data folder; its parent exists."""
        path = self.config.data_dir.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def reference(self, task: Task) -> TaskReference:
        """The task as manifests and score sheets name it."""
        return TaskReference(
            chain_id=self.me.chain_id,
            registry=self.contracts.registry.address.lower(),
            task_id=task.id,
            spec=task.params.spec_digest.hex(),
        )
