"""A `Context` with a real journal, store and fetcher, for tests of duties that need neither a chain nor workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

from tests.support.daemon.scenario import identity

from covey.chain.contracts import Contracts
from covey.chain.tx.sender import Sender
from covey.config.node import NodeConfig
from covey.daemon.context import Context
from covey.daemon.retention.retention import open_keeper
from covey.daemon.storage.journal import Journal
from covey.daemon.storage.secrets import SecretFile
from covey.daemon.strategy import Strategy
from covey.daemon.workers.background import Background
from covey.daemon.workers.base_digests import BaseDigests
from covey.daemon.workers.executor import Executor
from covey.ipfs import BlockStore, open_fetcher
from covey.protocol.spec import TaskSpec

T = TypeVar("T")

SPEC = TaskSpec.parse(
    {
        "version": 1,
        "base": {"name": "tiny", "revision": "local", "digest": "00" * 32, "family": "qwen3"},
        "adapter": {"target_modules": ["q_proj"], "max_rank": 4, "max_bytes": 1000},
        "domain": "weather",
        "strata": [{"name": "a", "weight": 10_000, "min_records": 8, "min_tokens": 8}],
        "evaluation": {"source": "local", "sequence_length": 32, "min_records": 8, "max_records": 8},
        "scoring": {"h": 50, "tau": 500, "floor": 100},
    }
)


def node_config(data_dir: Path, **settings: Any) -> NodeConfig:
    """Settings of a validator with this data folder."""
    fields = {
        "roles": ["validator"],
        "keystore": "k",
        "rpc_urls": ["http://127.0.0.1:1"],
        "deployment": "d",
        "data_dir": str(data_dir),
        "heldout_records": "r",
    }
    return NodeConfig.model_validate({**fields, **settings})


@contextmanager
def open_context(
    folder: Path,
    *,
    config: NodeConfig | None = None,
    make_sender: Callable[[Journal], Sender] | None = None,
    executor: Executor | None = None,
) -> Iterator[Context]:
    """Open a context below `folder`. Parts that are not given are None, so using them fails the test."""
    config = node_config(folder / "data") if config is None else config
    config.data_dir.mkdir(exist_ok=True)
    store = BlockStore(folder / "blocks")
    journal = Journal(config.journal_path, SecretFile(folder / "secrets.log", bytes(32)))
    background = Background(retry_seconds=0.05)
    with open_fetcher(store) as fetcher:
        yield Context(
            config=config,
            identity=identity(),
            contracts=cast(Contracts, None),
            sender=cast(Sender, None) if make_sender is None else make_sender(journal),
            journal=journal,
            executor=cast(Executor, executor),
            store=store,
            fetcher=fetcher,
            keeper=open_keeper(config, store, fetcher),
            background=background,
            strategy=Strategy(),
            bases=BaseDigests(folder / "base-digests.json"),
        )
    background.close()
    journal.close()


def poll_until(read: Callable[[], T], ready: Callable[[T], object] = bool, seconds: float = 120.0) -> T:
    """Call `read` until `ready` accepts its value. Fails after `seconds`."""
    end = time.monotonic() + seconds
    while not ready(value := read()):
        assert time.monotonic() < end, value
        time.sleep(0.01)
    return value
