"""Adapters of a live node: it signs, sends, pins, runs workers and notifies."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack
from pathlib import Path

from covey.chain.rpc.client import Rpc
from covey.chain.rpc.finality import Finality
from covey.chain.signing.keystore import LocalSigner, Signer
from covey.chain.tx.fees import FeePolicy
from covey.chain.tx.sender import Sender
from covey.chain.tx.store import SqliteTxStore
from covey.config.credentials import token_of, webhook_of
from covey.config.errors import ConfigError
from covey.config.node import NodeConfig
from covey.config.types import split_listen
from covey.daemon.assemble import ContentParts
from covey.daemon.monitoring.health import HealthState
from covey.daemon.monitoring.notifications import Outbox
from covey.daemon.monitoring.webhook import Webhook
from covey.daemon.retention.data_quota import BASES
from covey.daemon.retention.retention import open_keeper
from covey.daemon.storage.data_dir import lock_data_dir
from covey.daemon.storage.journal import Journal
from covey.daemon.storage.secrets import SecretError, SecretFile, derive_key, key_from_file
from covey.daemon.strategy import Strategy
from covey.daemon.workers.base_digests import BaseDigests
from covey.daemon.workers.executor import Executor, Limits, ProcessExecutor
from covey.ipfs import Gateway, open_fetcher, open_store

log = logging.getLogger("covey.daemon")


class LiveAdapters:
    """See `covey.daemon.assemble.Adapters`."""

    def __init__(self, config: NodeConfig, signer: Signer, strategy: Strategy, health: HealthState) -> None:
        self._config = config
        self._signer = signer
        self.strategy = strategy
        self.health = health

    @property
    def signer_address(self) -> str:
        return self._signer.address

    def prepare(self, stack: ExitStack) -> None:
        """Lock the data folder."""
        stack.callback(os.close, lock_data_dir(self._config.data_dir))

    def monitor(self, rpc: Rpc) -> None:
        rpc.watch(self._config.rpc_health_interval_seconds)

    def open_journal(self, stack: ExitStack) -> Journal:
        path = self._config.data_dir / f"secrets-{self._signer.address.lower()}.log"
        journal = Journal(self._config.journal_path, SecretFile(path, self._secrets_key(path)))
        stack.callback(journal.close)
        return journal

    def _secrets_key(self, secrets: Path) -> bytes:
        """The key of the secrets file: derived from a local signer's key, else from a key file of its own."""
        key_file = self._config.secrets_key_file
        if key_file is None and isinstance(self._signer, LocalSigner):
            return derive_key(self._signer.key)
        try:
            return key_from_file(key_file or self._config.data_dir / "secrets.key", secrets)
        except SecretError as error:
            raise ConfigError(str(error)) from None

    def open_content(self, stack: ExitStack) -> ContentParts:
        config = self._config
        store = open_store(
            config.store_location,
            quota_bytes=config.store_quota,
            token=token_of("store_token_file", config.store_token_file),
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
            gateway = Gateway(store, *split_listen(config.gateway_listen))
            stack.callback(gateway.close)
            log.info("gateway served", extra={"url": gateway.url})
        return ContentParts(store, fetcher, keeper)

    def open_executor(self, stack: ExitStack) -> Executor:
        config = self._config
        # Downloaded bases count towards the node's disk quota, unless the machine has a shared place for them.
        if not os.environ.get("HF_HOME"):
            os.environ.setdefault("HF_HUB_CACHE", str((config.data_dir / BASES).resolve()))
        limits = Limits(
            memory_bytes=config.worker_memory_mib << 20,
            seconds=config.worker_timeout_seconds,
            threads=config.worker_threads,
            heartbeat_seconds=config.worker_heartbeat_timeout_seconds,
        )
        executor = ProcessExecutor(config.executor, limits, config.data_dir / "work" / "logs")
        stack.callback(executor.close)
        return executor

    def open_outbox(self, stack: ExitStack) -> Outbox | None:
        url = webhook_of(self._config.webhook_url_file)
        if url is None:
            return None
        token = token_of("webhook_token_file", self._config.webhook_token_file)
        webhook = Webhook(url, token, self.health.notifications)
        stack.callback(webhook.close)
        return webhook

    def create_sender(self, rpc: Rpc, transactions: SqliteTxStore) -> Sender:
        config = self._config
        fees = FeePolicy(cap=config.max_gas_price, max_priority=config.max_priority_fee, patience=config.bump_blocks)
        return Sender(rpc, self._signer, transactions, fees=fees, finality=Finality(config.confirmations))

    def create_bases(self) -> BaseDigests:
        return BaseDigests(self._config.data_dir / "base-digests.json")
