"""Filling a disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def fill(ballast: Path, leave: int = 0) -> None:
    """Write to `ballast` until its disk has only `leave` bytes left, in whole pages."""
    descriptor = os.open(ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        while (more := _free(ballast) - leave) > 0:
            os.write(descriptor, bytes(min(1 << 16, more)))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
    finally:
        os.close(descriptor)


def _free(path: Path) -> int:
    told = os.statvfs(path)
    return told.f_bavail * told.f_frsize
