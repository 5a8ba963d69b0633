"""Whether the node still earns: `/health` for a supervisor, `/metrics` for Prometheus, both on a local port.

Red means that money may be lost: a duty missed or late, a stale head, a low balance, transactions that do not move,
promised content that cannot be had.
A process that merely runs is not healthy.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

log = logging.getLogger("covey.daemon")


class HealthError(Exception):
    """The health port cannot be opened."""


@dataclass(frozen=True, slots=True)
class DueDuty:
    """A duty that is due and what it waits for."""

    key: str
    deadline: int
    waits_for: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the node knows of itself after a look at the chain. Times are chain time unless they say otherwise."""

    operator: str = ""
    signer: str = ""
    roles: tuple[str, ...] = ()
    head_block: int = 0
    head_time: int = 0
    settled_block: int = 0
    running_tasks: int = 0
    balance: int | None = None
    due: tuple[DueDuty, ...] = ()
    jobs: dict[str, str] = field(default_factory=dict)
    transactions: dict[str, int] = field(default_factory=dict)
    last_accepted_block: int | None = None
    missed: tuple[str, ...] = ()
    promised: int = 0
    lapses: tuple[str, ...] = ()
    stored_bytes: int | None = None
    store_quota_bytes: int | None = None
    problems: tuple[str, ...] = ("starting",)

    @property
    def healthy(self) -> bool:
        return not self.problems


class Vitals:
    """The newest snapshot and the counters behind `/metrics`. One a node: nothing here is global."""

    def __init__(self) -> None:
        self.snapshot = Snapshot()
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        gauge = self._gauge
        self._healthy = gauge("healthy", "1 while the node earns, 0 while it does not")
        self._head_block = gauge("head_block", "Newest block seen")
        self._head_time = gauge("head_timestamp_seconds", "Chain time of the newest block")
        self._settled = gauge("settled_block", "Newest block whose events were read")
        self._tasks = gauge("tasks_running", "Tasks that have not ended")
        self._balance = gauge("signer_balance_wei", "Native coin of the signer")
        self._due = gauge("duties_due", "Duties that are due now")
        self._missed = gauge("duties_missed", "Duties of known tasks whose time ran out")
        self._jobs = gauge("jobs_running", "Training and scoring jobs queued or running")
        self._promised = gauge("promises", "Published directories that this node has promised to keep")
        self._lapsed = gauge("promises_lapsed", "Places where promised content could not be had at the last check")
        self._stored = gauge("store_bytes", "Blocks in the store that fetched content goes to")
        self._quota = gauge("store_quota_bytes", "Most bytes that store may hold")
        self._transactions = Gauge(
            "covey_transactions", "Transactions that are not final", ["status"], registry=self.registry
        )
        self.events = self._counter("events", "Contract events read")
        self.job_failures = self._counter("job_failures", "Worker jobs that failed")
        self.duty_errors = self._counter("duty_errors", "Errors while a duty was advanced")
        self.looks = self._counter("looks", "Looks at the chain")
        self.failed_looks = self._counter("failed_looks", "Looks at the chain that an error ended")

    def _gauge(self, name: str, told: str) -> Gauge:
        return Gauge(f"covey_{name}", told, registry=self.registry)

    def _counter(self, name: str, told: str) -> Counter:
        return Counter(f"covey_{name}", told, registry=self.registry)

    def show(self, snapshot: Snapshot) -> None:
        """Make a snapshot the one that is served."""
        before, self.snapshot = self.snapshot, snapshot
        if before.problems != snapshot.problems:
            level = logging.INFO if snapshot.healthy else logging.WARNING
            log.log(level, "health changed", extra={"problems": list(snapshot.problems)})
        self._healthy.set(snapshot.healthy)
        self._head_block.set(snapshot.head_block)
        self._head_time.set(snapshot.head_time)
        self._settled.set(snapshot.settled_block)
        self._tasks.set(snapshot.running_tasks)
        if snapshot.balance is not None:
            self._balance.set(snapshot.balance)
        self._due.set(len(snapshot.due))
        self._missed.set(len(snapshot.missed))
        self._jobs.set(len(snapshot.jobs))
        self._promised.set(snapshot.promised)
        self._lapsed.set(len(snapshot.lapses))
        if snapshot.stored_bytes is not None:
            self._stored.set(snapshot.stored_bytes)
        if snapshot.store_quota_bytes is not None:
            self._quota.set(snapshot.store_quota_bytes)
        for status, count in snapshot.transactions.items():
            self._transactions.labels(status).set(count)


class Lateness:
    """Which due duties have used up two thirds of their time, and when a new block was last seen."""

    def __init__(self) -> None:
        self._due_since: dict[str, int] = {}
        self._head = -1
        self._head_seen = time.monotonic()

    def late(self, due: Sequence[tuple[str, int]], now: int) -> list[str]:
        """Keys of the duties (key, deadline) that are late at chain time `now`."""
        keys = {key for key, _ in due}
        for gone in self._due_since.keys() - keys:
            del self._due_since[gone]
        found = []
        for key, deadline in due:
            since = self._due_since.setdefault(key, now)
            if now - since > 2 * (deadline - since) / 3:
                found.append(key)
        return found

    def head_age(self, block: int) -> float:
        """Seconds on this machine's clock since the head last moved."""
        if block != self._head:
            self._head, self._head_seen = block, time.monotonic()
        return time.monotonic() - self._head_seen


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "covey"
    sys_version = ""
    timeout = 10

    def do_GET(self) -> None:
        vitals = cast(_Server, self.server).vitals
        if self.path == "/health":
            snapshot = vitals.snapshot
            body = {"status": "ok" if snapshot.healthy else "red", **asdict(snapshot)}
            status = HTTPStatus.OK if snapshot.healthy else HTTPStatus.SERVICE_UNAVAILABLE
            self._answer(status, "application/json", json.dumps(body).encode() + b"\n")
        elif self.path == "/metrics":
            self._answer(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(vitals.registry))
        else:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"only /health and /metrics are served\n")

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        return


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], vitals: Vitals) -> None:
        self.vitals = vitals
        super().__init__(address, _Handler)


class HealthServer:
    """Serves `/health` and `/metrics` at `host:port` (port 0: any free one) from a background thread."""

    def __init__(self, listen: str, vitals: Vitals) -> None:
        host, _, port = listen.rpartition(":")
        try:
            self._server = _Server((host, int(port)), vitals)
        except OSError as error:
            raise HealthError(f"cannot serve health at {listen}: {error.strerror}") from None
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, name="health", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
