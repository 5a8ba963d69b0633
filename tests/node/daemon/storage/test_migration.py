"""Journals of other versions: an older one is migrated without loss, a newer one is refused."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from covey.chain.tx.store import SqliteTxStore, TxStatus
from covey.daemon.storage.commitments import CommittedEntry, CommittedRow
from covey.daemon.storage.journal import SCHEMA, DutyStatus, JobStatus, Journal, JournalError
from covey.daemon.storage.secrets import SecretError, SecretFile
from covey.lora.jobs.result import ScoreResult, TrainResult

_OLD_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE checkpoints (block INTEGER PRIMARY KEY, hash TEXT NOT NULL);
CREATE TABLE events (
  block INTEGER NOT NULL, log_index INTEGER NOT NULL, block_hash TEXT NOT NULL, tx_hash TEXT NOT NULL,
  contract TEXT NOT NULL, name TEXT NOT NULL, args TEXT NOT NULL,
  PRIMARY KEY (block, log_index)) WITHOUT ROWID;
CREATE TABLE duties (
  key TEXT PRIMARY KEY, task INTEGER NOT NULL, status TEXT NOT NULL, note TEXT NOT NULL, at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE secrets (name TEXT PRIMARY KEY, payload TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE jobs (
  key TEXT PRIMARY KEY, task INTEGER NOT NULL, status TEXT NOT NULL, starts INTEGER NOT NULL, failures INTEGER NOT NULL,
  result TEXT, error TEXT) WITHOUT ROWID;
CREATE TABLE tx_request (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, sender TEXT NOT NULL, target TEXT, data BLOB NOT NULL,
  value TEXT NOT NULL, describe TEXT NOT NULL, not_after INTEGER, status TEXT NOT NULL, nonce INTEGER, tx_hash TEXT,
  block INTEGER, outcome TEXT NOT NULL DEFAULT '', wish TEXT);
CREATE TABLE tx_attempt (
  hash TEXT PRIMARY KEY, request INTEGER NOT NULL REFERENCES tx_request (id), nonce INTEGER NOT NULL,
  raw BLOB NOT NULL, gas INTEGER NOT NULL, max_fee TEXT NOT NULL, priority_fee TEXT NOT NULL, block INTEGER NOT NULL,
  sender TEXT NOT NULL DEFAULT '', cancels INTEGER NOT NULL DEFAULT 0, value TEXT NOT NULL DEFAULT '0') WITHOUT ROWID;
CREATE TABLE tx_key (sender TEXT PRIMARY KEY, nonce INTEGER NOT NULL) WITHOUT ROWID;
"""
SIGNER = "0x" + "ab" * 20
ROW = {"words": ["0x2a", "0x0"], "evidence": "11" * 32, "salt": "22" * 32, "sheet": '{"version":1}'}
ENTRY = {"digest": "33" * 32, "salt": "44" * 32, "folder": "/data/entries/net/1"}
TRAIN_RESULT = {
    "folder": "/data/work/net/entry-1", "losses": [2.5, 2.25], "records": 8, "tokens_seen": 640, "seconds": 3.5,
    "tokens_per_second": 182.8, "bytes": 4096, "settings": None,
}  # fmt: skip
SCORE_RESULT = {
    "scores": {"0": 700},
    "reasons": {"0": None},
    "entries": [{"lane": 0, "score": 700, "verdict": "scored"}],
    "strata": [{"name": "a", "records": 8, "tokens": 80}],
    "profile": {"device": "x86_64 cpu", "dtype": "float32", "threads": 1, "software": {"torch": "2.13.0"}},
    "seconds": 1.5,
    "private": {"0": {"improvement": 0.125, "strata": {"a": 0.125}}},
}


def write_old_journal(path: Path) -> None:
    """A journal as version 1 wrote it, with rows in every table."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript(_OLD_TABLES)
        facts = [("schema", "1"), ("chain", "31337"), ("note told up to block", "41"), ("note entries of x", "aa")]
        db.executemany("INSERT INTO meta VALUES (?, ?)", facts)
        db.execute("INSERT INTO checkpoints VALUES (41, '0x41')")
        db.execute("INSERT INTO events VALUES (40, 0, '0x40', '0xt', 'TaskRegistry', 'TaskCreated', '{\"taskId\": 1}')")
        db.execute("INSERT INTO duties VALUES ('publish-entry/1/0/0', 1, 'done', 'pinned', 7)")
        secrets = [("net/scores/1/0/op", ROW), ("net/entry/1/op", ENTRY)]
        db.executemany("INSERT INTO secrets VALUES (?, ?)", [(name, json.dumps(value)) for name, value in secrets])
        results = [("enter/1/0/0", TRAIN_RESULT), ("score/1/0/0", SCORE_RESULT)]
        db.executemany(
            "INSERT INTO jobs VALUES (?, 1, 'done', 1, 0, ?, NULL)",
            [(key, json.dumps(value)) for key, value in results],
        )
        db.execute("INSERT INTO jobs VALUES ('score/2/0/0', 2, 'refused', 2, 2, NULL, 'bad records')")
        db.execute(
            "INSERT INTO tx_request VALUES (1, 'enrol/1/0/0', ?, '0xcc', x'01', '0', 'enrol', 99, 'pending', 5,"
            " NULL, NULL, '', NULL)",
            (SIGNER,),
        )
        db.execute("INSERT INTO tx_attempt VALUES ('0xh', 1, 5, x'02', 21000, '30', '1', 40, ?, 0, '0')", (SIGNER,))
        db.commit()


def open_journal(folder: Path) -> Journal:
    return Journal(folder / "journal.sqlite", SecretFile(folder / "secrets.log", bytes(32)))


def test_an_older_journal_is_migrated_without_loss(tmp_path: Path) -> None:
    write_old_journal(tmp_path / "journal.sqlite")
    open_journal(tmp_path).close()
    journal = open_journal(tmp_path)  # the second start finds the migrated schema
    assert journal.db.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
    journal.bind({"chain": "31337"})
    assert (journal.value("notified up to block"), journal.value("entries of x")) == ("41", "aa")
    assert [(event.name, event.block) for event in journal.events()] == [("TaskCreated", 40)]
    assert journal.checkpoints()[0].block == 41
    assert journal.ended_duties(1) == {"publish-entry/1/0/0": DutyStatus.DONE}
    journal.close()


def test_secrets_of_an_older_journal_are_typed_and_copied_to_the_file(tmp_path: Path) -> None:
    write_old_journal(tmp_path / "journal.sqlite")
    journal = open_journal(tmp_path)
    payload = journal.secret("net/scores/1/0/op")
    assert payload is not None
    row = CommittedRow.from_payload(payload)
    assert (row.words, row.salt) == ((42, 0), b"\x22" * 32)
    assert row.to_payload() == ROW
    journal.save_secret("net/scores/1/0/op", row.to_payload())  # the same payload, so nothing changes
    payload = journal.secret("net/entry/1/op")
    assert payload is not None
    assert CommittedEntry.from_payload(payload).to_payload() == ENTRY
    journal.close()
    for path in tmp_path.glob("journal.sqlite*"):
        path.unlink()
    recovered = open_journal(tmp_path)
    assert (recovered.secret("net/scores/1/0/op"), recovered.secret("net/entry/1/op")) == (ROW, ENTRY)
    recovered.close()


def test_jobs_of_an_older_journal_have_typed_results(tmp_path: Path) -> None:
    write_old_journal(tmp_path / "journal.sqlite")
    journal = open_journal(tmp_path)
    trained, scored, refused = (journal.job(key) for key in ("enter/1/0/0", "score/1/0/0", "score/2/0/0"))
    assert trained is not None and isinstance(trained.result, TrainResult)
    assert trained.result.losses == [2.5, 2.25]
    assert scored is not None and isinstance(scored.result, ScoreResult)
    assert scored.result.scores() == {0: 700}
    assert refused is not None
    assert (refused.status, refused.starts, refused.error) == (JobStatus.REFUSED, 2, "bad records")
    journal.close()


def test_pending_transactions_of_an_older_journal_are_kept(tmp_path: Path) -> None:
    write_old_journal(tmp_path / "journal.sqlite")
    journal = open_journal(tmp_path)
    store = SqliteTxStore(journal.db)
    [request] = store.open_requests(SIGNER)
    assert (request.key, request.status, request.nonce) == ("enrol/1/0/0", TxStatus.PENDING, 5)
    [attempt] = store.attempts(request.id)
    assert (attempt.hash, attempt.raw, attempt.max_fee) == ("0xh", b"\x02", 30)
    journal.close()


def test_a_journal_of_a_newer_version_is_refused_unchanged(tmp_path: Path) -> None:
    open_journal(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA + 1}")
        db.commit()
    with pytest.raises(JournalError, match=f"schema version {SCHEMA + 1}.* install the newer covey that wrote it"):
        open_journal(tmp_path)
    with closing(sqlite3.connect(tmp_path / "journal.sqlite")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (SCHEMA + 1,)


def test_an_older_version_refuses_a_migrated_journal(tmp_path: Path) -> None:
    """Version 1 requires `schema` 1 in `meta`."""
    write_old_journal(tmp_path / "journal.sqlite")
    journal = open_journal(tmp_path)
    with pytest.raises(JournalError, match="belongs to schema 2, not 1"):
        journal.bind({"schema": "1"})
    journal.close()


@pytest.mark.parametrize("damaged", [{}, {**ROW, "salt": "zz"}, {**ROW, "words": [1]}, {**ROW, "sheet": 1}])
def test_a_damaged_row_is_an_error(damaged: dict[str, object]) -> None:
    with pytest.raises(SecretError, match="a stored row of scores cannot be read"):
        CommittedRow.from_payload(damaged)
