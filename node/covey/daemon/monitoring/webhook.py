"""Delivers notifications to a webhook: one JSON object per POST, from its own thread, retried until accepted.

The URL may contain a secret (chat services put one into its path). It comes from a file and is never logged; neither is
the bearer token.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import deque
from typing import Any, Protocol

log = logging.getLogger("covey.daemon")

_QUEUE_LIMIT = 1_000  # queued notifications; above it the oldest is dropped
_TIMEOUT_S = 10.0
_LONGEST_DELAY_S = 300.0


class OutcomeCounter(Protocol):
    """Counts notifications by outcome; see `Metrics.notifications`."""

    def labels(self, *values: str) -> Any: ...


class Webhook:
    """Delivers notifications to `url`, oldest first. `post` never blocks and never raises.

    A permanent rejection (3xx or 4xx except 408, 425 and 429) drops the notification. Anything else is retried after
    `first_delay_s`, doubled each time up to five minutes, for at most `give_up_s` seconds.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        counter: OutcomeCounter | None = None,
        *,
        first_delay_s: float = 1.0,
        give_up_s: float = 86_400.0,
    ) -> None:
        self._url = url
        self._token = token
        self._counter = counter
        self._first_delay_s = first_delay_s
        self._give_up_s = give_up_s
        self._queue: deque[tuple[float, dict[str, Any]]] = deque()
        self._changed = threading.Condition()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._deliver_all, name="webhook", daemon=True)
        self._thread.start()

    @property
    def idle(self) -> bool:
        """Whether every posted notification was delivered or dropped."""
        with self._changed:
            return not self._queue

    def post(self, notification: dict[str, Any]) -> None:
        """Queue a notification."""
        with self._changed:
            self._queue.append((time.monotonic(), notification))
            if len(self._queue) > _QUEUE_LIMIT:
                self._queue.popleft()
                self._count("dropped")
                log.warning("notification dropped", extra={"reason": f"{_QUEUE_LIMIT} are queued for the webhook"})
            self._changed.notify()

    def close(self, wait_s: float = 2.0) -> None:
        """End the thread, after up to `wait_s` seconds for queued notifications."""
        end = time.monotonic() + wait_s
        while not self.idle and time.monotonic() < end and self._thread.is_alive():
            time.sleep(0.05)
        self._closed.set()
        with self._changed:
            self._changed.notify()

    def _deliver_all(self) -> None:
        while not self._closed.is_set():
            with self._changed:
                while not self._queue and not self._closed.is_set():
                    self._changed.wait()
                if self._closed.is_set():
                    return
                since, notification = head = self._queue[0]
            self._deliver(notification, since)
            with self._changed:
                if self._queue and self._queue[0] is head:
                    self._queue.popleft()

    def _deliver(self, notification: dict[str, Any], since: float) -> None:
        delay = self._first_delay_s
        while not self._closed.is_set():
            problem, permanent = self._try(notification)
            if problem is None:
                self._count("delivered")
                return
            expired = time.monotonic() - since > self._give_up_s
            fields = {"kind": notification.get("kind"), "reason": problem}
            if permanent or expired:
                self._count("dropped")
                log.warning("notification dropped", extra=fields)
                return
            self._count("failed")
            log.info("notification not delivered yet", extra=fields)
            self._closed.wait(delay)
            delay = min(_LONGEST_DELAY_S, 2 * delay)

    def _try(self, notification: dict[str, Any]) -> tuple[str | None, bool]:
        """Post once. Returns (None, False) on success, else the problem without the URL and whether it is permanent."""
        import urllib3  # only a node with a webhook loads it

        headers = {"Content-Type": "application/json", "User-Agent": "covey"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        body = json.dumps(notification).encode()
        try:
            with urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(_TIMEOUT_S)) as pool:
                response = pool.request("POST", self._url, body=body, headers=headers, redirect=False)
        except Exception as error:  # the error's text contains the URL
            return type(error).__name__, False
        if 200 <= response.status < 300:
            return None, False
        permanent = 300 <= response.status < 500 and response.status not in (408, 425, 429)
        return f"the webhook returned status {response.status}", permanent

    def _count(self, outcome: str) -> None:
        if self._counter is not None:
            self._counter.labels(outcome).inc()
