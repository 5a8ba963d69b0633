"""The lock of an embedded store: many processes may add content at once; garbage collection runs alone.

Two lock files, both taken with flock, so a crash releases them. ``lock`` is shared while content is added and exclusive
during garbage collection. Every process takes ``gate`` before ``lock``. A collector holds ``gate`` exclusively while it
waits, so a stream of additions cannot starve it.
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
    """The lock of the store at ``root``, between threads and processes. It is not re-entrant."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextlib.contextmanager
    def shared(self, wait_s: float = LOCK_WAIT_S) -> Iterator[None]:
        """Hold it together with other adders.

        Raises `StoreBusy` if a collection lasts longer than ``wait_s`` seconds.
        """
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
        """Hold it alone. Raises `StoreBusy` if additions in progress last longer than ``wait_s`` seconds."""
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
        """Take the lock and return its descriptor; closing it releases the lock."""
        descriptor = os.open(self._root / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            while True:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
                    return descriptor
                if time.monotonic() >= deadline:
                    raise StoreBusy(f"{self._root} is in use by another process: retry later")
                time.sleep(_POLL_S)
        except BaseException:
            os.close(descriptor)
            raise
