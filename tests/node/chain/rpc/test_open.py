"""WebSocket and IPC endpoints of a real anvil, opened by URL."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.chain.anvil import Chain

from covey.chain.errors import ChainError, Unreachable
from covey.chain.rpc.client import Rpc
from covey.devnet.anvil import find_anvil, free_port

pytestmark = pytest.mark.daemon


@pytest.fixture
def two_transports(anvil: Chain, tmp_path: Path) -> Iterator[list[str]]:
    """A separate anvil with an IPC socket: its ws:// URL and the path of the socket."""
    port, socket = free_port(), tmp_path / "anvil.ipc"
    command = [str(find_anvil(install=False)), "--port", str(port), "--ipc", str(socket), "--silent"]
    process = subprocess.Popen(command)
    try:
        end = time.monotonic() + 120
        while not socket.exists():
            assert time.monotonic() < end, "anvil did not open its socket"
            time.sleep(0.05)
        yield [f"ws://127.0.0.1:{port}", str(socket)]
    finally:
        process.terminate()
        process.wait(60)


def test_websocket_and_ipc_endpoints_answer(two_transports: list[str]) -> None:
    for url in two_transports:
        rpc = Rpc(url, 31337, timeout=60)
        assert rpc.block_number() == 0
        assert rpc.balance("0x" + "12" * 20) == 0
        with pytest.raises(ChainError):
            rpc.request("no_such_method", [])


def test_missing_websocket_and_ipc_endpoints_are_unreachable(tmp_path: Path) -> None:
    for url in ("ws://127.0.0.1:9", str(tmp_path / "nothing.ipc")):
        with pytest.raises(Unreachable):
            Rpc(url, timeout=2).block_number()
