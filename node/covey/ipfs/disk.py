"""Durable files: one flush for many files where the system supports it, and early writeback of large ones."""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path
from typing import Final

_SYNC_FILE_RANGE_WRITE: Final = 2
_libc = ctypes.CDLL(None, use_errno=True)


def sync_file_system(path: Path) -> None:
    """Flush the file system of the folder ``path``, so that all writes to it are durable. Raises `OSError`."""
    try:
        syncfs = _libc.syncfs
    except AttributeError:  # not Linux
        os.sync()
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if syncfs(descriptor):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(path))
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Flush a folder, so that names created, renamed or removed in it are durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def start_writing_out(descriptor: int) -> None:
    """Start writing a file's data to disk without waiting, so that a later sync has less to do."""
    with contextlib.suppress(AttributeError):  # Linux only, and only a hint
        _libc.sync_file_range(descriptor, ctypes.c_int64(0), ctypes.c_int64(0), ctypes.c_uint(_SYNC_FILE_RANGE_WRITE))
