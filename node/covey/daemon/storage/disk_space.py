"""A full disk: telling it from other trouble, and seeing it come.

A full disk ends nothing. What must be written first waits, what was not written is not sent, and both are tried again
until somebody has made room.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

from covey.config.node import NodeConfig

_FULL = (errno.ENOSPC, errno.EDQUOT)
_SQLITE_FULL = 13  # primary result code SQLITE_FULL


def is_full(error: BaseException | None) -> bool:
    """Whether a full disk, or a used-up quota of the file system, is behind an error."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF == _SQLITE_FULL:
            return True
        error = error.__cause__ or error.__context__
    return False


def free_bytes(folder: Path) -> int | None:
    """Bytes that an ordinary user may still write to the file system of `folder`; None where that cannot be told."""
    try:
        told = os.statvfs(folder)
    except OSError:
        return None
    return told.f_bavail * told.f_frsize


def places(config: NodeConfig) -> list[Path]:
    """The folders that the node writes to, one of each file system."""
    found: dict[int, Path] = {}
    for folder in (config.data_dir, Path(config.store_location)):
        try:
            found.setdefault(folder.stat().st_dev, folder)
        except OSError:  # the store is a Kubo's, or not there yet
            continue
    return list(found.values())


def shortages(config: NodeConfig) -> list[str]:
    """A line for each of the node's disks that has less room than `min_free_disk`, with what to do."""
    told = []
    for folder in places(config):
        free = free_bytes(folder)
        if free is not None and free < config.min_free_disk:
            told.append(
                f"disk full: {free} bytes are free for {folder.absolute()}, "
                f"less than min_free_disk {int(config.min_free_disk)}: make room there"
            )
    return told


def told_full(config: NodeConfig, error: BaseException) -> str:
    """What to say of an error behind which is a full disk."""
    return f"disk full: make room in {config.data_dir.absolute()} ({error})"
