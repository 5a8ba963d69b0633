"""A real toxiproxy on loopback: faults on the TCP connection between two processes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

import pytest
import urllib3
from tests.support.go_programs import NotBuilt, Program, Server

from covey.devnet.anvil import free_port

TOXIPROXY = Program(
    "toxiproxy", "toxiproxy", "github.com/Shopify/toxiproxy/v2", "toxiproxy-server", ("-version",), "version {}\n", 1
)

DOWN: Final = "down"
TOXICS: Final[dict[str, dict[str, int]]] = {
    "latency": {"latency": 700, "jitter": 500},  # ms
    "bandwidth": {"rate": 1},  # KB/s
    "slicer": {"average_size": 64, "size_variation": 32, "delay": 20_000},  # bytes, µs between slices
    "limit_data": {"bytes": 150},  # of the answer with its headers: it breaks off in the middle
    "reset_peer": {"timeout": 0},  # ms
    "timeout": {"timeout": 1_500},  # ms; nothing passes until then, and then the connection is closed
}
"""Attributes by toxiproxy's name of the toxic; all toxics act on what the client receives."""

KINDS: Final = (*TOXICS, DOWN)
"""All faults of a `WireProxy`. Under ``down`` nothing listens."""


class Toxiproxy(Server):
    """A toxiproxy server; `proxy` puts a proxy in front of a server. Use as a context manager."""

    def __init__(self, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self._binary = TOXIPROXY.find()
        self._log = folder / "toxiproxy.log"
        self._http = urllib3.PoolManager(maxsize=2, retries=False, timeout=30.0)

    def start(self, timeout_s: float = 60.0) -> Self:
        """Start it and wait until its API answers."""
        port = self.url.rsplit(":", 1)[1]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [self._binary, "-host", "127.0.0.1", "-port", port],
                env={**os.environ, "LOG_LEVEL": "warn"},
                stdout=log,
                stderr=log,
            )
        self._wait(lambda: self.ask("GET", "/version"), urllib3.exceptions.HTTPError, self._log, timeout_s)
        return self

    def proxy(self, name: str, target: str) -> WireProxy:
        """A new proxy for the server at the URL ``target``, without a fault."""
        port = free_port()
        fields = {"name": name, "listen": f"127.0.0.1:{port}", "upstream": urlsplit(target).netloc, "enabled": True}
        self.ask("POST", "/proxies", fields)
        return WireProxy(self, name, f"http://127.0.0.1:{port}")

    def ask(self, method: str, path: str, fields: dict[str, Any] | None = None) -> Any:
        """Call its API. Raises RuntimeError with its answer."""
        body = None if fields is None else json.dumps(fields)
        answer = self._http.request(method, self.url + path, body=body, headers={"User-Agent": "covey-tests"})
        if answer.status >= 400:
            raise RuntimeError(f"toxiproxy {method} {path}: {answer.status} {answer.data.decode()[:300]}")
        return json.loads(answer.data) if answer.data else None


class WireProxy:
    """One proxy of a `Toxiproxy`, at ``url``, with at most one fault at a time."""

    def __init__(self, server: Toxiproxy, name: str, url: str) -> None:
        self.url = url
        self.fault: str | None = None
        self._server = server
        self._path = f"/proxies/{name}"

    def set(self, fault: str | None) -> None:
        """Activate one fault of `KINDS`, for open connections too; None deactivates it."""
        before, self.fault = self.fault, fault
        if before == DOWN:
            self._server.ask("POST", self._path, {"enabled": True})
        elif before is not None:
            self._server.ask("DELETE", f"{self._path}/toxics/{before}")
        if fault == DOWN:
            self._server.ask("POST", self._path, {"enabled": False})
        elif fault is not None:
            toxic = {"name": fault, "type": fault, "stream": "downstream", "attributes": TOXICS[fault]}
            self._server.ask("POST", f"{self._path}/toxics", toxic)


def new_toxiproxy(folder: Path) -> Toxiproxy:
    """A toxiproxy, not started; without one the test is skipped, or fails if COVEY_REQUIRE_TOXIPROXY is set."""
    try:
        return Toxiproxy(folder)
    except NotBuilt as missing:
        if os.environ.get("COVEY_REQUIRE_TOXIPROXY"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
