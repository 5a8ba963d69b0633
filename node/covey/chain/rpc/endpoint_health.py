"""Health records of a pool's endpoints. Times are `time.monotonic` seconds."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from covey.chain.rpc.endpoint import Endpoint, printable

BEHIND_S = 30.0
"""An endpoint is behind if it lacks the head that the others had this long ago."""


@dataclass(slots=True)
class EndpointHealth:
    """One endpoint's record."""

    endpoint: Endpoint
    checked: bool = False
    """True if its chain id was verified since its last fault."""
    chain_id: int | None = None
    """The chain id of its last answer."""
    faults: int = 0
    """Consecutive faults."""
    retry_at: float = 0.0
    """End of its cool-down."""
    must_wait: bool = False
    """True if the endpoint itself set the end of the cool-down (Retry-After)."""
    latency: float = 0.0
    """Moving average of its answers, seconds."""
    last_fault: str = ""
    head: int | None = None
    head_at: float = 0.0
    """When ``head`` was first seen."""
    requests: int = 0
    failures: int = 0
    outvoted: int = 0
    """Quorum reads in which it was in the minority."""
    false_heads: int = 0
    """Times that it lacked a block at or below the head it had claimed."""
    gave_logs: bool = False
    """True if it returned logs since the last penalty for log sources."""
    bad_logs: int = 0
    """Times that logs to which it contributed were found incomplete or forged."""
    penalised_until: float = 0.0
    """Until then other endpoints come first. A good answer does not end the penalty."""

    def record_answer(self, latency: float) -> None:
        """Record a good answer: it ends the cool-down."""
        self.latency = latency if self.latency == 0.0 else 0.8 * self.latency + 0.2 * latency
        self.faults = 0
        self.retry_at = 0.0
        self.must_wait = False

    def record_fault(self, fault: str, cool_down: float) -> None:
        """Record a fault and start a cool-down of so many seconds."""
        self.faults += 1
        self.failures += 1
        self.checked = False  # another server, of another chain, may answer at this address next
        self.last_fault = fault
        self.retry_at = time.monotonic() + cool_down


@dataclass(frozen=True, slots=True)
class EndpointReport:
    """One endpoint's health for status output and metrics."""

    url: str
    """Without what may be a secret."""
    ok: bool
    """True if its last answer was good, and it is on the right chain, not behind and not penalised."""
    chain_id: int | None
    """The chain that it serves; None before its first answer."""
    head: int | None
    head_age: float | None
    """Seconds since its head was seen to move."""
    blocks_behind: int | None
    latency: float
    """Seconds."""
    requests: int
    failures: int
    outvoted: int
    cool_down: float
    """Seconds until the next request; 0 if it may be asked now."""
    last_fault: str
    bad_logs: int = 0
    """Times that logs to which it contributed were found incomplete or forged."""


@dataclass(slots=True)
class Heads:
    """Tracks which endpoint has seen which head when.

    The reference head is the highest that half of the answering endpoints have reached. So one endpoint of three or
    more cannot make the others look behind by claiming a head that does not exist.
    """

    _seen: dict[int, EndpointHealth] = field(default_factory=dict)
    _reached: deque[tuple[float, int]] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def observe(self, health: EndpointHealth, method: str, params: list[Any], result: Any) -> str | None:
        """Update the endpoint's head from an answer.

        Malformed answers are ignored; the caller reports them.

        Returns:
            A fault message if the answer shows that the endpoint lacks a head it had claimed, else None.
        """
        if method == "eth_blockNumber":
            self._update_head(health, _parse_number(result))
        elif method == "eth_getBlockByNumber" and params:
            if isinstance(result, dict):
                self._update_head(health, _parse_number(result.get("number")), exact=params[0] == "latest")
                return None
            wanted, claimed = _parse_number(params[0]), health.head
            if result is None and wanted is not None and claimed is not None and claimed >= wanted:
                health.head = None
                health.false_heads += 1
                return f"claimed block {claimed} as its head and lacks block {wanted}"
        return None

    def _update_head(self, health: EndpointHealth, number: int | None, *, exact: bool = True) -> None:
        if number is None or number == health.head:
            return
        if not exact and health.head is not None and number < health.head:
            return
        now = time.monotonic()
        health.head, health.head_at = number, now
        with self._lock:
            self._seen[id(health)] = health
            reference = self._reference_head()
            if reference is not None and (not self._reached or reference != self._reached[-1][1]):
                self._reached.append((now, reference))
            while len(self._reached) > 1 and self._reached[1][0] <= now - BEHIND_S:
                self._reached.popleft()

    def _reference_head(self) -> int | None:
        heads = sorted((h.head for h in self._seen.values() if h.head is not None and h.faults == 0), reverse=True)
        return heads[(len(heads) - 1) // 2] if heads else None

    def is_behind(self, health: EndpointHealth) -> bool:
        """True if the endpoint lacks the reference head of `BEHIND_S` seconds ago."""
        if health.head is None:
            return False
        with self._lock:
            then = time.monotonic() - BEHIND_S
            earlier = [head for at, head in self._reached if at <= then]
            return bool(earlier) and health.head < earlier[-1]

    def report(self, health: EndpointHealth) -> EndpointReport:
        """Summarise an endpoint's health."""
        now = time.monotonic()
        with self._lock:
            reference = self._reference_head()
        return EndpointReport(
            url=printable(health.endpoint.url),
            ok=health.checked and health.faults == 0 and not self.is_behind(health) and health.penalised_until <= now,
            chain_id=health.chain_id,
            head=health.head,
            head_age=None if health.head is None else now - health.head_at,
            blocks_behind=None if reference is None or health.head is None else max(0, reference - health.head),
            latency=health.latency,
            requests=health.requests,
            failures=health.failures,
            outvoted=health.outvoted,
            cool_down=max(0.0, health.retry_at - now),
            last_fault=health.last_fault,
            bad_logs=health.bad_logs,
        )


def _parse_number(value: Any) -> int | None:
    try:
        return int(value, 16)
    except (TypeError, ValueError):
        return None
