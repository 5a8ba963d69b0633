"""Serves `/health` for a supervisor and `/metrics` for Prometheus on a local port.

Health is red when money may be lost: a duty is missed, or due for long without an accepted transaction, the head is
stale, the balance is low, transactions are stuck, retained content is missing, or the main loop hangs. A running
process alone is not healthy.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from errno import EADDRINUSE
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from covey.config.types import split_listen
from covey.daemon.monitoring.metrics import DueDuty, Metrics, Snapshot, json_safe

__all__ = ["DueDuty", "HealthError", "HealthServer", "HealthState", "Lateness", "Snapshot"]

log = logging.getLogger("covey.daemon")


class HealthError(Exception):
    """The health port cannot be opened.

    Attributes:
        passing: another program uses the port, so a later start may succeed.
    """

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


class HealthState(Metrics):
    """The metrics and the newest snapshot. A snapshot that is not replaced in time turns red by itself.

    Args:
        patience_s: local seconds that a cycle may take before the node counts as stuck.
    """

    def __init__(self, patience_s: float = 300.0) -> None:
        super().__init__()
        self._patience_s = patience_s
        self._snapshot = Snapshot()
        self._shown_at = time.monotonic()
        self.healthy.set_function(lambda: float(self.snapshot.healthy))
        self.cycle_age.set_function(self.age)

    @property
    def snapshot(self) -> Snapshot:
        """The newest snapshot, with one more problem if it is too old."""
        newest, age = self._snapshot, self.age()
        if age <= self._patience_s:
            return newest
        return replace(newest, problems=(f"stuck: no cycle has ended for {age:.0f} s", *newest.problems))

    def age(self) -> float:
        """Local seconds since a cycle ended or failed."""
        return time.monotonic() - self._shown_at

    def show(self, snapshot: Snapshot) -> None:
        """Replace the served snapshot, log a change of problems, and update the metrics."""
        before, self._snapshot, self._shown_at = self._snapshot, snapshot, time.monotonic()
        if before.problems != snapshot.problems:
            level = logging.INFO if snapshot.healthy else logging.WARNING
            log.log(level, "health changed", extra={"problems": list(snapshot.problems)})
        self.measure(snapshot)


class Lateness:
    """Detects duties that have used two thirds of their time, and measures the age of the head."""

    def __init__(self) -> None:
        self._due_since: dict[str, int] = {}
        self._head = -1
        self._head_seen = time.monotonic()

    def late(self, due: Sequence[tuple[str, int]], now: int) -> list[str]:
        """Keys of the due duties (key, deadline) that are late at chain time `now`."""
        keys = {key for key, _ in due}
        for done in self._due_since.keys() - keys:
            del self._due_since[done]
        late = []
        for key, deadline in due:
            since = self._due_since.setdefault(key, now)
            if now - since > 2 * (deadline - since) / 3:
                late.append(key)
        return late

    def head_age(self, block: int) -> float:
        """Local seconds since the head last moved."""
        if block != self._head:
            self._head, self._head_seen = block, time.monotonic()
        return time.monotonic() - self._head_seen


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "covey"
    sys_version = ""
    timeout = 10

    def do_GET(self) -> None:
        health_state = cast(_Server, self.server).health_state
        if self.path == "/health":
            snapshot = health_state.snapshot
            body = json_safe({"status": "ok" if snapshot.healthy else "red", **asdict(snapshot)})
            status = HTTPStatus.OK if snapshot.healthy else HTTPStatus.SERVICE_UNAVAILABLE
            self._respond(status, "application/json", json.dumps(body).encode() + b"\n")
        elif self.path == "/metrics":
            self._respond(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(health_state.registry))
        else:
            self._respond(HTTPStatus.NOT_FOUND, "text/plain", b"only /health and /metrics are served\n")

    do_HEAD = do_GET

    def _respond(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        return


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], health_state: HealthState) -> None:
        self.health_state = health_state
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)


class HealthServer:
    """Serves `/health` and `/metrics` at `host:port` (port 0: any free one) from a background thread.

    Raises:
        HealthError: the address cannot be bound.
    """

    def __init__(self, listen: str, health_state: HealthState) -> None:
        try:
            self._server = _Server(split_listen(listen), health_state)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise HealthError(
                f"cannot serve health at {listen} (health_listen): {reason}",
                passing=getattr(error, "errno", None) == EADDRINUSE,
            ) from None
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, name="health", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        host, port = str(self._server.server_address[0]), self._server.server_address[1]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
