"""The lock of an embedded store: many processes add at a time, one alone collects garbage.

Two lock files, both taken with flock, so a crash releases them: ``lock`` is shared while content is added and exclusive
while garbage is collected. ``gate`` is passed on the way in, and whoever wants ``lock`` for itself keeps it shut
meanwhile, so that a stream of additions cannot keep a collection waiting for ever.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from covey.ipfs.errors import StoreBusy

LOCK_WAIT_S: Final = 30.0
_POLL_S: Final = 0.01


class StoreLock:
    """The lock of the store at ``root``, for threads and processes alike. It is not re-entrant."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextlib.contextmanager
    def shared(self, wait_s: float = LOCK_WAIT_S) -> Iterator[None]:
        """Hold it beside others that add. Raises `StoreBusy` if a collection takes longer than ``wait_s`` seconds."""
        deadline = time.monotonic() + wait_s
        gate = self._take("gate", fcntl.LOCK_SH, deadline)
        try:
            lock = self._take("lock", fcntl.LOCK_SH, deadline)
        finally:
            os.close(gate)
        try:
            yield
        finally:
            os.close(lock)

    @contextlib.contextmanager
    def exclusive(self, wait_s: float = LOCK_WAIT_S) -> Iterator[None]:
        """Hold it alone. Raises `StoreBusy` if what is being added now takes longer than ``wait_s`` seconds."""
        deadline = time.monotonic() + wait_s
        gate = self._take("gate", fcntl.LOCK_EX, deadline)
        try:
            lock = self._take("lock", fcntl.LOCK_EX, deadline)
            try:
                yield
            finally:
                os.close(lock)
        finally:
            os.close(gate)

    def _take(self, name: str, kind: int, deadline: float) -> int:
        """A descriptor that holds the lock file; closing it lets go."""
        descriptor = os.open(self._root / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            while True:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
                    return descriptor
                if time.monotonic() >= deadline:
                    raise StoreBusy(f"{self._root} is in use by another process: try again later")
                time.sleep(_POLL_S)
        except BaseException:
            os.close(descriptor)
            raise
