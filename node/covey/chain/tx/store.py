"""Stores transaction requests and their signed attempts in tables of a SQLite database.

The daemon's journal hosts the tables in its own file, so a request can be stored in the same database transaction as
the duty it belongs to. An attempt is on disk before it is broadcast. All attempts of a request share its nonce. Other
processes may read the tables and request actions while a daemon runs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from covey.chain.contracts.base import Call
from covey.chain.tx.records import ExternalUse, TxAction, TxAttempt, TxRequest, TxStatus, TxStore

__all__ = ["ExternalUse", "SqliteTxStore", "TxAction", "TxAttempt", "TxRequest", "TxStatus", "TxStore"]

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
        action TEXT
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
    CREATE TABLE IF NOT EXISTS tx_external_use (
        sender TEXT NOT NULL, nonce INTEGER NOT NULL, hash TEXT, block INTEGER, noticed INTEGER NOT NULL,
        PRIMARY KEY (sender, nonce)
    ) WITHOUT ROWID
    """,
)
_RENAMED_TABLES = (("tx_foreign", "tx_external_use"),)
_RENAMED_COLUMNS = (("tx_request", "wish", "action"),)
_ADDED_COLUMNS = (
    ("tx_request", "action", "TEXT"),
    ("tx_attempt", "sender", "TEXT NOT NULL DEFAULT ''"),
    ("tx_attempt", "cancels", "INTEGER NOT NULL DEFAULT 0"),
    ("tx_attempt", "value", "TEXT NOT NULL DEFAULT '0'"),
)
"""Changes to the schema since earlier versions; `_migrate` applies those that a database lacks."""


def roll_back(db: sqlite3.Connection) -> None:
    """Roll back the open transaction, if any: SQLite may have rolled it back itself, as on a full disk."""
    if db.in_transaction:
        db.execute("ROLLBACK")


def _migrate(db: sqlite3.Connection) -> None:
    """Create the tables, or bring those of an earlier version to the present schema without losing a row."""
    for old, new in _RENAMED_TABLES:
        if _columns_of(db, old) and not _columns_of(db, new):
            db.execute(f"ALTER TABLE {old} RENAME TO {new}")
    for table, old, new in _RENAMED_COLUMNS:
        columns = _columns_of(db, table)
        if old in columns and new not in columns:
            db.execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")
    for statement in _TABLES:
        db.execute(statement)
    for table, column, kind in _ADDED_COLUMNS:
        if column not in _columns_of(db, table):
            db.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
    db.execute("UPDATE tx_attempt SET sender = (SELECT sender FROM tx_request WHERE id = request) WHERE sender = ''")


def _columns_of(db: sqlite3.Connection, table: str) -> set[str]:
    """Names of a table's columns; empty if there is no such table."""
    return {row[1] for row in db.execute(f"PRAGMA table_info({table})")}


class SqliteTxStore:
    """A `TxStore` in an open SQLite database. Creates the tables, or migrates those of an earlier version.

    Args:
        db: the connection; use ``synchronous=FULL``. Calls join an open transaction, except `add_attempt`, which must
            be durable on return.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        with self._transaction():
            _migrate(db)

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
        if request is None:
            raise RuntimeError(f"transaction request {key} was inserted and cannot be read back")
        return request

    def requeue(self, request: int, sender: str, call: Call, not_after: int | None) -> None:
        """See `TxStore.requeue`."""
        with self._transaction():
            self._db.execute(
                "UPDATE tx_request SET sender = ?, target = ?, data = ?, value = ?, describe = ?, not_after = ?,"
                " status = ?, nonce = NULL, tx_hash = NULL, block = NULL, outcome = '', action = NULL WHERE id = ?",
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
        row = self._db.execute(f"SELECT {_REQUEST} FROM tx_request WHERE key = ?", (key,)).fetchone()
        return None if row is None else _request_from(row)

    def open_requests(self, sender: str) -> list[TxRequest]:
        """See `TxStore.open_requests`."""
        rows = self._db.execute(
            f"SELECT {_REQUEST} FROM tx_request WHERE sender = ? AND status IN (?, ?, ?) ORDER BY id",
            (sender, TxStatus.QUEUED.value, TxStatus.PENDING.value, TxStatus.MINED.value),
        )
        return [_request_from(row) for row in rows]

    def requests_of_former_signers(self, sender: str) -> list[TxRequest]:
        """See `TxStore.requests_of_former_signers`."""
        rows = self._db.execute(
            f"SELECT {_REQUEST} FROM tx_request WHERE sender != ? AND status IN (?, ?) ORDER BY id",
            (sender, TxStatus.PENDING.value, TxStatus.MINED.value),
        )
        return [_request_from(row) for row in rows]

    def newest_settled_block(self) -> int | None:
        """See `TxStore.newest_settled_block`."""
        row = self._db.execute("SELECT max(block) FROM tx_request WHERE status IN (?, ?, ?)", _SETTLED).fetchone()
        return _number(row[0])

    def settled_within(self, blocks: int) -> list[TxRequest]:
        """See `TxStore.settled_within`."""
        lowest = (self.newest_settled_block() or 0) - blocks
        query = f"SELECT {_REQUEST} FROM tx_request WHERE status IN (?, ?, ?) AND block >= ? ORDER BY id"
        return [_request_from(row) for row in self._db.execute(query, (*_SETTLED, lowest))]

    def find(self, request: int) -> TxRequest | None:
        """The request with this id."""
        row = self._db.execute(f"SELECT {_REQUEST} FROM tx_request WHERE id = ?", (request,)).fetchone()
        return None if row is None else _request_from(row)

    def recent(self, limit: int = 50, *, only_open: bool = False) -> list[TxRequest]:
        """The newest requests of all senders, newest first."""
        statuses = [status.value for status in TxStatus if not (only_open and status.is_final)]
        placeholders = ", ".join("?" for _ in statuses)
        query = f"SELECT {_REQUEST} FROM tx_request WHERE status IN ({placeholders}) ORDER BY id DESC LIMIT ?"
        return [_request_from(row) for row in self._db.execute(query, (*statuses, limit))]

    def count_by_status(self, sender: str) -> dict[TxStatus, int]:
        """Number of ``sender``'s requests in each status, 0 included."""
        rows = self._db.execute("SELECT status, count(*) FROM tx_request WHERE sender = ? GROUP BY status", (sender,))
        return dict.fromkeys(TxStatus, 0) | {TxStatus(status): count for status, count in rows}

    def done_requests(self, sender: str, up_to: int) -> list[TxRequest]:
        """``sender``'s requests that succeeded in settled blocks up to ``up_to``, oldest first."""
        rows = self._db.execute(
            f"SELECT {_REQUEST} FROM tx_request WHERE sender = ? AND status = ? AND block <= ? ORDER BY id",
            (sender, TxStatus.DONE.value, up_to),
        )
        return [_request_from(row) for row in rows]

    def attempts(self, request: int) -> list[TxAttempt]:
        """See `TxStore.attempts`."""
        rows = self._db.execute(f"SELECT {_ATTEMPT} FROM tx_attempt WHERE request = ?", (request,))
        return sorted((_attempt_from(row) for row in rows), key=lambda attempt: (attempt.nonce, attempt.max_fee))

    def add_attempt(self, attempt: TxAttempt) -> None:
        """See `TxStore.add_attempt`."""
        if self._db.in_transaction:
            raise RuntimeError(
                "an attempt must be on disk before it is broadcast; it cannot be part of an open transaction"
            )
        values = (
            attempt.hash, attempt.request, attempt.sender, attempt.nonce, attempt.raw, attempt.gas,
            str(attempt.max_fee), str(attempt.priority_fee), attempt.block, attempt.cancels, str(attempt.value),
        )  # fmt: skip
        with self._transaction():
            self._db.execute(
                f"INSERT INTO tx_attempt ({_ATTEMPT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (hash) DO NOTHING",
                values,
            )
            self._db.execute(
                "UPDATE tx_request SET status = ?, nonce = ?, action = NULL WHERE id = ?",
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
            if status.is_final:
                self._db.execute("UPDATE tx_request SET action = NULL WHERE id = ?", (request,))

    def request_action(self, request: int, action: TxAction | None) -> None:
        """See `TxStore.request_action`."""
        with self._transaction():
            self._db.execute(
                "UPDATE tx_request SET action = ? WHERE id = ?", (None if action is None else action.value, request)
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
            " UNION ALL SELECT max(nonce) + 1 FROM tx_external_use WHERE sender = :key)",
            {"key": sender},
        ).fetchone()
        return int(row[0])

    def claim_nonces(self, sender: str, nonce: int) -> None:
        """Treat ``sender``'s transactions below ``nonce`` as ours, although no request here sent them."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO tx_key VALUES (?, ?)"
                " ON CONFLICT (sender) DO UPDATE SET nonce = max(nonce, excluded.nonce)",
                (sender, nonce),
            )

    def add_external_use(self, use: ExternalUse) -> None:
        """See `TxStore.add_external_use`."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO tx_external_use VALUES (?, ?, ?, ?, ?) ON CONFLICT (sender, nonce) DO NOTHING",
                (use.sender, use.nonce, use.tx_hash, use.block, use.noticed),
            )

    def last_external_use(self, sender: str) -> ExternalUse | None:
        """See `TxStore.last_external_use`."""
        row = self._db.execute(
            "SELECT sender, nonce, hash, block, noticed FROM tx_external_use WHERE sender = ?"
            " ORDER BY nonce DESC LIMIT 1",
            (sender,),
        ).fetchone()
        return None if row is None else ExternalUse(*row)


_SETTLED = (TxStatus.DONE.value, TxStatus.REVERTED.value, TxStatus.CANCELLED.value)
_REQUEST = "id, key, sender, target, data, value, describe, not_after, status, nonce, tx_hash, block, outcome, action"
_ATTEMPT = "hash, request, sender, nonce, raw, gas, max_fee, priority_fee, block, cancels, value"


def _attempt_from(row: Sequence[object]) -> TxAttempt:
    tx_hash, request, sender, nonce, raw, gas, max_fee, priority_fee, block, cancels, value = row
    return TxAttempt(
        hash=str(tx_hash),
        request=int(str(request)),
        sender=str(sender),
        nonce=int(str(nonce)),
        raw=bytes(raw),  # type: ignore[call-overload]
        gas=int(str(gas)),
        max_fee=int(str(max_fee)),
        priority_fee=int(str(priority_fee)),
        block=int(str(block)),
        cancels=bool(cancels),
        value=int(str(value)),
    )


def _request_from(row: Sequence[object]) -> TxRequest:
    (number, key, sender, target, data, value, describe, not_after, status, nonce, tx_hash, block, outcome, action) = (
        row
    )
    call = Call(_text(target), bytes(data), str(describe), int(str(value)))  # type: ignore[call-overload]
    return TxRequest(
        id=int(str(number)),
        key=str(key),
        sender=str(sender),
        call=call,
        not_after=_number(not_after),
        status=TxStatus(str(status)),
        nonce=_number(nonce),
        tx_hash=_text(tx_hash),
        block=_number(block),
        outcome=str(outcome),
        action=None if action is None else TxAction(str(action)),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _number(value: object) -> int | None:
    return None if value is None else int(str(value))
