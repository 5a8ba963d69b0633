"""What a pool knows of its endpoints. Times are `time.monotonic` seconds."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from covey.chain.rpc.endpoint import Endpoint, printable

BEHIND_S = 30.0
"""An endpoint is behind when it has not yet the head that the others had this long ago."""


@dataclass(slots=True)
class EndpointHealth:
    """One endpoint's record."""

    endpoint: Endpoint
    checked: bool = False
    """Whether its chain id was found right since its last fault."""
    chain_id: int | None = None
    """The chain that it said it serves when it was last asked."""
    faults: int = 0
    """In a row."""
    retry_at: float = 0.0
    must_wait: bool = False
    """Whether it said itself when to come back (Retry-After)."""
    latency: float = 0.0
    """Moving average of its answers, seconds."""
    last_fault: str = ""
    head: int | None = None
    head_at: float = 0.0
    """When ``head`` was first seen."""
    asked: int = 0
    failures: int = 0
    disagreed: int = 0
    """Times that it was outvoted."""
    lies: int = 0
    """Times that it lacked a block at or below the head it had claimed."""
    gave_logs: bool = False
    """Whether logs came from it since they were last doubted."""
    doubts: int = 0
    """Times that logs were found wrong to which it had contributed."""
    doubted_until: float = 0.0
    """Until then others are asked before it; a good answer does not end that."""

    def answered(self, latency: float) -> None:
        self.latency = latency if self.latency == 0.0 else 0.8 * self.latency + 0.2 * latency
        self.faults = 0
        self.retry_at = 0.0
        self.must_wait = False

    def failed(self, fault: str, pause: float) -> None:
        self.faults += 1
        self.failures += 1
        self.checked = False  # whoever answers at this address next may serve another chain
        self.last_fault = fault
        self.retry_at = time.monotonic() + pause


@dataclass(frozen=True, slots=True)
class EndpointReport:
    """One endpoint's health for people and metrics."""

    url: str
    """Without what may be a key."""
    ok: bool
    """It answered when last asked, is on the right chain, not behind and not doubted."""
    chain_id: int | None
    """The chain that it serves; None before its first answer."""
    head: int | None
    head_age: float | None
    """Seconds since its head was seen to move."""
    blocks_behind: int | None
    latency: float
    """Seconds."""
    asked: int
    failures: int
    disagreed: int
    resting: float
    """Seconds until it is asked again, 0 if it may be now."""
    last_fault: str
    doubts: int = 0
    """Times that logs were found wrong to which it had contributed."""


@dataclass(slots=True)
class Heads:
    """Who has seen which head when.

    One endpoint of three or more cannot make the others look behind by claiming a head that does not exist: the head to
    be measured against is the highest that half of those that answer have reached.
    """

    _seen: dict[int, EndpointHealth] = field(default_factory=dict)
    _reached: deque[tuple[float, int]] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, health: EndpointHealth, method: str, params: list[Any], result: Any) -> str | None:
        """Learn the head from an answer; a line where it shows that the endpoint claimed a head which it lacks.

        Damaged answers are the caller's to complain about.
        """
        if method == "eth_blockNumber":
            self._head(health, _number(result))
        elif method == "eth_getBlockByNumber" and params:
            if isinstance(result, dict):
                self._head(health, _number(result.get("number")), exact=params[0] == "latest")
                return None
            wanted, claimed = _number(params[0]), health.head
            if result is None and wanted is not None and claimed is not None and claimed >= wanted:
                health.head = None
                health.lies += 1
                return f"claimed block {claimed} as its head and lacks block {wanted}"
        return None

    def _head(self, health: EndpointHealth, number: int | None, *, exact: bool = True) -> None:
        if number is None or number == health.head:
            return
        if not exact and health.head is not None and number < health.head:
            return
        now = time.monotonic()
        health.head, health.head_at = number, now
        with self._lock:
            self._seen[id(health)] = health
            best = self._best()
            if best is not None and (not self._reached or best != self._reached[-1][1]):
                self._reached.append((now, best))
            while len(self._reached) > 1 and self._reached[1][0] <= now - BEHIND_S:
                self._reached.popleft()

    def _best(self) -> int | None:
        heads = sorted((h.head for h in self._seen.values() if h.head is not None and h.faults == 0), reverse=True)
        return heads[(len(heads) - 1) // 2] if heads else None

    def behind(self, health: EndpointHealth) -> bool:
        """Whether it lacks what the others had `BEHIND_S` seconds ago."""
        if health.head is None:
            return False
        with self._lock:
            then = time.monotonic() - BEHIND_S
            old = [head for at, head in self._reached if at <= then]
            return bool(old) and health.head < old[-1]

    def report(self, health: EndpointHealth) -> EndpointReport:
        now = time.monotonic()
        with self._lock:
            best = self._best()
        return EndpointReport(
            url=printable(health.endpoint.url),
            ok=health.checked and health.faults == 0 and not self.behind(health) and health.doubted_until <= now,
            chain_id=health.chain_id,
            head=health.head,
            head_age=None if health.head is None else now - health.head_at,
            blocks_behind=None if best is None or health.head is None else max(0, best - health.head),
            latency=health.latency,
            asked=health.asked,
            failures=health.failures,
            disagreed=health.disagreed,
            resting=max(0.0, health.retry_at - now),
            last_fault=health.last_fault,
            doubts=health.doubts,
        )


def _number(value: Any) -> int | None:
    try:
        return int(value, 16)
    except (TypeError, ValueError):
        return None
