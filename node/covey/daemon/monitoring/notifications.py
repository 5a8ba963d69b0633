"""What an operator is told by webhook: red and green, missed duties, slashes, payouts.

A change of health is told once, red only after it has lasted a moment, so that one slow answer wakes nobody. What the
chain says of this operator's money is told at least once, also when it happened while the node was down: the journal
keeps the block up to which everything was told, and each such notice has an `id` by which a receiver may drop a second.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Protocol

from covey.chain.events.decoder import Event
from covey.chain.units import cvy
from covey.daemon.monitoring.metrics import Snapshot, plain
from covey.daemon.state.ledger import APPEALS, ENTRIES, SCORING, SLASHED, own
from covey.daemon.storage.journal import Journal

_CURSOR = "told up to block"
_STARTING = Snapshot().problems


class Outbox(Protocol):
    """Where notices go; see `covey.daemon.monitoring.webhook.Webhook`."""

    @property
    def idle(self) -> bool: ...
    def post(self, notice: dict[str, Any]) -> None: ...


class Notifications:
    """Compares what is with what was told. Used from the loop's thread; `steady_s`: how long red must last first."""

    def __init__(
        self, outbox: Outbox, journal: Journal, operator: str, chain_id: int, *, steady_s: float = 30.0
    ) -> None:
        self._outbox = outbox
        self._journal = journal
        self._operator = operator
        self._chain_id = chain_id
        self._steady_s = steady_s
        self._red_since: float | None = None
        self._told_red = False
        self._told_missed: set[str] = set()
        noted = journal.noted(_CURSOR)
        self._cursor = None if noted is None else int(noted)
        self._read = self._cursor

    def health(self, snapshot: Snapshot) -> None:
        """Tell of a change of health and of newly missed duties."""
        if snapshot.problems == _STARTING:
            return
        for key in snapshot.missed:
            if key not in self._told_missed:
                self._told_missed.add(key)
                self._tell("missed", f"missed: {key}", duty=key, head_time=snapshot.head_time)
        now = time.monotonic()
        if not snapshot.healthy:
            self._red_since = now if self._red_since is None else self._red_since
            if not self._told_red and now - self._red_since >= self._steady_s:
                self._told_red = True
                self._tell("red", "; ".join(snapshot.problems), problems=list(snapshot.problems))
            return
        self._red_since = None
        if self._told_red:
            self._told_red = False
            self._tell("green", "the node earns again")

    def chain(self, settled_block: int) -> None:
        """Tell of payouts and slashes up to a settled block; what was before the first call is history."""
        if self._cursor is None:
            self._cursor = self._read = settled_block
            self._journal.note(_CURSOR, str(settled_block))
            return
        assert self._read is not None
        if settled_block > self._read:
            self._tell_of(self._journal.events(self._read))
            self._read = settled_block
        elif settled_block < self._read:  # a reorganisation; its events come again under other blocks
            self._read = settled_block
        if self._read != self._cursor and self._outbox.idle:
            self._cursor = self._read
            self._journal.note(_CURSOR, str(self._cursor))

    def _tell_of(self, events: Iterable[Event]) -> None:
        for event in events:
            for kind, amount in own(event, self._operator):
                where = {"block": event.block, "transaction": event.tx_hash, "amount_wei": str(amount)}
                name = f"{self._chain_id}/{event.block_hash}/{event.log_index}"
                if kind == SLASHED:
                    self._tell("slashed", f"slashed: {cvy(amount)}", id=name, **where)
                elif kind in (ENTRIES, SCORING, APPEALS):
                    task = event.args["taskId"]
                    self._tell("paid", f"task {task} paid {cvy(amount)} for {kind}", id=name, task=task, **where)

    def _tell(self, kind: str, text: str, **fields: Any) -> None:
        told = {
            "kind": kind,
            "operator": self._operator,
            "chain_id": self._chain_id,
            "text": text,
            "at": int(time.time()),
        }
        self._outbox.post(plain({**told, **fields}))
