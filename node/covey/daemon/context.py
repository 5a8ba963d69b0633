"""The parts of the node that duties work with."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

from covey.chain.contracts import Contracts
from covey.chain.tx.sender import Sender
from covey.config.node import NodeConfig
from covey.daemon.planning.duty import Identity
from covey.daemon.state.task import Task
from covey.daemon.state.world import ChainState
from covey.daemon.storage.data_dir import network_folder
from covey.daemon.storage.journal import Journal
from covey.daemon.strategy import Strategy
from covey.daemon.workers.background import Background
from covey.daemon.workers.backoff import Backoff
from covey.daemon.workers.base_digests import BaseDigests
from covey.daemon.workers.executor import Executor, Finished
from covey.daemon.workers.readiness import Readiness
from covey.ipfs import Fetcher, Store
from covey.ipfs.keeper import Keeper
from covey.protocol.entry import TaskReference
from covey.protocol.spec import TaskSpec

log = logging.getLogger("covey.daemon")


@dataclass(slots=True, kw_only=True)
class Context:
    """The node's parts, and the chain's time and settled state in the current cycle."""

    config: NodeConfig
    identity: Identity
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
    backoff: Backoff = field(default_factory=Backoff)
    now: int = 0
    """Chain time of the current cycle."""
    state: ChainState = field(default_factory=ChainState)
    """The settled state."""
    open_transactions: set[str] = field(default_factory=set)
    """Keys of transactions whose outcome has not been logged yet."""
    specs: dict[int, TaskSpec] = field(default_factory=dict)
    """Verified specs by task."""
    unrecorded: list[Finished] = field(default_factory=list)
    """Job outcomes that are not in the journal yet."""
    readiness: Readiness = field(init=False)

    def __post_init__(self) -> None:
        self.readiness = Readiness(self.config, self.background, self.config.data_dir)

    @property
    def network(self) -> str:
        """A name for the deployment. A task number alone is ambiguous once a network has been deployed again."""
        return network_name(self.identity)

    def folder(self, *parts: str) -> Path:
        """A path under the data folder. Its parent is created."""
        path = self.config.data_dir.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def reference(self, task: Task) -> TaskReference:
        """The task's reference in manifests and score sheets."""
        return TaskReference(
            chain_id=self.identity.chain_id,
            registry=self.contracts.registry.address.lower(),
            task_id=task.id,
            spec=task.params.spec_digest.hex(),
        )


def network_name(identity: Identity) -> str:
    """A name for the deployment: chain id and address of Scoring."""
    return network_folder(identity.chain_id, identity.scoring)
