"""Where the sender keeps what it was asked to send and every signed attempt: two tables of one SQLite database.

The daemon's journal hosts them in its own file, so that a request can be stored in the same transaction as the duty it
belongs to. An attempt is on disk before it is broadcast; a nonce, once given to a request, is in every attempt of it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from covey.chain.contracts.base import Call

_TABLES = (
    """
    CREATE TABLE IF NOT EXISTS tx_request (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        sender TEXT NOT NULL,
        target TEXT,
        data BLOB NOT NULL,
        value TEXT NOT NULL,
        describe TEXT NOT NULL,
        not_after INTEGER,
        status TEXT NOT NULL,
        nonce INTEGER,
        tx_hash TEXT,
        block INTEGER,
        outcome TEXT NOT NULL DEFAULT ''
    )
    """,
    "CREATE INDEX IF NOT EXISTS tx_request_by_status ON tx_request (sender, status, id)",
    """
    CREATE TABLE IF NOT EXISTS tx_attempt (
        hash TEXT PRIMARY KEY,
        request INTEGER NOT NULL REFERENCES tx_request (id),
        nonce INTEGER NOT NULL,
        raw BLOB NOT NULL,
        gas INTEGER NOT NULL,
        max_fee TEXT NOT NULL,
        priority_fee TEXT NOT NULL,
        block INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE INDEX IF NOT EXISTS tx_attempt_by_request ON tx_attempt (request)",
)


class TxStatus(StrEnum):
    """How far a request has come."""

    QUEUED = "queued"
    """No nonce yet: nothing was ever signed for it, or all that was can no longer be mined."""
    PENDING = "pending"
    """A signed attempt is on disk and perhaps with the network."""
    MINED = "mined"
    """In a block that may still be undone."""
    DONE = "done"
    """Succeeded in a settled block."""
    REVERTED = "reverted"
    """Mined and failed in a settled block; ``outcome`` says why."""
    FAILED = "failed"
    """Never sent, and sending it could not help; ``outcome`` says why."""

    @property
    def over(self) -> bool:
        """True when nothing more will happen."""
        return self in (TxStatus.DONE, TxStatus.REVERTED, TxStatus.FAILED)


@dataclass(frozen=True, slots=True)
class TxRequest:
    """One thing to be sent once. ``outcome`` explains a failure or a wait in one line."""

    id: int
    key: str
    sender: str
    call: Call
    not_after: int | None
    status: TxStatus
    nonce: int | None
    tx_hash: str | None
    block: int | None
    outcome: str


@dataclass(frozen=True, slots=True)
class TxAttempt:
    """One signed transaction of a request. Fees are wei a unit of gas; ``block`` is the head when it was signed."""

    hash: str
    request: int
    nonce: int
    raw: bytes
    gas: int
    max_fee: int
    priority_fee: int
    block: int


class TxStore(Protocol):
    """What the sender needs to remember."""

    def add(self, key: str, sender: str, call: Call, not_after: int | None) -> TxRequest:
        """A new request, or the one that already has this key."""

    def requeue(self, request: int, sender: str, call: Call, not_after: int | None) -> None:
        """Queue a request anew, for this sender and with this call; its attempts so far can have no effect."""

    def get(self, key: str) -> TxRequest | None:
        """The request with this key."""

    def open_requests(self, sender: str) -> Sequence[TxRequest]:
        """Requests that are not over, oldest first."""

    def attempts(self, request: int) -> Sequence[TxAttempt]:
        """All attempts of a request, oldest first."""

    def add_attempt(self, attempt: TxAttempt) -> None:
        """Keep an attempt and make its request pending at its nonce; on disk when this returns."""

    def update(
        self, request: int, status: TxStatus, *, tx_hash: str | None = None, block: int | None = None, outcome: str = ""
    ) -> None:
        """How far a request has come. ``QUEUED`` takes its nonce away."""

    def nonces(self, sender: str) -> set[int]:
        """The nonces of requests that are pending or mined."""


class SqliteTxStore:
    """A `TxStore` in a SQLite database that somebody else opened.

    Args:
        db: the connection; it should run with ``synchronous=FULL``. Calls join a transaction that is already open,
            except `add_attempt`, which must be on disk when it returns.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        with self._transaction():
            for statement in _TABLES:
                db.execute(statement)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def add(self, key: str, sender: str, call: Call, not_after: int | None) -> TxRequest:
        """See `TxStore.add`."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO tx_request (key, sender, target, data, value, describe, not_after, status)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
                (key, sender, call.to, call.data, str(call.value), call.describe, not_after, TxStatus.QUEUED.value),
            )
        request = self.get(key)
        assert request is not None
        return request

    def requeue(self, request: int, sender: str, call: Call, not_after: int | None) -> None:
        """See `TxStore.requeue`."""
        with self._transaction():
            self._db.execute(
                "UPDATE tx_request SET sender = ?, target = ?, data = ?, value = ?, describe = ?, not_after = ?,"
                " status = ?, nonce = NULL, tx_hash = NULL, block = NULL, outcome = '' WHERE id = ?",
                (
                    sender,
                    call.to,
                    call.data,
                    str(call.value),
                    call.describe,
                    not_after,
                    TxStatus.QUEUED.value,
                    request,
                ),
            )

    def get(self, key: str) -> TxRequest | None:
        """See `TxStore.get`."""
        row = self._db.execute(f"SELECT {_COLUMNS} FROM tx_request WHERE key = ?", (key,)).fetchone()
        return None if row is None else _request(row)

    def open_requests(self, sender: str) -> list[TxRequest]:
        """See `TxStore.open_requests`."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM tx_request WHERE sender = ? AND status IN (?, ?, ?) ORDER BY id",
            (sender, TxStatus.QUEUED.value, TxStatus.PENDING.value, TxStatus.MINED.value),
        )
        return [_request(row) for row in rows]

    def recent(self, limit: int = 50) -> list[TxRequest]:
        """The newest requests of all senders, newest first."""
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM tx_request ORDER BY id DESC LIMIT ?", (limit,))
        return [_request(row) for row in rows]

    def attempts(self, request: int) -> list[TxAttempt]:
        """See `TxStore.attempts`."""
        rows = self._db.execute(
            "SELECT hash, request, nonce, raw, gas, max_fee, priority_fee, block FROM tx_attempt WHERE request = ?",
            (request,),
        )
        found = [TxAttempt(r[0], r[1], r[2], bytes(r[3]), r[4], int(r[5]), int(r[6]), r[7]) for r in rows]
        return sorted(found, key=lambda attempt: (attempt.nonce, attempt.max_fee))

    def add_attempt(self, attempt: TxAttempt) -> None:
        """See `TxStore.add_attempt`."""
        if self._db.in_transaction:
            raise RuntimeError("an attempt must be on disk before it is broadcast, not part of an open transaction")
        with self._transaction():
            self._db.execute(
                "INSERT INTO tx_attempt (hash, request, nonce, raw, gas, max_fee, priority_fee, block)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (hash) DO NOTHING",
                (
                    attempt.hash,
                    attempt.request,
                    attempt.nonce,
                    attempt.raw,
                    attempt.gas,
                    str(attempt.max_fee),
                    str(attempt.priority_fee),
                    attempt.block,
                ),
            )
            self._db.execute(
                "UPDATE tx_request SET status = ?, nonce = ?, outcome = '' WHERE id = ?",
                (TxStatus.PENDING.value, attempt.nonce, attempt.request),
            )

    def update(
        self, request: int, status: TxStatus, *, tx_hash: str | None = None, block: int | None = None, outcome: str = ""
    ) -> None:
        """See `TxStore.update`."""
        with self._transaction():
            self._db.execute(
                "UPDATE tx_request SET status = ?, tx_hash = ?, block = ?, outcome = ? WHERE id = ?",
                (status.value, tx_hash, block, outcome, request),
            )
            if status == TxStatus.QUEUED:
                self._db.execute("UPDATE tx_request SET nonce = NULL WHERE id = ?", (request,))

    def nonces(self, sender: str) -> set[int]:
        """See `TxStore.nonces`."""
        rows = self._db.execute(
            "SELECT nonce FROM tx_request WHERE sender = ? AND status IN (?, ?)",
            (sender, TxStatus.PENDING.value, TxStatus.MINED.value),
        )
        return {int(row[0]) for row in rows}


_COLUMNS = "id, key, sender, target, data, value, describe, not_after, status, nonce, tx_hash, block, outcome"


def _request(row: Sequence[object]) -> TxRequest:
    number, key, sender, target, data, value, describe, not_after, status, nonce, tx_hash, block, outcome = row
    call = Call(_text(target), bytes(data), str(describe), int(str(value)))  # type: ignore[call-overload]
    return TxRequest(
        id=_number(number) or 0,
        key=str(key),
        sender=str(sender),
        call=call,
        not_after=_number(not_after),
        status=TxStatus(str(status)),
        nonce=_number(nonce),
        tx_hash=_text(tx_hash),
        block=_number(block),
        outcome=str(outcome),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _number(value: object) -> int | None:
    return None if value is None else int(str(value))
