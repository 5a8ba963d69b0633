"""The node's memory: one SQLite file in WAL mode, every commit on disk before it counts.

events + checkpoint  what the chain said, written together, so that a restart neither skips nor repeats an event
duties               how each duty ended here (done, declined, given up), so that it is done once
secrets              salts and payloads, kept before their commitment is sent; mirrored into an encrypted file
jobs                 training and scoring runs with their results and the attempts they took
Signed transactions live in the same file, in the tables of covey.chain.tx.store.
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

SCHEMA = 1
KEPT_CHECKPOINTS = 256
"""Headers kept: a reorganisation is undone exactly while these reach below it; a deeper one reads everything again."""

_TABLES = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS checkpoints (block INTEGER PRIMARY KEY, hash TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS events (
  block INTEGER NOT NULL, log_index INTEGER NOT NULL, block_hash TEXT NOT NULL, tx_hash TEXT NOT NULL,
  contract TEXT NOT NULL, name TEXT NOT NULL, args TEXT NOT NULL,
  PRIMARY KEY (block, log_index)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS duties (
  key TEXT PRIMARY KEY, task INTEGER NOT NULL, status TEXT NOT NULL, note TEXT NOT NULL, at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, payload TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS jobs (
  key TEXT PRIMARY KEY, task INTEGER NOT NULL, status TEXT NOT NULL, starts INTEGER NOT NULL, failures INTEGER NOT NULL,
  result TEXT, error TEXT) WITHOUT ROWID;
"""


class JournalError(Exception):
    """The journal cannot be used: another network's, a newer schema, or already open in another process."""


class DutyStatus(StrEnum):
    DONE = "done"
    DECLINED = "declined"  # the operator's policy says no
    GIVEN_UP = "given up"  # it could not be done here


@dataclass(frozen=True, slots=True)
class Job:
    key: str
    task: int
    status: str  # running, done, failed (another attempt may help), refused (none will)
    starts: int
    failures: int
    result: dict[str, Any] | None
    error: str | None


class Journal:
    """Used from one thread. `secret_file` may be None only where nothing is ever committed (read-only commands)."""

    def __init__(self, path: Path, secret_file: SecretFile | None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self.path = path
        self.db = sqlite3.connect(path, isolation_level=None, timeout=10)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=FULL")
        self.db.execute("PRAGMA wal_autocheckpoint=400")
        self.db.execute("PRAGMA cache_size=-2048")
        self.db.executescript(_TABLES)
        self._secret_file = secret_file
        self.bind({"schema": str(SCHEMA)})
        self._recover_secrets()

    def close(self) -> None:
        self.db.close()
        if self._secret_file is not None:
            self._secret_file.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing. Joins a transaction that is already open."""
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

    def bind(self, facts: Mapping[str, str]) -> None:
        """Tie this journal to a network (chain id, contracts) the first time; refuse another one ever after."""
        with self.transaction():
            for key, value in facts.items():
                row = self.db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
                if row is None:
                    self.db.execute("INSERT INTO meta VALUES (?, ?)", (key, value))
                elif row[0] != value:
                    raise JournalError(f"{self.path} belongs to {key} {row[0]}, not {value}; use another data_dir")

    def note(self, name: str, value: str) -> None:
        """Keep a small fact; a later one takes its place."""
        with self.transaction():
            self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"note {name}", value))

    def noted(self, name: str) -> str | None:
        row = self.db.execute("SELECT value FROM meta WHERE key = ?", (f"note {name}",)).fetchone()
        return None if row is None else str(row[0])

    # ------------------------------------------------------------------ events (covey.chain.events.follower.Sink)

    def checkpoints(self) -> Sequence[Checkpoint]:
        """The newest checkpoints, newest first; empty before the first `commit`."""
        rows = self.db.execute("SELECT block, hash FROM checkpoints ORDER BY block DESC")
        return [Checkpoint(block, block_hash) for block, block_hash in rows]

    def commit(self, events: Sequence[Event], checkpoint: Checkpoint, headers: Sequence[Checkpoint] = ()) -> None:
        """Events, the checkpoint behind them and headers before it, in one transaction.

        An event that is already here stays as it is.
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
        """Forget all events and checkpoints above `block`: a reorganisation undid them."""
        with self.transaction():
            self.db.execute("DELETE FROM events WHERE block > ?", (block,))
            self.db.execute("DELETE FROM checkpoints WHERE block > ?", (block,))

    def reread(self, known: Checkpoint) -> None:
        """Forget all events above a block and read on from there, however deep it is."""
        with self.transaction():
            self.rewind(known.block)
            self.commit([], known)

    def log_indexes(self, block: int, tx_hash: str) -> set[int]:
        """Places in its block of the events of a transaction."""
        rows = self.db.execute("SELECT log_index FROM events WHERE block = ? AND tx_hash = ?", (block, tx_hash))
        return {int(row[0]) for row in rows}

    def created(self, task: int) -> int | None:
        """Block of the newest TaskCreated event of this task or an earlier one; None where there is none."""
        row = self.db.execute(
            "SELECT max(block) FROM events WHERE name = 'TaskCreated' AND json_extract(args, '$.taskId') <= ?", (task,)
        ).fetchone()
        return None if row[0] is None else int(row[0])

    def events(self, after_block: int = -1) -> Iterator[Event]:
        """In the chain's order. Streams: memory does not grow with their number."""
        for row in self.db.execute("SELECT * FROM events WHERE block > ? ORDER BY block, log_index", (after_block,)):
            block, log_index, block_hash, tx_hash, contract, name, args = row
            yield Event(name, contract, json.loads(args), block, block_hash, tx_hash, log_index)

    # ------------------------------------------------------------------ duties

    def end_duty(self, key: str, task: int, status: DutyStatus, note: str, at: int) -> None:
        with self.transaction():
            self.db.execute("INSERT OR REPLACE INTO duties VALUES (?, ?, ?, ?, ?)", (key, task, status.value, note, at))

    def duty_status(self, key: str) -> tuple[DutyStatus, str] | None:
        row = self.db.execute("SELECT status, note FROM duties WHERE key = ?", (key,)).fetchone()
        return None if row is None else (DutyStatus(row[0]), row[1])

    def ended_duties(self, task: int) -> dict[str, DutyStatus]:
        rows = self.db.execute("SELECT key, status FROM duties WHERE task = ?", (task,))
        return {key: DutyStatus(status) for key, status in rows}

    def reconsider(self) -> None:
        """Forget what was declined or given up: the operator may have changed its settings or mended the machine."""
        with self.transaction():
            self.reopen()
            self.db.execute("UPDATE jobs SET status = 'failed', failures = 0 WHERE status IN ('refused', 'failed')")

    def reopen(self) -> None:
        """Forget what was declined or given up, on a chain that is no more as it was; failed jobs stay failed."""
        with self.transaction():
            self.db.execute("DELETE FROM duties WHERE status != ?", (DutyStatus.DONE.value,))

    def duty_counts(self) -> dict[str, int]:
        return dict(self.db.execute("SELECT status, count(*) FROM duties GROUP BY status"))

    # ------------------------------------------------------------------ secrets

    def keep_secret(self, name: str, payload: dict[str, Any]) -> None:
        """Durable in both places when this returns. The same again is fine; another payload for the name is refused."""
        known = self.secret(name)
        if known is not None:
            if known != payload:
                raise SecretError(f"another secret is already kept as {name}")
            return
        if self._secret_file is None:
            raise SecretError("this journal was opened without its secret file")
        self._secret_file.append(name, payload)
        with self.transaction():
            self.db.execute("INSERT INTO secrets VALUES (?, ?)", (name, json.dumps(payload)))

    def secret(self, name: str) -> dict[str, Any] | None:
        row = self.db.execute("SELECT payload FROM secrets WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def _recover_secrets(self) -> None:
        """Bring both copies to the same: the file outlives a lost database, and a new signer begins a new file."""
        if self._secret_file is None:
            return
        copied = dict(self._secret_file.read())
        with self.transaction():
            for name, payload in copied.items():
                self.db.execute("INSERT OR IGNORE INTO secrets VALUES (?, ?)", (name, json.dumps(payload)))
        for name, text in self.db.execute("SELECT name, payload FROM secrets").fetchall():
            payload = json.loads(text)
            if copied.get(name) != payload:
                self._secret_file.append(name, payload)

    # ------------------------------------------------------------------ jobs

    def job(self, key: str) -> Job | None:
        row = self.db.execute("SELECT * FROM jobs WHERE key = ?", (key,)).fetchone()
        return None if row is None else _job(row)

    def jobs(self, status: str) -> list[Job]:
        return [_job(row) for row in self.db.execute("SELECT * FROM jobs WHERE status = ?", (status,))]

    def start_job(self, key: str, task: int) -> None:
        with self.transaction():
            self.db.execute(
                "INSERT INTO jobs VALUES (?, ?, 'running', 1, 0, NULL, NULL) "
                "ON CONFLICT (key) DO UPDATE SET status = 'running', starts = starts + 1",
                (key, task),
            )

    def finish_job(self, key: str, result: dict[str, Any]) -> None:
        with self.transaction():
            self.db.execute(
                "UPDATE jobs SET status = 'done', result = ?, error = NULL WHERE key = ?", (json.dumps(result), key)
            )

    def forget_job(self, key: str) -> None:
        """It was about something that is no more; the next one begins anew."""
        with self.transaction():
            self.db.execute("DELETE FROM jobs WHERE key = ?", (key,))

    def postpone_job(self, key: str, error: str) -> None:
        """The attempt came to nothing through no fault of the job or its worker: it does not count."""
        with self.transaction():
            self.db.execute(
                "UPDATE jobs SET status = 'failed', starts = max(starts - 1, 0), error = ? WHERE key = ?", (error, key)
            )

    def fail_job(self, key: str, error: str, *, final: bool) -> None:
        """One attempt failed; `final` when the job itself is at fault and no other attempt can help."""
        with self.transaction():
            self.db.execute(
                "UPDATE jobs SET status = ?, failures = failures + 1, error = ? WHERE key = ?",
                ("refused" if final else "failed", error, key),
            )


def _job(row: Sequence[Any]) -> Job:
    return Job(row[0], row[1], row[2], row[3], row[4], None if row[5] is None else json.loads(row[5]), row[6])
