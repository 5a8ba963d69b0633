"""How far the nodes' training and scoring are, as their health ports tell it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any

import urllib3

_EVERY_S = 1.0
_STEPS = re.compile(r"(\d+)/(\d+)$")


class Progress:
    """Sums the steps of all jobs seen since `begin`; a job that is no longer told of is over."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        self._ports = ports
        self._jobs: dict[str, tuple[int, int]] = {}
        self._looked = 0.0
        self._http = urllib3.PoolManager(maxsize=1, retries=False, timeout=urllib3.Timeout(0.5))

    def begin(self) -> None:
        """Forget the jobs of an earlier part of the run."""
        self._jobs.clear()

    def share(self) -> float:
        """Share of all steps that is done, 0 to 1; looks at most once a second."""
        if time.monotonic() - self._looked >= _EVERY_S:
            for name, port in self._ports.items():
                self.note(name, self._health(port))
            self._looked = time.monotonic()
        total = sum(total for _, total in self._jobs.values())
        return sum(done for done, _ in self._jobs.values()) / total if total else 0.0

    def note(self, name: str, health: Mapping[str, Any] | None) -> None:
        """Take in what one node's health port said; None where it said nothing in time."""
        if health is None:
            return
        told = {key: match for key, text in dict(health.get("jobs", {})).items() if (match := _STEPS.search(text))}
        if not told and name in self._jobs:
            self._jobs[name] = (self._jobs[name][1], self._jobs[name][1])
        for match in told.values():
            self._jobs[name] = (int(match[1]), int(match[2]))

    def _health(self, port: int) -> dict[str, Any] | None:
        try:
            reply = self._http.request("GET", f"http://127.0.0.1:{port}/health")
            answer: dict[str, Any] = json.loads(reply.data)
        except (urllib3.exceptions.HTTPError, ValueError):
            return None
        return answer
