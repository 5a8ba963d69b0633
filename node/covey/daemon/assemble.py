"""Assembles a node from its settings: endpoints, contracts, journal, store, workers, and the main loop's parts.

The same wiring serves a live node and a dry run. `Adapters` supplies the parts in which they differ.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

from covey.chain.contracts import Contracts
from covey.chain.deployment import Deployment
from covey.chain.errors import FatalError
from covey.chain.events.follower import Follower
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.finality import Finality
from covey.chain.tx.sender import Sender
from covey.chain.tx.store import SqliteTxStore
from covey.config.node import NodeConfig
from covey.daemon.context import Context, network_name
from covey.daemon.integrity.resync import EventResync
from covey.daemon.monitoring.eligibility import Eligibility
from covey.daemon.monitoring.health import HealthState
from covey.daemon.monitoring.notifications import Notifications, Outbox
from covey.daemon.monitoring.snapshot import SnapshotReporter
from covey.daemon.planning.duty import Identity
from covey.daemon.retention.data_quota import DataQuota
from covey.daemon.retention.retention import RetentionService
from covey.daemon.state.ledger import Ledger
from covey.daemon.state.projection import ChainLog, HeadProjection
from covey.daemon.storage.journal import Journal
from covey.daemon.strategy import Strategy
from covey.daemon.workers.background import Background
from covey.daemon.workers.backoff import Backoff
from covey.daemon.workers.base_digests import BaseDigests
from covey.daemon.workers.executor import Executor
from covey.ipfs import Fetcher, Store
from covey.ipfs.keeper import Keeper

ZERO_ADDRESS = "0x" + "00" * 20


@dataclass(frozen=True, slots=True)
class ContentParts:
    """The node's store, its fetcher, and the keeper of retained content."""

    store: Store
    fetcher: Fetcher
    keeper: Keeper


class Adapters(Protocol):
    """The parts in which a live node and a dry run differ.

    Each `open_*` method registers the release of what it opens on `stack`.
    """

    @property
    def signer_address(self) -> str:
        """The account that signs the node's transactions."""
        ...

    @property
    def strategy(self) -> Strategy: ...

    @property
    def health(self) -> HealthState:
        """Receives a snapshot after each cycle."""
        ...

    def prepare(self, stack: ExitStack) -> None:
        """Reserve what must be exclusive before anything is opened. Raises ConfigError."""

    def monitor(self, rpc: Rpc) -> None:
        """Start health checks of the endpoints, if wanted."""

    def open_journal(self, stack: ExitStack) -> Journal: ...
    def open_content(self, stack: ExitStack) -> ContentParts: ...
    def open_executor(self, stack: ExitStack) -> Executor: ...
    def open_outbox(self, stack: ExitStack) -> Outbox | None:
        """Where notifications go; None sends none."""

    def create_sender(self, rpc: Rpc, transactions: SqliteTxStore) -> Sender: ...
    def create_bases(self) -> BaseDigests: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """An assembled node. `close` releases its resources in reverse order."""

    context: Context
    chain_log: ChainLog
    follower: Follower
    head: HeadProjection
    resync: EventResync
    retention: RetentionService
    reporter: SnapshotReporter
    health: HealthState
    notifications: Notifications | None
    resources: ExitStack

    def close(self) -> None:
        self.resources.close()


def identify(config: NodeConfig, contracts: Contracts, signer: str) -> Identity:
    """The operator that the signer acts for.

    Raises:
        FatalError: no operator has this signer, or another one than the settings name.
    """
    staking = contracts.staking
    operator = staking.operator_of(signer)
    if operator == ZERO_ADDRESS:
        raise FatalError(
            f"no operator has named {signer} its signer: register, or rotate the signer, with the cold key"
        )
    if config.operator is not None and config.operator != operator:
        raise FatalError(f"{signer} signs for operator {operator}, the settings name {config.operator}")
    return Identity(
        operator=operator,
        signer=signer,
        roles=config.roles,
        chain_id=contracts.deployment.chain_id,
        scoring=contracts.scoring.address,
        appeal_committee=contracts.appeal_committee.address,
        auto_claim=config.policy.auto_claim,
        withdraw_min=config.policy.min_withdrawal,
        accounts=(staking.pool_of(operator).reward_address,),
    )


def assemble(config: NodeConfig, adapters: Adapters) -> Parts:
    """Open all parts of a node.

    Raises:
        ConfigError, FatalError, IpfsError, JournalError: the operator must fix something.
        TransientError: no endpoint answers.
    """
    with ExitStack() as stack:
        adapters.prepare(stack)
        deployment = Deployment.load(config.deployment)
        rpc = Rpc(list(config.rpc_urls), deployment.chain_id, config.rpc_timeout_seconds, quorum=config.rpc_quorum)
        stack.callback(rpc.close)
        rpc.check()
        deployment.verify(rpc)
        adapters.monitor(rpc)
        contracts = Contracts(rpc, deployment)
        identity = identify(config, contracts, adapters.signer_address)
        journal = adapters.open_journal(stack)
        facts = {"chain": identity.chain_id, "registry": contracts.registry.address, "operator": identity.operator}
        journal.bind({name: str(value) for name, value in facts.items()})
        journal.reconsider()
        transactions = SqliteTxStore(journal.db)
        context = _open_context(config, adapters, identity, contracts, journal, transactions, stack)
        ledger = Ledger(identity.operator, identity.all_accounts)
        chain_log = ChainLog(journal, identity.operator, ledger)
        head = HeadProjection(rpc, deployment)
        adapters.health.set_limits(config.min_balance, config.disk_quota)
        return Parts(
            context=context,
            chain_log=chain_log,
            follower=Follower(rpc, deployment, chain_log, Finality(config.confirmations)),
            head=head,
            resync=EventResync(
                contracts=contracts,
                identity=identity,
                journal=journal,
                transactions=transactions,
                chain_log=chain_log,
                head=head,
                backoff=context.backoff,
                on_resync=adapters.health.resyncs.inc,
            ),
            retention=_create_retention(config, context, adapters.health),
            reporter=SnapshotReporter(
                config=config,
                identity=identity,
                rpc=rpc,
                sender=context.sender,
                transactions=transactions,
                journal=journal,
                executor=context.executor,
                chain_log=chain_log,
                ledger=ledger,
                eligibility=Eligibility(contracts, identity),
            ),
            health=adapters.health,
            notifications=_create_notifications(config, adapters.open_outbox(stack), journal, identity),
            resources=stack.pop_all(),
        )


def _open_context(
    config: NodeConfig,
    adapters: Adapters,
    identity: Identity,
    contracts: Contracts,
    journal: Journal,
    transactions: SqliteTxStore,
    stack: ExitStack,
) -> Context:
    content = adapters.open_content(stack)
    background = Background()
    stack.callback(background.close)
    open_requests = transactions.open_requests(identity.signer)
    return Context(
        config=config,
        identity=identity,
        contracts=contracts,
        sender=adapters.create_sender(contracts.rpc, transactions),
        journal=journal,
        executor=adapters.open_executor(stack),
        store=content.store,
        fetcher=content.fetcher,
        keeper=content.keeper,
        background=background,
        strategy=adapters.strategy,
        bases=adapters.create_bases(),
        backoff=Backoff(),
        open_transactions={request.key for request in open_requests},
    )


def _create_retention(config: NodeConfig, context: Context, health: HealthState) -> RetentionService:
    quota = DataQuota(
        config.data_dir, config.disk_quota, network_name(context.identity), config.bases, context.bases, context.specs
    )
    return RetentionService(
        context.keeper,
        context.fetcher.cache,
        days=config.retention_days,
        every_s=config.retention_check_interval_seconds,
        data=quota,
        evicted=health.evicted.inc,
    )


def _create_notifications(
    config: NodeConfig, outbox: Outbox | None, journal: Journal, identity: Identity
) -> Notifications | None:
    if outbox is None:
        return None
    return Notifications(
        outbox, journal, identity.operator, identity.chain_id, debounce_s=config.webhook_debounce_seconds
    )
