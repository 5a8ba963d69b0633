"""From settings to a node that is ready to look at the chain: key, endpoints, contracts, journal, store, workers."""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from covey.chain.contracts import Contracts
from covey.chain.deployment import Deployment
from covey.chain.errors import FatalError
from covey.chain.events.follower import Follower
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.finality import Finality
from covey.chain.signing.keystore import LocalSigner, Signer
from covey.chain.tx.fees import FeePolicy
from covey.chain.tx.sender import Sender
from covey.chain.tx.store import SqliteTxStore
from covey.config.credentials import token_of
from covey.config.node import ConfigError, NodeConfig
from covey.daemon.context import Context
from covey.daemon.planning.plan import Identity
from covey.daemon.retention.data_quota import BASES
from covey.daemon.retention.retention import open_keeper
from covey.daemon.state.ledger import Ledger
from covey.daemon.state.projection import ChainLog, HeadProjection
from covey.daemon.storage.journal import Journal
from covey.daemon.storage.secrets import SecretError, SecretFile, derive_key, key_from_file
from covey.daemon.strategy import Strategy
from covey.daemon.workers.background import Background
from covey.daemon.workers.base_digests import BaseDigests
from covey.daemon.workers.executor import Limits, ProcessExecutor
from covey.ipfs import Gateway, open_fetcher, open_store

ZERO_ADDRESS = "0x" + "00" * 20


@dataclass(frozen=True, slots=True)
class Parts:
    """An assembled node. `close` undoes it, in reverse order."""

    context: Context
    log: ChainLog
    ledger: Ledger
    follower: Follower
    head: HeadProjection
    closing: ExitStack

    def close(self) -> None:
        self.closing.close()


def lock_data_dir(folder: Path) -> int:
    """Keep a second daemon out. Raises ConfigError."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(f"data_dir {folder}: {error.strerror}") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise ConfigError(f"data_dir {folder} is in use by another daemon") from None
    return descriptor


def identify(config: NodeConfig, contracts: Contracts, signer: str) -> Identity:
    """Who the key acts for. Raises Fatal where it acts for nobody, or not for the operator of the settings."""
    staking = contracts.staking
    operator = staking.operator_of(signer)
    if operator == ZERO_ADDRESS:
        raise FatalError(
            f"no operator has named {signer} its signer: register, or rotate the signer, with the cold key"
        )
    if config.operator is not None and config.operator != operator:
        raise FatalError(f"{signer} signs for operator {operator}, not for {config.operator} of the settings")
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


def assemble(config: NodeConfig, strategy: Strategy, signer: Signer) -> Parts:
    """Open everything. Raises ConfigError, Fatal, IpfsError, JournalError for what the operator must mend, and
    Recoverable while no endpoint answers."""
    with ExitStack() as stack:
        descriptor = lock_data_dir(config.data_dir)
        stack.callback(os.close, descriptor)
        deployment = Deployment.load(config.deployment)
        rpc = Rpc(list(config.rpc_urls), deployment.chain_id, config.rpc_timeout_seconds, quorum=config.rpc_quorum)
        rpc.check()
        deployment.verify(rpc)
        rpc.watch(config.rpc_health_interval_seconds)
        stack.callback(rpc.close)
        contracts = Contracts(rpc, deployment)
        me = identify(config, contracts, signer.address)
        journal = _open_journal(config, signer, me, contracts)
        stack.callback(journal.close)
        context = _context(config, strategy, signer, me, contracts, journal, stack)
        ledger = Ledger(me.operator, (me.signer, *me.accounts))
        log = ChainLog(journal, me.operator, ledger)
        follower = Follower(rpc, deployment, log, Finality(config.confirmations))
        return Parts(context, log, ledger, follower, HeadProjection(rpc, deployment), stack.pop_all())


def _open_journal(config: NodeConfig, signer: Signer, me: Identity, contracts: Contracts) -> Journal:
    path = config.data_dir / f"secrets-{signer.address.lower()}.log"
    journal = Journal(config.journal_path, SecretFile(path, _secrets_key(config, signer, path)))
    journal.bind({"chain": str(me.chain_id), "registry": contracts.registry.address, "operator": me.operator})
    journal.reconsider()
    return journal


def _secrets_key(config: NodeConfig, signer: Signer, secrets: Path) -> bytes:
    """The key of the second copy of salts. A remote signer's key cannot be had, so it gets one of its own."""
    if config.secrets_key_file is None and isinstance(signer, LocalSigner):
        return derive_key(signer.key)
    try:
        return key_from_file(config.secrets_key_file or config.data_dir / "secrets.key", secrets)
    except SecretError as error:
        raise ConfigError(str(error)) from None


def _context(
    config: NodeConfig,
    strategy: Strategy,
    signer: Signer,
    me: Identity,
    contracts: Contracts,
    journal: Journal,
    stack: ExitStack,
) -> Context:
    token = token_of("store_token_file", config.store_token_file)
    store = open_store(
        config.store_location,
        quota_bytes=config.store_quota,
        token=token,
        token_in_clear=config.store_token_in_clear,
    )
    stack.callback(store.close)
    fetcher = open_fetcher(
        store,
        config.peers,
        cache=config.data_dir / "fetch-cache",
        cache_quota_bytes=config.cache_quota,
        timeout_s=config.fetch_timeout_seconds,
    )
    stack.callback(fetcher.close)
    keeper = open_keeper(config, store, fetcher)
    if config.gateway_listen is not None:
        host, _, port = config.gateway_listen.rpartition(":")
        stack.callback(Gateway(store, host, int(port)).close)
    background = Background()
    stack.callback(background.close)
    # Downloaded bases count towards the node's own quota, unless the machine has a place for them already.
    if not os.environ.get("HF_HOME"):
        os.environ.setdefault("HF_HUB_CACHE", str((config.data_dir / BASES).resolve()))
    memory, seconds, silent = (
        config.worker_memory_mib << 20,
        config.worker_timeout_seconds,
        config.worker_heartbeat_timeout_seconds,
    )
    limits = Limits(memory, seconds, config.worker_threads, silent)
    executor = ProcessExecutor(config.executor, limits, config.data_dir / "work" / "logs")
    stack.callback(executor.close)
    transactions = SqliteTxStore(journal.db)
    fees = FeePolicy(cap=config.max_gas_price, max_priority=config.max_priority_fee, patience=config.bump_blocks)
    sender = Sender(contracts.rpc, signer, transactions, fees=fees, finality=Finality(config.confirmations))
    bases = BaseDigests(config.data_dir / "base-digests.json")
    context = Context(
        config, me, contracts, sender, journal, executor, store, fetcher, keeper, background, strategy, bases
    )
    context.open_transactions.update(request.key for request in transactions.open_requests(signer.address))
    return context
