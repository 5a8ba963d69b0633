"""The node's durable state: one SQLite file in WAL mode. Every commit is on disk before it takes effect elsewhere.

events + checkpoints  contract events, written with the block up to which they are complete, so that a restart neither
                      skips nor repeats an event
duties                how each duty ended locally (done, declined, given up), so that none is done twice
secrets               salts and payloads, stored before their commitment is sent, and mirrored in an encrypted file
jobs                  training and scoring runs, their results and number of attempts
meta                  the network that the journal belongs to, and small values

`covey.chain.tx.store` keeps its own tables in the same file, so that a request and its duty share a transaction.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from covey.chain.events.decoder import Event
from covey.chain.events.follower import Checkpoint
from covey.chain.tx.store import roll_back
from covey.daemon.storage.secrets import SecretError, SecretFile
from covey.lora.jobs.result import Result, parse_result

SCHEMA = 2
"""Version of the tables below, in `PRAGMA user_version`. Version 1 kept it in `meta` and had user_version 0."""
KEPT_CHECKPOINTS = 256
"""Block headers kept. A reorganisation within them is undone exactly; a deeper one reads all events again."""

_LOCK_TIMEOUT_S = 10.0

_TABLES = (
    "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS checkpoints (block INTEGER PRIMARY KEY, hash TEXT NOT NULL)",
    """
    CREATE TABLE IF NOT EXISTS events (
      block INTEGER NOT NULL, log_index INTEGER NOT NULL, block_hash TEXT NOT NULL, tx_hash TEXT NOT NULL,
      contract TEXT NOT NULL, name TEXT NOT NULL, args TEXT NOT NULL,
      PRIMARY KEY (block, log_index)) WITHOUT ROWID
    """,
    """
    CREATE TABLE IF NOT EXISTS duties (
      key TEXT PRIMARY KEY, task INTEGER NOT NULL, status TEXT NOT NULL, note TEXT NOT NULL, at INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    "CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, payload TEXT NOT NULL) WITHOUT ROWID",
    """
    CREATE TABLE IF NOT EXISTS jobs (
      key TEXT PRIMARY KEY, task INTEGER NOT NULL, status TEXT NOT NULL, starts INTEGER NOT NULL,
      failures INTEGER NOT NULL, result TEXT, error TEXT) WITHOUT ROWID
    """,
)
_RENAMED_VALUES = {"note told up to block": "note notified up to block"}
"""Keys of `meta` in version 1, and their names in version 2."""


class JournalError(Exception):
    """The journal cannot be used: it is damaged, belongs to another network, or a newer version of covey wrote it."""


class JournalLocked(JournalError):
    """Another program has the journal locked; a later try may succeed."""


class DutyStatus(StrEnum):
    """How a duty ended locally."""

    DONE = "done"
    DECLINED = "declined"  # by the operator's policy
    GIVEN_UP = "given up"  # this node cannot do it


class JobStatus(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"  # another attempt may succeed
    REFUSED = "refused"  # the job itself is invalid here; no attempt can succeed


@dataclass(frozen=True, slots=True)
class EndedDuty:
    """A duty that ended locally, and why."""

    key: str
    status: DutyStatus
    note: str


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A worker job: its attempts so far, and its result once done."""

    key: str
    task: int
    status: JobStatus
    starts: int
    failures: int
    result: Result | None
    error: str | None


def _unusable(path: Path, error: sqlite3.DatabaseError) -> Exception:
    """What an error of SQLite at the start means. A full disk stays what it is; the start is tried again then."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return JournalLocked(f"{path} is locked by another program: end it, or wait")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return JournalError(
            f"{path} is damaged ({error}): move it and its -wal and -shm files away and start again; "
            "the node reads the chain again, and recovers salts from its secrets file"
        )
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return error
    return JournalError(f"{path}: {error}")


class Journal:
    """The journal of one node, used from one thread.

    Opening it migrates an older schema in place. Salts, jobs and pending transactions are kept.

    Args:
        secret_file: the encrypted copy of secrets; None only for readers that never commit.

    Raises:
        JournalError: the file is damaged, or a newer version of covey wrote it; JournalLocked if it is locked.
    """

    def __init__(self, path: Path, secret_file: SecretFile | None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self.path = path
        self._secret_file = secret_file
        self.db = sqlite3.connect(path, isolation_level=None, timeout=_LOCK_TIMEOUT_S)
        try:
            self.db.execute("PRAGMA journal_mode=WAL")
            self.db.execute("PRAGMA synchronous=FULL")
            self.db.execute("PRAGMA wal_autocheckpoint=400")
            self.db.execute("PRAGMA cache_size=-2048")
            self._open_schema()
            self._recover_secrets()
        except sqlite3.DatabaseError as error:
            self.close()
            raise _unusable(path, error) from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.db.close()
        if self._secret_file is not None:
            self._secret_file.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit all statements in the block, or none. Joins a transaction that is already open."""
        if self.db.in_transaction:
            yield self.db
            return
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield self.db
            self.db.execute("COMMIT")
        except BaseException:
            roll_back(self.db)
            raise

    def _open_schema(self) -> None:
        """Create the tables, or migrate those of an older version."""
        [version] = self.db.execute("PRAGMA user_version").fetchone()
        if version == SCHEMA:
            return
        if version > SCHEMA:
            raise JournalError(
                f"{self.path} has schema version {version}, this covey knows versions up to {SCHEMA}: "
                f"install the newer covey that wrote it, or use another data_dir"
            )
        with self.transaction():
            for statement in _TABLES:
                self.db.execute(statement)
            for old, new in _RENAMED_VALUES.items():
                self.db.execute("UPDATE OR IGNORE meta SET key = ? WHERE key = ?", (new, old))
            # An older covey reads its version here, and refuses the journal.
            self.db.execute("INSERT OR REPLACE INTO meta VALUES ('schema', ?)", (str(SCHEMA),))
            self.db.execute(f"PRAGMA user_version = {SCHEMA}")

    def bind(self, facts: Mapping[str, str]) -> None:
        """Tie the journal to a network (chain id, contracts) on first use. Raises JournalError for another network."""
        with self.transaction():
            for key, value in facts.items():
                row = self.db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
                if row is None:
                    self.db.execute("INSERT INTO meta VALUES (?, ?)", (key, value))
                elif row[0] != value:
                    raise JournalError(f"{self.path} belongs to {key} {row[0]}, not {value}; use another data_dir")

    def set_value(self, name: str, value: str) -> None:
        """Store a small value, replacing the previous one."""
        with self.transaction():
            self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"note {name}", value))

    def value(self, name: str) -> str | None:
        """The value stored by `set_value`."""
        row = self.db.execute("SELECT value FROM meta WHERE key = ?", (f"note {name}",)).fetchone()
        return None if row is None else str(row[0])

    # ------------------------------------------------------------------ events (covey.chain.events.follower.Sink)

    def checkpoints(self) -> Sequence[Checkpoint]:
        """The newest checkpoints, newest first; empty before the first `commit`."""
        rows = self.db.execute("SELECT block, hash FROM checkpoints ORDER BY block DESC")
        return [Checkpoint(block, block_hash) for block, block_hash in rows]

    def commit(self, events: Sequence[Event], checkpoint: Checkpoint, headers: Sequence[Checkpoint] = ()) -> None:
        """Store events, the checkpoint after them and the headers before it, in one transaction.

        An event that is already stored stays unchanged.
        """
        with self.transaction():
            self.db.executemany(
                "INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (e.block, e.log_index, e.block_hash, e.tx_hash, e.contract, e.name, json.dumps(e.args))
                    for e in events
                ],
            )
            self.db.executemany(
                "INSERT OR REPLACE INTO checkpoints VALUES (?, ?)",
                [(header.block, header.hash) for header in (*headers, checkpoint)],
            )
            self.db.execute(
                "DELETE FROM checkpoints WHERE block <= "
                "(SELECT block FROM checkpoints ORDER BY block DESC LIMIT 1 OFFSET ?)",
                (KEPT_CHECKPOINTS,),
            )

    def rewind(self, block: int) -> None:
        """Delete all events and checkpoints above `block`, which a reorganisation removed."""
        with self.transaction():
            self.db.execute("DELETE FROM events WHERE block > ?", (block,))
            self.db.execute("DELETE FROM checkpoints WHERE block > ?", (block,))

    def reread(self, known: Checkpoint) -> None:
        """Delete all events above a block of any depth, and continue reading from there."""
        with self.transaction():
            self.rewind(known.block)
            self.commit([], known)

    def log_indexes(self, block: int, tx_hash: str) -> set[int]:
        """Log indexes of a transaction's stored events."""
        rows = self.db.execute("SELECT log_index FROM events WHERE block = ? AND tx_hash = ?", (block, tx_hash))
        return {int(row[0]) for row in rows}

    def creation_block(self, task: int) -> int | None:
        """Block of the newest stored TaskCreated event of this task or an earlier one."""
        row = self.db.execute(
            "SELECT max(block) FROM events WHERE name = 'TaskCreated' AND json_extract(args, '$.taskId') <= ?", (task,)
        ).fetchone()
        return None if row[0] is None else int(row[0])

    def events(self, after_block: int = -1) -> Iterator[Event]:
        """Stored events in the chain's order, streamed."""
        for row in self.db.execute("SELECT * FROM events WHERE block > ? ORDER BY block, log_index", (after_block,)):
            block, log_index, block_hash, tx_hash, contract, name, args = row
            yield Event(name, contract, json.loads(args), block, block_hash, tx_hash, log_index)

    # ------------------------------------------------------------------ duties

    def end_duty(self, key: str, task: int, status: DutyStatus, note: str, at: int) -> None:
        """Record that a duty ended locally. `at`: chain time."""
        with self.transaction():
            self.db.execute("INSERT OR REPLACE INTO duties VALUES (?, ?, ?, ?, ?)", (key, task, status.value, note, at))

    def duty_status(self, key: str) -> tuple[DutyStatus, str] | None:
        row = self.db.execute("SELECT status, note FROM duties WHERE key = ?", (key,)).fetchone()
        return None if row is None else (DutyStatus(row[0]), row[1])

    def ended_duties(self, task: int) -> dict[str, DutyStatus]:
        """Status of a task's locally ended duties by key."""
        rows = self.db.execute("SELECT key, status FROM duties WHERE task = ?", (task,))
        return {key: DutyStatus(status) for key, status in rows}

    def all_ended_duties(self) -> list[EndedDuty]:
        rows = self.db.execute("SELECT key, status, note FROM duties ORDER BY key")
        return [EndedDuty(key, DutyStatus(status), note) for key, status, note in rows]

    def reconsider(self) -> None:
        """Delete declined and given-up duties and reset failed jobs, after a restart with perhaps new settings."""
        with self.transaction():
            self.reopen()
            self.db.execute("UPDATE jobs SET status = 'failed', failures = 0 WHERE status IN ('refused', 'failed')")

    def reopen(self) -> None:
        """Delete declined and given-up duties after a reorganisation. Failed jobs stay failed."""
        with self.transaction():
            self.db.execute("DELETE FROM duties WHERE status != ?", (DutyStatus.DONE.value,))

    def duty_counts(self) -> dict[str, int]:
        """Number of locally ended duties by status."""
        return dict(self.db.execute("SELECT status, count(*) FROM duties GROUP BY status"))

    # ------------------------------------------------------------------ secrets

    def save_secret(self, name: str, payload: dict[str, Any]) -> None:
        """Store a secret durably in the database and in the secrets file.

        Saving the same payload again has no effect.

        Raises:
            SecretError: another payload is stored under `name`, or the disk refuses the write.
        """
        known = self.secret(name)
        if known is not None:
            if known != payload:
                raise SecretError(f"another secret is already stored as {name}")
            return
        if self._secret_file is None:
            raise SecretError("this journal was opened without its secrets file")
        self._secret_file.append(name, payload)
        with self.transaction():
            self.db.execute("INSERT INTO secrets VALUES (?, ?)", (name, _canonical_json(payload)))

    def secret(self, name: str) -> dict[str, Any] | None:
        row = self.db.execute("SELECT payload FROM secrets WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def _recover_secrets(self) -> None:
        """Copy what either place lacks: the file survives a lost database, and a new signer starts a new file."""
        if self._secret_file is None:
            return
        in_file = dict(self._secret_file.read())
        with self.transaction():
            for name, payload in in_file.items():
                self.db.execute("INSERT OR IGNORE INTO secrets VALUES (?, ?)", (name, _canonical_json(payload)))
        for name, text in self.db.execute("SELECT name, payload FROM secrets").fetchall():
            payload = json.loads(text)
            if in_file.get(name) != payload:
                self._secret_file.append(name, payload)

    # ------------------------------------------------------------------ jobs

    def job(self, key: str) -> JobRecord | None:
        row = self.db.execute(f"SELECT {_JOB} FROM jobs WHERE key = ?", (key,)).fetchone()
        return None if row is None else _job(row)

    def jobs(self, status: JobStatus) -> list[JobRecord]:
        return [_job(row) for row in self.db.execute(f"SELECT {_JOB} FROM jobs WHERE status = ?", (status.value,))]

    def start_job(self, key: str, task: int) -> None:
        """Record one more start of a job."""
        with self.transaction():
            self.db.execute(
                "INSERT INTO jobs VALUES (?, ?, 'running', 1, 0, NULL, NULL) "
                "ON CONFLICT (key) DO UPDATE SET status = 'running', starts = starts + 1",
                (key, task),
            )

    def finish_job(self, key: str, result: Result) -> None:
        with self.transaction():
            self.db.execute(
                "UPDATE jobs SET status = 'done', result = ?, error = NULL WHERE key = ?",
                (_canonical_json(result.model_dump(mode="json")), key),
            )

    def delete_job(self, key: str) -> None:
        """Delete a job whose subject no longer exists, so that the next one starts anew."""
        with self.transaction():
            self.db.execute("DELETE FROM jobs WHERE key = ?", (key,))

    def postpone_job(self, key: str, error: str) -> None:
        """Record an attempt that failed for lack of disk space. It does not count as a start."""
        with self.transaction():
            self.db.execute(
                "UPDATE jobs SET status = 'failed', starts = max(starts - 1, 0), error = ? WHERE key = ?", (error, key)
            )

    def fail_job(self, key: str, error: str, *, final: bool) -> None:
        """Record a failed attempt. `final`: the job itself is invalid, and another attempt cannot succeed."""
        status = JobStatus.REFUSED if final else JobStatus.FAILED
        with self.transaction():
            self.db.execute(
                "UPDATE jobs SET status = ?, failures = failures + 1, error = ? WHERE key = ?",
                (status.value, error, key),
            )


_JOB = "key, task, status, starts, failures, result, error"


def _job(row: Sequence[Any]) -> JobRecord:
    key, task, status, starts, failures, result, error = row
    parsed = None if result is None else parse_result(result)
    return JobRecord(key, task, JobStatus(status), starts, failures, parsed, error)


def _canonical_json(payload: dict[str, Any]) -> str:
    """JSON with sorted keys and no spaces, so that equal values have equal text."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
