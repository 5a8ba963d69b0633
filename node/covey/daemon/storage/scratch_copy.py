"""Makes a disposable copy of a node's data folder for a dry run: small files are copied, large ones are linked."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from covey.daemon.storage.data_dir import is_running

_COPIED = ("base-digests.json",)
_LINK_DEPTHS = {"entries": 2, "work": 2, "fetched": 3}
"""Folders whose children at this depth become symbolic links. They may be read or renamed, never written into."""


def copy_data(data_dir: Path, to: Path) -> None:
    """Copy `data_dir` into the empty folder `to`, without changing the original.

    The keystore, the secrets file, the block store and the list of retained content are left out: a dry run neither
    signs nor pins.
    """
    _copy_journal(data_dir, to)
    for name in _COPIED:
        if (data_dir / name).is_file():
            shutil.copyfile(data_dir / name, to / name)
    for name, depth in _LINK_DEPTHS.items():
        for path in (data_dir / name).glob("/".join("*" * depth)):
            link = to / path.relative_to(data_dir)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path.resolve())


def _copy_journal(data_dir: Path, to: Path) -> None:
    source = data_dir / "journal.sqlite"
    if not source.is_file():
        return
    if is_running(data_dir):  # SQLite gives a reader a consistent snapshot while the daemon writes
        with (
            closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True, timeout=10)) as original,
            closing(sqlite3.connect(to / source.name)) as copy,
        ):
            original.backup(copy)
        return
    for suffix in ("", "-wal"):  # opening the original, even for reading, would create files beside it
        part = source.with_name(source.name + suffix)
        if part.is_file():
            shutil.copyfile(part, to / part.name)
