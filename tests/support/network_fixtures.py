"""Fixtures of the end-to-end and chaos tests: what networks share, and a network for one test."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.fork_pool import ForkPool, fork_pool
from tests.support.network import Network, Shared, network, worker_server
from tests.support.prepared_chain import PreparedChain, prepare_chain


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """One folder for all processes of pytest-xdist in this run."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(scope="session")
def prepared_chain(run_folder: Path) -> Callable[[bool], PreparedChain]:
    """Gives the prepared chain, with long windows or without; the first process that asks for one makes it."""

    def get(long_windows: bool = False) -> PreparedChain:
        folder = run_folder / ("chain-with-long-windows" if long_windows else "chain")
        prepared = PreparedChain(folder, long_windows)
        with (run_folder / f"{folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return prepared if prepared.keys.exists() else prepare_chain(folder, long_windows=long_windows)

    return get


@pytest.fixture(scope="session")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The `executor` setting for a server of workers."""
    with worker_server(tmp_path_factory.mktemp("workers")) as executor:
        yield executor


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkPool]:
    """Starts daemons quickly."""
    with fork_pool(tmp_path_factory.mktemp("fork-pool")) as running:
        yield running


@pytest.fixture(scope="session")
def shared(workers: str, pool: ForkPool, prepared_chain: Callable[[bool], PreparedChain]) -> Shared:
    return Shared(workers, pool.launch, prepared_chain(False))


@pytest.fixture
def net(tmp_path: Path, shared: Shared) -> Iterator[Network]:
    """A network for one test."""
    with network(tmp_path, shared) as running:
        yield running
