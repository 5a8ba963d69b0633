"""A node's data folder as a throw-away copy: what is small is copied, what is large is linked to, all of it stays."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

_COPIED = ("base-digests.json",)
_DEPTHS = {"entries": 2, "work": 2, "fetched": 3}
"""Folders whose parts, so many levels down, are links in the copy: to look into, to rename, never to write into."""


def running(data_dir: Path) -> bool:
    """Whether a daemon holds the data folder."""
    try:
        descriptor = os.open(data_dir / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def copy_data(data_dir: Path, to: Path) -> None:
    """A copy of `data_dir` in the empty folder `to` that may be written to and thrown away.

    The keystore, the file of secrets, the block store and the promises stay behind: nothing here signs or keeps.
    """
    _copy_journal(data_dir, to)
    for name in _COPIED:
        if (data_dir / name).is_file():
            shutil.copyfile(data_dir / name, to / name)
    for name, depth in _DEPTHS.items():
        for path in (data_dir / name).glob("/".join("*" * depth)):
            link = to / path.relative_to(data_dir)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path.resolve())


def _copy_journal(data_dir: Path, to: Path) -> None:
    source = data_dir / "journal.sqlite"
    if not source.is_file():
        return
    if running(data_dir):  # its own processes see to it that a reader gets one state of the database
        with (
            closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True, timeout=10)) as old,
            closing(sqlite3.connect(to / source.name)) as new,
        ):
            old.backup(new)
        return
    for suffix in ("", "-wal"):  # opening it here, even to read, would leave files beside it
        part = source.with_name(source.name + suffix)
        if part.is_file():
            shutil.copyfile(part, to / part.name)
