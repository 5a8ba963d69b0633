"""The guard of conftest.py itself."""

from __future__ import annotations

import socket

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
