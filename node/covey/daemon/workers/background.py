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
        self._begun_at: dict[str, float] = {}  # the first attempt
        self._failures: dict[str, int] = {}

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
            self._begun_at.setdefault(name, time.monotonic())
            future = self._work[name] = self._pool.submit(work)
        if not future.done():
            raise Pending(name)
        error = future.exception()
        if error is not None and isinstance(error, lasting):
            raise error
        if error is not None:
            if name not in self._failed_at:
                self._failed_at[name] = time.monotonic()
                self._failures[name] = self._failures.get(name, 0) + 1
            raise error
        return cast(T, future.result())

    def pending(self, name: str) -> bool:
        """Whether work under `name` has been started and is not over."""
        future = self._work.get(name)
        return future is not None and not future.done()

    def tried(self, name: str, times: int, seconds: float) -> bool:
        """Whether work under `name` has failed that many times, or was first begun that many seconds ago."""
        begun_at = self._begun_at.get(name)
        long_ago = begun_at is not None and time.monotonic() - begun_at >= seconds
        return long_ago or self._failures.get(name, 0) >= times

    @property
    def busy(self) -> bool:
        """Whether anything is still at work."""
        return any(not future.done() for future in self._work.values())

    def forget(self, prefix: str) -> None:
        """Drop what is kept under names that begin with `prefix`."""
        for name in [name for name in self._work if name.startswith(prefix)]:
            self._work.pop(name).cancel()
            self._failed_at.pop(name, None)
            self._begun_at.pop(name, None)
            self._failures.pop(name, None)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
