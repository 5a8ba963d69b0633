"""Tests of what conftest.py itself does."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest


def test_a_socket_to_the_network_fails_the_test() -> None:
    with socket.socket() as client, pytest.raises(pytest.fail.Exception, match="must not open sockets"):
        client.connect(("192.0.2.1", 80))


def test_loopback_fails_too() -> None:
    with socket.socket() as server, pytest.raises(pytest.fail.Exception, match="must not open sockets"):
        server.bind(("127.0.0.1", 0))


@pytest.mark.daemon
def test_a_daemon_test_may_use_loopback_only() -> None:
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.connect(server.getsockname())
        with pytest.raises(pytest.fail.Exception, match="must not open sockets"):
            client.connect(("192.0.2.1", 80))


def test_a_new_keystore_costs_as_much_as_eth_account_recommends(tmp_path: Path) -> None:
    """Outside of the tests, where conftest.py lowers the cost."""
    program = (
        "import sys; from pathlib import Path; from covey.chain.signing.keystore import create_keystore\n"
        "create_keystore(Path(sys.argv[1]), 'a password')"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "key.json")], check=True)
    assert json.loads((tmp_path / "key.json").read_text())["crypto"]["kdfparams"]["n"] == 1 << 18
