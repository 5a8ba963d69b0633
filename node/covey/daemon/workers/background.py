"""Runs slow operations (fetching, hashing, pinning) in threads, requested and polled by name."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar, cast

T = TypeVar("T")


class Pending(Exception):
    """The operation is still running; ask again in the next cycle."""


class Background:
    """A pool of named operations, used from one thread.

    The first `get` of a name starts the operation. Later calls return its result or raise its error. An error is
    dropped after `retry_seconds`, so that the next call starts the operation again.
    """

    def __init__(self, threads: int = 4, retry_seconds: float = 2.0) -> None:
        self._pool = ThreadPoolExecutor(threads, "background")
        self._retry_seconds = retry_seconds
        self._work: dict[str, Future[Any]] = {}
        self._failed_at: dict[str, float] = {}
        self._started_at: dict[str, float] = {}  # of the first attempt
        self._failures: dict[str, int] = {}

    def get(self, name: str, work: Callable[[], T], permanent: tuple[type[Exception], ...] = ()) -> T:
        """Return the result of `work` under `name`.

        Args:
            permanent: error types that are kept like a result, because a retry cannot help.

        Raises:
            Pending: `work` is still running.
            Exception: whatever `work` raised.
        """
        future = self._work.get(name)
        failed_at = self._failed_at.get(name)
        if failed_at is not None and time.monotonic() - failed_at >= self._retry_seconds:
            future = None
            del self._failed_at[name]
        if future is None:
            self._started_at.setdefault(name, time.monotonic())
            future = self._work[name] = self._pool.submit(work)
        if not future.done():
            raise Pending(name)
        error = future.exception()
        if error is not None and isinstance(error, permanent):
            raise error
        if error is not None:
            if name not in self._failed_at:
                self._failed_at[name] = time.monotonic()
                self._failures[name] = self._failures.get(name, 0) + 1
            raise error
        return cast(T, future.result())

    def pending(self, name: str) -> bool:
        """Whether the operation has started and is still running."""
        future = self._work.get(name)
        return future is not None and not future.done()

    def tried(self, name: str, times: int, seconds: float) -> bool:
        """Whether the operation has failed `times` times, or first started `seconds` ago."""
        started_at = self._started_at.get(name)
        long_ago = started_at is not None and time.monotonic() - started_at >= seconds
        return long_ago or self._failures.get(name, 0) >= times

    @property
    def busy(self) -> bool:
        """Whether any operation is running."""
        return any(not future.done() for future in self._work.values())

    def forget(self, prefix: str) -> None:
        """Drop the operations and results whose names begin with `prefix`."""
        for name in [name for name in self._work if name.startswith(prefix)]:
            self._work.pop(name).cancel()
            self._failed_at.pop(name, None)
            self._started_at.pop(name, None)
            self._failures.pop(name, None)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
