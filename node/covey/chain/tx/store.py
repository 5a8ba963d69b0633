"""Where the sender keeps what it was asked to send and every signed attempt: tables of one SQLite database.

The daemon's journal hosts them in its own file, so that a request can be stored in the same transaction as the duty it
belongs to. An attempt is on disk before it is broadcast; a nonce, once given to a request, is in every attempt of it.
Other processes may read the tables and leave wishes in them while a daemon runs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from covey.chain.contracts.base import Call
from covey.chain.tx.records import ForeignUse, TxAction, TxAttempt, TxRequest, TxStatus, TxStore

__all__ = ["ForeignUse", "SqliteTxStore", "TxAction", "TxAttempt", "TxRequest", "TxStatus", "TxStore"]

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
        outcome TEXT NOT NULL DEFAULT '',
        wish TEXT
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
        block INTEGER NOT NULL,
        sender TEXT NOT NULL DEFAULT '',
        cancels INTEGER NOT NULL DEFAULT 0,
        value TEXT NOT NULL DEFAULT '0'
    ) WITHOUT ROWID
    """,
    "CREATE INDEX IF NOT EXISTS tx_attempt_by_request ON tx_attempt (request)",
    "CREATE TABLE IF NOT EXISTS tx_key (sender TEXT PRIMARY KEY, nonce INTEGER NOT NULL) WITHOUT ROWID",
    """
    CREATE TABLE IF NOT EXISTS tx_foreign (
        sender TEXT NOT NULL, nonce INTEGER NOT NULL, hash TEXT, block INTEGER, noticed INTEGER NOT NULL,
        PRIMARY KEY (sender, nonce)
    ) WITHOUT ROWID
    """,
)
_ADDED = (
    ("tx_request", "wish", "TEXT"),
    ("tx_attempt", "sender", "TEXT NOT NULL DEFAULT ''"),
    ("tx_attempt", "cancels", "INTEGER NOT NULL DEFAULT 0"),
    ("tx_attempt", "value", "TEXT NOT NULL DEFAULT '0'"),
)
"""Columns that databases of earlier versions lack."""


def roll_back(db: sqlite3.Connection) -> None:
    """Undo the open transaction, if there is one: a full disk ends it by itself."""
    if db.in_transaction:
        db.execute("ROLLBACK")


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
            for table, column, kind in _ADDED:
                if column not in {row[1] for row in db.execute(f"PRAGMA table_info({table})")}:
                    db.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
            db.execute(
                "UPDATE tx_attempt SET sender = (SELECT sender FROM tx_request WHERE id = request) WHERE sender = ''"
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            roll_back(self._db)
            raise

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
                " status = ?, nonce = NULL, tx_hash = NULL, block = NULL, outcome = '', wish = NULL WHERE id = ?",
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

    def signed_by_others(self, sender: str) -> list[TxRequest]:
        """See `TxStore.signed_by_others`."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM tx_request WHERE sender != ? AND status IN (?, ?) ORDER BY id",
            (sender, TxStatus.PENDING.value, TxStatus.MINED.value),
        )
        return [_request(row) for row in rows]

    def newest_settled(self) -> int | None:
        """See `TxStore.newest_settled`."""
        row = self._db.execute("SELECT max(block) FROM tx_request WHERE status IN (?, ?, ?)", _SETTLED).fetchone()
        return _number(row[0])

    def settled_last(self, blocks: int) -> list[TxRequest]:
        """See `TxStore.settled_last`."""
        lowest = (self.newest_settled() or 0) - blocks
        query = f"SELECT {_COLUMNS} FROM tx_request WHERE status IN (?, ?, ?) AND block >= ? ORDER BY id"
        return [_request(row) for row in self._db.execute(query, (*_SETTLED, lowest))]

    def find(self, request: int) -> TxRequest | None:
        """The request with this number."""
        row = self._db.execute(f"SELECT {_COLUMNS} FROM tx_request WHERE id = ?", (request,)).fetchone()
        return None if row is None else _request(row)

    def recent(self, limit: int = 50, *, only_open: bool = False) -> list[TxRequest]:
        """The newest requests of all senders, newest first."""
        states = [one.value for one in TxStatus if not (only_open and one.over)]
        chosen = ", ".join("?" for _ in states)
        query = f"SELECT {_COLUMNS} FROM tx_request WHERE status IN ({chosen}) ORDER BY id DESC LIMIT ?"
        return [_request(row) for row in self._db.execute(query, (*states, limit))]

    def count_by_status(self, sender: str) -> dict[TxStatus, int]:
        """Number of ``sender``'s requests in each status, 0 included."""
        rows = self._db.execute("SELECT status, count(*) FROM tx_request WHERE sender = ? GROUP BY status", (sender,))
        return dict.fromkeys(TxStatus, 0) | {TxStatus(status): count for status, count in rows}

    def done_requests(self, sender: str, up_to: int) -> list[TxRequest]:
        """``sender``'s requests that succeeded in settled blocks up to ``up_to``, oldest first."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM tx_request WHERE sender = ? AND status = ? AND block <= ? ORDER BY id",
            (sender, TxStatus.DONE.value, up_to),
        )
        return [_request(row) for row in rows]

    def attempts(self, request: int) -> list[TxAttempt]:
        """See `TxStore.attempts`."""
        rows = self._db.execute(f"SELECT {_ATTEMPT} FROM tx_attempt WHERE request = ?", (request,))
        return sorted((_attempt(row) for row in rows), key=lambda one: (one.nonce, one.max_fee))

    def add_attempt(self, attempt: TxAttempt) -> None:
        """See `TxStore.add_attempt`."""
        if self._db.in_transaction:
            raise RuntimeError("an attempt must be on disk before it is broadcast, not part of an open transaction")
        one = attempt
        fees = (str(one.max_fee), str(one.priority_fee))
        with self._transaction():
            self._db.execute(
                f"INSERT INTO tx_attempt ({_ATTEMPT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (hash) DO NOTHING",
                (one.hash, one.request, one.sender, one.nonce, one.raw, one.gas, *fees, one.block, one.cancels,
                 str(one.value)),
            )  # fmt: skip
            self._db.execute(
                "UPDATE tx_request SET status = ?, nonce = ?, wish = NULL WHERE id = ?",
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
            if status.over:
                self._db.execute("UPDATE tx_request SET wish = NULL WHERE id = ?", (request,))

    def wish(self, request: int, wish: TxAction | None) -> None:
        """See `TxStore.wish`."""
        with self._transaction():
            self._db.execute(
                "UPDATE tx_request SET wish = ? WHERE id = ?", (None if wish is None else wish.value, request)
            )

    def nonces(self, sender: str) -> set[int]:
        """See `TxStore.nonces`."""
        rows = self._db.execute(
            "SELECT nonce FROM tx_request WHERE sender = ? AND status IN (?, ?)",
            (sender, TxStatus.PENDING.value, TxStatus.MINED.value),
        )
        return {int(row[0]) for row in rows}

    def expected_nonce(self, sender: str, seen: int) -> int:
        """See `TxStore.expected_nonce`."""
        if self._db.execute("SELECT 1 FROM tx_key WHERE sender = ?", (sender,)).fetchone() is None:
            with self._transaction():
                self._db.execute("INSERT INTO tx_key VALUES (?, ?) ON CONFLICT (sender) DO NOTHING", (sender, seen))
        row = self._db.execute(
            "SELECT max(n) FROM (SELECT nonce AS n FROM tx_key WHERE sender = :key"
            " UNION ALL SELECT max(nonce) + 1 FROM tx_attempt WHERE sender = :key"
            " UNION ALL SELECT max(nonce) + 1 FROM tx_foreign WHERE sender = :key)",
            {"key": sender},
        ).fetchone()
        return int(row[0])

    def expect(self, sender: str, nonce: int) -> None:
        """Transactions of ``sender`` below ``nonce`` are ours, though no request here is theirs."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO tx_key VALUES (?, ?)"
                " ON CONFLICT (sender) DO UPDATE SET nonce = max(nonce, excluded.nonce)",
                (sender, nonce),
            )

    def add_foreign(self, use: ForeignUse) -> None:
        """See `TxStore.add_foreign`."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO tx_foreign VALUES (?, ?, ?, ?, ?) ON CONFLICT (sender, nonce) DO NOTHING",
                (use.sender, use.nonce, use.tx_hash, use.block, use.noticed),
            )

    def last_foreign(self, sender: str) -> ForeignUse | None:
        """See `TxStore.last_foreign`."""
        row = self._db.execute(
            "SELECT sender, nonce, hash, block, noticed FROM tx_foreign WHERE sender = ? ORDER BY nonce DESC LIMIT 1",
            (sender,),
        ).fetchone()
        return None if row is None else ForeignUse(*row)


_SETTLED = (TxStatus.DONE.value, TxStatus.REVERTED.value, TxStatus.CANCELLED.value)
_COLUMNS = "id, key, sender, target, data, value, describe, not_after, status, nonce, tx_hash, block, outcome, wish"
_ATTEMPT = "hash, request, sender, nonce, raw, gas, max_fee, priority_fee, block, cancels, value"


def _attempt(row: Sequence[object]) -> TxAttempt:
    tx_hash, request, sender, nonce, raw, gas, max_fee, priority_fee, block, cancels, value = row
    return TxAttempt(
        hash=str(tx_hash),
        request=_number(request) or 0,
        sender=str(sender),
        nonce=_number(nonce) or 0,
        raw=bytes(raw),  # type: ignore[call-overload]
        gas=_number(gas) or 0,
        max_fee=int(str(max_fee)),
        priority_fee=int(str(priority_fee)),
        block=_number(block) or 0,
        cancels=bool(cancels),
        value=int(str(value)),
    )


def _request(row: Sequence[object]) -> TxRequest:
    number, key, sender, target, data, value, describe, not_after, status, nonce, tx_hash, block, outcome, wish = row
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
        wish=None if wish is None else TxAction(str(wish)),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _number(value: object) -> int | None:
    return None if value is None else int(str(value))
