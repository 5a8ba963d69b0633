"""Notifies the operator by webhook: health red and green, missed duties, slashes and payouts.

A change of health is sent once, and red only after it has lasted for a while. Payouts and slashes are sent at least
once, also those that happened while the node was down: the journal stores the block up to which all were delivered.
Each of these has an `id`, by which a receiver can drop a duplicate.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Protocol

from covey.chain.events.decoder import Event
from covey.chain.units import about_cvy
from covey.daemon.monitoring.metrics import Snapshot, json_safe
from covey.daemon.state.ledger import APPEALS, ENTRIES, SCORING, SLASHED, movements
from covey.daemon.storage.journal import Journal

_CURSOR = "notified up to block"
_STARTING = Snapshot().problems


class Outbox(Protocol):
    """Delivers notifications; see `covey.daemon.monitoring.webhook.Webhook`."""

    @property
    def idle(self) -> bool: ...
    def post(self, notification: dict[str, Any]) -> None: ...


class Notifications:
    """Sends changes since the last notification. Used from the main loop's thread.

    Args:
        debounce_s: how long health must stay red before it is sent.
    """

    def __init__(
        self, outbox: Outbox, journal: Journal, operator: str, chain_id: int, *, debounce_s: float = 30.0
    ) -> None:
        self._outbox = outbox
        self._journal = journal
        self._operator = operator
        self._chain_id = chain_id
        self._debounce_s = debounce_s
        self._red_since: float | None = None
        self._red_sent = False
        self._missed_sent: set[str] = set()
        stored = journal.value(_CURSOR)
        self._delivered_to = None if stored is None else int(stored)
        self._posted_to = self._delivered_to

    def on_health(self, snapshot: Snapshot) -> None:
        """Send a change of health, and newly missed duties."""
        if snapshot.problems == _STARTING:
            return
        for key in snapshot.missed:
            if key not in self._missed_sent:
                self._missed_sent.add(key)
                self._send("missed", f"missed: {key}", duty=key, head_time=snapshot.head_time)
        now = time.monotonic()
        if not snapshot.healthy:
            self._red_since = now if self._red_since is None else self._red_since
            if not self._red_sent and now - self._red_since >= self._debounce_s:
                self._red_sent = True
                self._send("red", "; ".join(snapshot.problems), problems=list(snapshot.problems))
            return
        self._red_since = None
        if self._red_sent:
            self._red_sent = False
            self._send("green", "all problems are resolved")

    def on_settled(self, block: int) -> None:
        """Send payouts and slashes up to a settled block. The very first call only stores the block."""
        if self._posted_to is None:
            self._posted_to = self._delivered_to = block
            self._journal.set_value(_CURSOR, str(block))
            return
        if block > self._posted_to:
            self._send_events(self._journal.events(self._posted_to))
            self._posted_to = block
        elif block < self._posted_to:  # after a reorganisation the events come again in other blocks
            self._posted_to = block
        if self._posted_to != self._delivered_to and self._outbox.idle:
            self._delivered_to = self._posted_to
            self._journal.set_value(_CURSOR, str(self._delivered_to))

    def _send_events(self, events: Iterable[Event]) -> None:
        for event in events:
            for kind, amount in movements(event, self._operator):
                fields = {"block": event.block, "transaction": event.tx_hash, "amount_wei": str(amount)}
                event_id = f"{self._chain_id}/{event.block_hash}/{event.log_index}"
                if kind == SLASHED:
                    self._send("slashed", f"slashed: {about_cvy(amount)}", id=event_id, **fields)
                elif kind in (ENTRIES, SCORING, APPEALS):
                    task = event.args["taskId"]
                    self._send(
                        "paid", f"task {task} paid {about_cvy(amount)} for {kind}", id=event_id, task=task, **fields
                    )

    def _send(self, kind: str, text: str, **fields: Any) -> None:
        notification = {
            "kind": kind,
            "operator": self._operator,
            "chain_id": self._chain_id,
            "text": text,
            "at": int(time.time()),
        }
        self._outbox.post(json_safe({**notification, **fields}))
