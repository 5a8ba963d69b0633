"""Detects a full disk and disks that are about to be full.

A full disk never ends the node. Data that must be durable first is retried until there is space again, and nothing is
sent before its data is durable.
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
    """Whether an error, or one of its causes, is a full disk or an exhausted file-system quota."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF == _SQLITE_FULL:
            return True
        error = error.__cause__ or error.__context__
    return False


def free_bytes(folder: Path) -> int | None:
    """Bytes that an ordinary user may still write on the file system of `folder`; None if it cannot be read."""
    try:
        stats = os.statvfs(folder)
    except OSError:
        return None
    return stats.f_bavail * stats.f_frsize


def storage_folders(config: NodeConfig) -> list[Path]:
    """Folders that the node writes to, one for each file system."""
    found: dict[int, Path] = {}
    for folder in (config.data_dir, Path(config.store_location)):
        try:
            found.setdefault(folder.stat().st_dev, folder)
        except OSError:  # the store is a Kubo node, or does not exist yet
            continue
    return list(found.values())


def shortages(config: NodeConfig) -> list[str]:
    """One line for each of the node's file systems with less free space than `min_free_disk`."""
    lines = []
    for folder in storage_folders(config):
        free = free_bytes(folder)
        if free is not None and free < config.min_free_disk:
            lines.append(
                f"disk full: {folder.absolute()} has {free} bytes free, "
                f"less than min_free_disk {int(config.min_free_disk)}: free up space there"
            )
    return lines


def disk_full_message(config: NodeConfig, error: BaseException) -> str:
    """The message for an error caused by a full disk."""
    return f"disk full: free up space in {config.data_dir.absolute()} ({error})"
