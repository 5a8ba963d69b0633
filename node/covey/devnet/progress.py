"""Progress of the nodes' training and scoring jobs, from their health servers."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any

import urllib3

_POLL_S = 1.0
_STEPS = re.compile(r"(\d+)/(\d+)$")


class Progress:
    """Sums the steps of all jobs seen since `begin`. A job that a node no longer reports is complete."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        self._ports = ports
        self._jobs: dict[str, tuple[int, int]] = {}
        self._polled = 0.0
        self._http = urllib3.PoolManager(maxsize=1, retries=False, timeout=urllib3.Timeout(0.5))

    def begin(self) -> None:
        """Start a new phase: drop the jobs seen so far."""
        self._jobs.clear()

    def share(self) -> float:
        """Completed share of all steps, 0 to 1. Polls the nodes at most once a second."""
        if time.monotonic() - self._polled >= _POLL_S:
            for name, port in self._ports.items():
                self.note(name, self._health(port))
            self._polled = time.monotonic()
        total = sum(total for _, total in self._jobs.values())
        return sum(done for done, _ in self._jobs.values()) / total if total else 0.0

    def note(self, name: str, health: Mapping[str, Any] | None) -> None:
        """Update from one node's health response; None if it did not respond in time."""
        if health is None:
            return
        reported = {key: match for key, text in dict(health.get("jobs", {})).items() if (match := _STEPS.search(text))}
        if not reported and name in self._jobs:
            self._jobs[name] = (self._jobs[name][1], self._jobs[name][1])
        for match in reported.values():
            self._jobs[name] = (int(match[1]), int(match[2]))

    def _health(self, port: int) -> dict[str, Any] | None:
        try:
            reply = self._http.request("GET", f"http://127.0.0.1:{port}/health")
            health: dict[str, Any] = json.loads(reply.data)
        except (urllib3.exceptions.HTTPError, ValueError):
            return None
        return health
