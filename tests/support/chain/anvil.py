"""Fixtures with a real anvil. Without anvil, tests are skipped, or fail if COVEY_REQUIRE_ANVIL is set."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.chain.servers import Answer, Server

from covey.chain.contracts import Contracts
from covey.chain.deploy.deploy import DeployConfig, deploy
from covey.chain.deployment import Deployment
from covey.chain.errors import ChainError
from covey.chain.rpc.client import Rpc
from covey.chain.signing.keystore import LocalSigner
from covey.devnet.anvil import find_anvil, free_port
from covey.devnet.errors import DevnetError

CHAIN_ID = 31337


class Chain:
    """A running anvil that mines each transaction at once, until `hold`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.rpc = Rpc(url, CHAIN_ID, timeout=30)

    def ask(self, method: str, *params: Any) -> Any:
        """Make one JSON-RPC call to anvil."""
        return self.rpc.request(method, list(params))

    def hold(self) -> None:
        """Stop automatic mining; transactions wait for `mine`."""
        self.ask("evm_setAutomine", False)

    def mine(self, blocks: int = 1, base_fee: int | None = None) -> None:
        """Mine blocks, each with the given base fee, if any."""
        for _ in range(blocks):
            if base_fee is not None:
                self.ask("anvil_setNextBlockBaseFeePerGas", hex(base_fee))
            self.ask("evm_mine")

    def jump(self, timestamp: int) -> None:
        """Mine a block at a chain time; does nothing if that time has passed."""
        if timestamp > self.rpc.block().timestamp:
            self.ask("evm_setNextBlockTimestamp", timestamp)
            self.ask("evm_mine")

    def account(self, number: int, ether: int = 100) -> LocalSigner:
        """A signer with coin for gas; the same number gives the same signer."""
        signer = LocalSigner.from_key(number.to_bytes(32, "big"))
        self.ask("anvil_setBalance", signer.address, hex(ether * 10**18))
        return signer


@contextmanager
def new_anvil(folder: Path) -> Iterator[Chain]:
    """A new anvil. Without anvil the test is skipped, or fails if COVEY_REQUIRE_ANVIL is set."""
    try:
        program = find_anvil(install=False)
    except DevnetError as missing:
        if os.environ.get("COVEY_REQUIRE_ANVIL"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    port = free_port()
    states = folder / "states"  # anvil leaves hundreds of MB in the home otherwise
    command = [str(program), "--hardfork", "prague", "--port", str(port), "--accounts", "1"]
    command += ["--chain-id", str(CHAIN_ID), "--cache-path", str(states)]
    with (folder / "anvil.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            chain = Chain(f"http://127.0.0.1:{port}")
            _wait_until_ready(chain, process, Path(log.name))
            yield chain
        finally:
            process.terminate()
            process.wait(60)
            shutil.rmtree(states, ignore_errors=True)


@pytest.fixture(scope="session")
def anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """One anvil for all tests of the session."""
    with new_anvil(tmp_path_factory.mktemp("anvil")) as chain:
        yield chain


def _wait_until_ready(chain: Chain, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 120
    while True:
        try:
            chain.rpc.block_number()
            return
        except ChainError:
            if process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"anvil did not start: {log.read_text()[-500:]}")
            time.sleep(0.05)


@pytest.fixture(scope="session")
def deployer(anvil: Chain) -> LocalSigner:
    """The account that deploys and governs."""
    return anvil.account(0xD0)


@pytest.fixture(scope="session")
def deployment(anvil: Chain, deployer: LocalSigner) -> Deployment:
    """Covey's contracts, deployed once."""
    return deploy(anvil.rpc, deployer, DeployConfig.devnet())


@pytest.fixture
def chain(anvil: Chain, deployment: Deployment) -> Iterator[Chain]:
    """The chain with Covey's contracts; changes by a test are reverted."""
    snapshot = anvil.ask("evm_snapshot")
    yield Chain(anvil.url)
    anvil.ask("anvil_dropAllTransactions")
    anvil.ask("evm_revert", snapshot)
    anvil.ask("anvil_setNextBlockBaseFeePerGas", hex(anvil.rpc.block().base_fee))  # evm_revert keeps it
    anvil.ask("evm_setAutomine", True)


@pytest.fixture
def contracts(chain: Chain, deployment: Deployment) -> Contracts:
    """Bindings over the test's chain."""
    return Contracts(chain.rpc, deployment)


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], Server]]:
    """Starts JSON-RPC servers with scripted behaviour."""
    servers: list[Server] = []

    def start(answer: Answer) -> Server:
        servers.append(Server(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.http.shutdown()
        server.http.server_close()
