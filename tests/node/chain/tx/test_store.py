"""The transaction tables: migration of earlier schemas, and queries over them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from tests.support.chain.sending import open_store, plain

from covey.chain.tx.records import ExternalUse, TxAction, TxAttempt, TxStatus
from covey.chain.tx.store import SqliteTxStore

ALICE, BOB = "0xA11CE", "0xB0B"

OLD_SCHEMA = """
CREATE TABLE tx_request (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, sender TEXT NOT NULL, target TEXT, data BLOB NOT NULL,
    value TEXT NOT NULL, describe TEXT NOT NULL, not_after INTEGER, status TEXT NOT NULL, nonce INTEGER, tx_hash TEXT,
    block INTEGER, outcome TEXT NOT NULL DEFAULT '', wish TEXT
);
CREATE INDEX tx_request_by_status ON tx_request (sender, status, id);
CREATE TABLE tx_attempt (
    hash TEXT PRIMARY KEY, request INTEGER NOT NULL REFERENCES tx_request (id), nonce INTEGER NOT NULL,
    raw BLOB NOT NULL, gas INTEGER NOT NULL, max_fee TEXT NOT NULL, priority_fee TEXT NOT NULL, block INTEGER NOT NULL,
    sender TEXT NOT NULL DEFAULT '', cancels INTEGER NOT NULL DEFAULT 0, value TEXT NOT NULL DEFAULT '0'
) WITHOUT ROWID;
CREATE INDEX tx_attempt_by_request ON tx_attempt (request);
CREATE TABLE tx_key (sender TEXT PRIMARY KEY, nonce INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE tx_foreign (
    sender TEXT NOT NULL, nonce INTEGER NOT NULL, hash TEXT, block INTEGER, noticed INTEGER NOT NULL,
    PRIMARY KEY (sender, nonce)
) WITHOUT ROWID;
INSERT INTO tx_request VALUES
    (1, 'entry/1', '0xA11CE', '0xC0', x'aa', '0', 'enter', 900, 'done', 4, '0x1', 70, '', NULL),
    (2, 'score/1', '0xA11CE', '0xC0', x'bb', '7', 'score', NULL, 'pending', 5, NULL, NULL, 'too cheap', 'cancel'),
    (3, 'score/2', '0xA11CE', NULL, x'cc', '0', 'deploy', NULL, 'queued', NULL, NULL, NULL, '', 'bump');
INSERT INTO tx_attempt VALUES
    ('0x1', 1, 4, x'02aa', 21000, '7', '1', 60, '0xA11CE', 0, '0'),
    ('0x2', 2, 5, x'02bb', 21000, '8', '2', 71, '0xA11CE', 0, '7'),
    ('0x3', 2, 5, x'02bc', 21000, '9', '3', 74, '0xA11CE', 1, '0');
INSERT INTO tx_key VALUES ('0xA11CE', 2);
INSERT INTO tx_foreign VALUES ('0xA11CE', 6, '0x66', 75, 1000);
"""
"""The schema before the columns and tables got their present names, with open requests in it."""


def old_database(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript(OLD_SCHEMA)
    return db


def test_migration_keeps_requests_attempts_and_external_uses(tmp_path: Path) -> None:
    old_database(tmp_path / "tx.db").close()
    store = open_store(tmp_path / "tx.db")
    done, pending, queued = (store.find(number) for number in (1, 2, 3))
    assert done is not None and pending is not None and queued is not None
    assert (done.key, done.status, done.nonce, done.tx_hash, done.block, done.action) == (
        "entry/1", TxStatus.DONE, 4, "0x1", 70, None,
    )  # fmt: skip
    assert (pending.key, pending.call.data, pending.call.value, pending.outcome) == ("score/1", b"\xbb", 7, "too cheap")
    assert (pending.status, pending.nonce, pending.action) == (TxStatus.PENDING, 5, TxAction.CANCEL)
    assert (queued.status, queued.call.to, queued.action) == (TxStatus.QUEUED, None, TxAction.BUMP)
    assert store.attempts(2) == [
        TxAttempt("0x2", 2, ALICE, 5, b"\x02\xbb", 21_000, 8, 2, 71, False, 7),
        TxAttempt("0x3", 2, ALICE, 5, b"\x02\xbc", 21_000, 9, 3, 74, True, 0),
    ]
    assert store.last_external_use(ALICE) == ExternalUse(ALICE, 6, "0x66", 75, 1000)
    assert store.expected_nonce(ALICE, 0) == 7


def test_migration_happens_once_and_accepts_new_actions(tmp_path: Path) -> None:
    db = old_database(tmp_path / "tx.db")
    SqliteTxStore(db).request_action(2, TxAction.BUMP)
    again = open_store(tmp_path / "tx.db")
    assert again.find(2).action == TxAction.BUMP  # type: ignore[union-attr]
    assert again.recent() == SqliteTxStore(db).recent()


def test_failed_migration_changes_nothing(tmp_path: Path) -> None:
    db = old_database(tmp_path / "tx.db")
    before = list(db.iterdump())
    db.set_authorizer(lambda action, *_: sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_UPDATE else sqlite3.SQLITE_OK)
    with pytest.raises(sqlite3.DatabaseError):
        SqliteTxStore(db)
    db.set_authorizer(None)
    assert list(db.iterdump()) == before
    assert SqliteTxStore(db).find(2).action == TxAction.CANCEL  # type: ignore[union-attr]


def test_requests_are_counted_by_status_and_sender(tmp_path: Path) -> None:
    store = SqliteTxStore(old_database(tmp_path / "tx.db"))
    counts = store.count_by_status(ALICE)
    assert counts == dict.fromkeys(TxStatus, 0) | {TxStatus.DONE: 1, TxStatus.PENDING: 1, TxStatus.QUEUED: 1}
    assert set(store.count_by_status(BOB).values()) == {0}


def test_done_requests_are_limited_to_a_sender_and_a_block() -> None:
    store = open_store()
    for number, (sender, block) in enumerate([(ALICE, 10), (ALICE, 20), (BOB, 10), (ALICE, 30)]):
        request = store.add(f"{number}", sender, plain(), None)
        store.update(request.id, TxStatus.DONE, tx_hash=f"0x{number}", block=block)
    store.add("queued", ALICE, plain(), None)
    assert [request.key for request in store.done_requests(ALICE, 20)] == ["0", "1"]
