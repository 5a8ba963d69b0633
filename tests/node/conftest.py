"""Unit tests of the node open no sockets: one that tries fails. Those marked `daemon` may use loopback."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3  # noqa: F401 - binds a socket once, to see whether this machine has IPv6
from tests.support.chain.anvil import anvil, chain, contracts, deployer, deployment, serve

__all__ = ["anvil", "chain", "contracts", "deployer", "deployment", "serve"]

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@pytest.fixture(scope="session", autouse=True)
def _cheap_keystores() -> Iterator[None]:
    """Lower the default cost of new keystores, a second of computation each; `test_conftest` checks the real one."""
    from eth_keyfile import keyfile

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keyfile, "get_default_work_factor_for_kdf", lambda kdf: 1 << 10)
        yield


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    local = request.node.get_closest_marker("daemon") is not None

    def guard(name: str) -> None:
        original = getattr(socket.socket, name)

        def guarded(self: socket.socket, address: Any) -> Any:
            inside = self.family == getattr(socket, "AF_UNIX", None)  # how processes of this machine talk
            if inside or (local and address[0] in LOOPBACK):
                return original(self, address)
            pytest.fail(f"a unit test must not open sockets: {name} {address!r}")

        monkeypatch.setattr(socket.socket, name, guarded)

    for name in ("connect", "connect_ex", "bind"):
        guard(name)
