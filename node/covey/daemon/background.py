"""Slow things that are neither the chain nor a worker's: fetching, hashing, pinning. In threads, asked for by name."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar, cast

T = TypeVar("T")


class Pending(Exception):
    """Ask again at the next look."""


class Background:
    """`get` starts a piece of work at the first call and gives its result, or raises its error, once it is there.

    A failed one is forgotten after `retry_seconds`, so that asking again tries again. Used from one thread.
    """

    def __init__(self, threads: int = 4, retry_seconds: float = 2.0) -> None:
        self._pool = ThreadPoolExecutor(threads, "background")
        self._retry_seconds = retry_seconds
        self._work: dict[str, Future[Any]] = {}
        self._failed_at: dict[str, float] = {}

    def get(self, name: str, work: Callable[[], T], lasting: tuple[type[Exception], ...] = ()) -> T:
        """The result of `work`, kept under `name`. Raises Pending while it runs, and whatever it raised.

        An error of the kind `lasting` is kept like a result: trying again cannot help.
        """
        future = self._work.get(name)
        failed_at = self._failed_at.get(name)
        if failed_at is not None and time.monotonic() - failed_at >= self._retry_seconds:
            future = None
            del self._failed_at[name]
        if future is None:
            future = self._work[name] = self._pool.submit(work)
        if not future.done():
            raise Pending(name)
        error = future.exception()
        if error is not None and isinstance(error, lasting):
            raise error
        if error is not None:
            self._failed_at.setdefault(name, time.monotonic())
            raise error
        return cast(T, future.result())

    def pending(self, name: str) -> bool:
        """Whether work under `name` has been started and is not over."""
        future = self._work.get(name)
        return future is not None and not future.done()

    @property
    def busy(self) -> bool:
        """Whether anything is still at work."""
        return any(not future.done() for future in self._work.values())

    def forget(self, prefix: str) -> None:
        """Drop what is kept under names that begin with `prefix`."""
        for name in [name for name in self._work if name.startswith(prefix)]:
            self._work.pop(name).cancel()
            self._failed_at.pop(name, None)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
