"""Fills a disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def fill_disk(filler: Path, leave: int = 0) -> None:
    """Write to the file ``filler`` until its disk has only ``leave`` bytes left, in whole pages."""
    descriptor = os.open(filler, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        while (excess := _free_bytes(filler) - leave) > 0:
            os.write(descriptor, bytes(min(1 << 16, excess)))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
    finally:
        os.close(descriptor)


def _free_bytes(path: Path) -> int:
    status = os.statvfs(path)
    return status.f_bavail * status.f_frsize
