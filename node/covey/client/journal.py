"""Access to a node's journal from another process: its transaction store, and the lock of its data directory."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from covey.chain.tx.store import SqliteTxStore
from covey.client.errors import InvalidInput, JournalError
from covey.config.errors import ConfigError

FILE_NAME = "journal.sqlite"


def has_journal(data_dir: Path | None) -> bool:
    """True if a node has ever run with this data directory."""
    return data_dir is not None and (data_dir / FILE_NAME).is_file()


@contextmanager
def journal_store(data_dir: Path) -> Iterator[SqliteTxStore]:
    """Open the transaction store in a node's journal; safe beside a running node.

    Raises:
        InvalidInput: the data directory has no journal.
        JournalError: the journal cannot be opened or read.
    """
    path = data_dir / FILE_NAME
    if not path.is_file():
        raise InvalidInput(f"{path}: no such journal; has this node ever run?")
    try:
        db = sqlite3.connect(path, isolation_level=None, timeout=30)
        db.execute("PRAGMA synchronous=FULL")
    except sqlite3.Error as error:
        raise JournalError(f"{path}: {error}") from None
    try:
        yield SqliteTxStore(db)
    except sqlite3.Error as error:
        raise JournalError(f"{path}: {error}") from None
    finally:
        db.close()


@contextmanager
def node_lock(data_dir: Path) -> Iterator[bool]:
    """Hold the node's lock, so that the node does not start meanwhile. Yields False if the node is running."""
    from covey.daemon.storage.data_dir import lock_data_dir

    try:
        descriptor = lock_data_dir(data_dir)
    except ConfigError:
        yield False
        return
    try:
        yield True
    finally:
        os.close(descriptor)
