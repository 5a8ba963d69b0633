"""Notices to a webhook: each a JSON object by POST, from a thread of its own, tried again until it is taken.

The address may hold a secret (chat services put one into its path), so it comes from a file and is never logged, and
neither is the bearer token.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from typing import Any, Protocol

log = logging.getLogger("covey.daemon")

_MOST = 1_000  # notices that may wait; the oldest make room
_TIMEOUT_S = 10.0
_LONGEST_PAUSE_S = 300.0


class CounterOf(Protocol):
    """What counts notices by outcome; see `Metrics.notices`."""

    def labels(self, *values: str) -> Any: ...


class Webhook:
    """Delivers notices to `url`, oldest first. `post` never blocks and never raises.

    A notice that the other side refuses for good (4xx but 408, 425 and 429) is dropped; anything else is tried again
    after `first_pause_s`, twice as long each time up to five minutes, for at most `give_up_s` seconds.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        counter: CounterOf | None = None,
        *,
        first_pause_s: float = 1.0,
        give_up_s: float = 86_400.0,
    ) -> None:
        self._url = url
        self._token = token
        self._counter = counter
        self._first_pause_s = first_pause_s
        self._give_up_s = give_up_s
        self._waiting: deque[tuple[float, dict[str, Any]]] = deque()
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._deliver_all, name="webhook", daemon=True)
        self._thread.start()

    @property
    def idle(self) -> bool:
        """Whether everything posted was delivered or given up."""
        with self._changed:
            return not self._waiting

    def post(self, notice: dict[str, Any]) -> None:
        """Queue a notice."""
        with self._changed:
            self._waiting.append((time.monotonic(), notice))
            if len(self._waiting) > _MOST:
                self._waiting.popleft()
                self._count("dropped")
                log.warning("notice dropped", extra={"reason": f"{_MOST} are waiting for the webhook"})
            self._changed.notify()

    def close(self, wait_s: float = 2.0) -> None:
        """End the thread; what waits gets one more moment."""
        end = time.monotonic() + wait_s
        while not self.idle and time.monotonic() < end and self._thread.is_alive():
            time.sleep(0.05)
        self._closed.set()
        with self._changed:
            self._changed.notify()

    def _deliver_all(self) -> None:
        while not self._closed.is_set():
            with self._changed:
                while not self._waiting and not self._closed.is_set():
                    self._changed.wait()
                if self._closed.is_set():
                    return
                since, notice = head = self._waiting[0]
            self._deliver(notice, since)
            with self._changed:
                if self._waiting and self._waiting[0] is head:
                    self._waiting.popleft()

    def _deliver(self, notice: dict[str, Any], since: float) -> None:
        pause = self._first_pause_s
        while not self._closed.is_set():
            trouble, lasting = self._try(notice)
            if trouble is None:
                self._count("delivered")
                return
            over = time.monotonic() - since > self._give_up_s
            told = {"notice": notice.get("kind"), "reason": trouble}
            if lasting or over:
                self._count("dropped")
                log.warning("notice dropped", extra=told)
                return
            self._count("failed")
            log.info("notice not delivered yet", extra=told)
            self._closed.wait(pause)
            pause = min(_LONGEST_PAUSE_S, 2 * pause)

    def _try(self, notice: dict[str, Any]) -> tuple[str | None, bool]:
        """(None, _) once taken, else what went wrong, without the address, and whether it will again."""
        import urllib3  # here, so that a node without a webhook does without

        headers = {"Content-Type": "application/json", "User-Agent": "covey"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        body = json.dumps(notice).encode()
        try:
            with urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(_TIMEOUT_S)) as pool:
                answer = pool.request("POST", self._url, body=body, headers=headers, redirect=False)
        except Exception as error:  # its text names the address
            return type(error).__name__, False
        if 200 <= answer.status < 300:
            return None, False
        lasting = 300 <= answer.status < 500 and answer.status not in (408, 425, 429)
        return f"the webhook answered {answer.status}", lasting

    def _count(self, outcome: str) -> None:
        if self._counter is not None:
            self._counter.labels(outcome).inc()
