"""Switches faults on and off by a seeded schedule, on several paths at once, and records which was active when."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

_NO_FAULT: Final = 0.45
"""Share of the slices without a fault."""
_ONE_FAULT: Final = 0.4
"""Share of the slices with one faulty path; the others have two or more."""
_OUTAGE_EVERY: Final = 9
_OUTAGE_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class FaultyPath:
    """A path to the chain or to content, with faults that can be switched on.

    Attributes:
        kinds: faults that ``set`` accepts.
        blocking: faults through which no request succeeds, for slices in which every path is down.
        counts: number of requests that met each fault so far.
    """

    name: str
    kinds: Sequence[str]
    blocking: Sequence[str]
    set: Callable[[str | None], None]
    counts: Callable[[], Counter[str]]


class FaultSchedule:
    """Changes the faults of paths from its own thread. Each kind is used before any repeats; kinds that no request has
    met yet come first.

    Args:
        seconds: shortest and longest duration of a slice, in which the faults stay the same.
    """

    def __init__(self, paths: Sequence[FaultyPath], seed: int, seconds: tuple[float, float] = (0.7, 1.5)) -> None:
        self.paths = tuple(paths)
        self.slices = 0
        self.outages = 0
        """Slices in which every path was down."""
        self.error: Exception | None = None
        self._seconds = seconds
        self._random = random.Random(seed)
        self._decks: dict[str, list[str]] = {}
        self._record: deque[str] = deque(maxlen=40)
        self._started = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fault schedule")
        self._thread.start()

    def unmet(self) -> list[str]:
        """Faults that no request has met yet."""
        return [f"{path.name}: {kind}" for path in self.paths for kind in path.kinds if path.counts()[kind] == 0]

    def summary(self) -> str:
        """The newest slices, and the number of requests that met each fault."""
        met = [f"{path.name}: {dict(path.counts())}" for path in self.paths]
        return "\n".join(["--- faults, by seconds from the start", *self._record, *met])

    def stop(self) -> None:
        """Switch every fault off."""
        self._stop.set()
        self._thread.join()
        for path in self.paths:
            path.set(None)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self.slices += 1
                outage = self.slices % _OUTAGE_EVERY == 0
                self.outages += outage
                for path, fault in zip(self.paths, self._draw(outage), strict=True):
                    path.set(fault)
                self._stop.wait(_OUTAGE_S if outage else self._random.uniform(*self._seconds))
        except Exception as error:  # raised by `fault_schedule`; without this the test would go on without faults
            self.error = error

    def _draw(self, outage: bool) -> list[str | None]:
        faults: list[str | None] = [None] * len(self.paths)
        drawn = self._random.random()
        if outage:
            faults = [self._next(path, path.blocking) for path in self.paths]
        elif drawn >= _NO_FAULT:
            single = drawn < _NO_FAULT + _ONE_FAULT
            number = 1 if single else self._random.randint(min(2, len(self.paths)), len(self.paths))
            for index in self._random.sample(range(len(self.paths)), number):
                faults[index] = self._next(self.paths[index], self.paths[index].kinds)
        line = ", ".join(f"{path.name}: {fault or 'none'}" for path, fault in zip(self.paths, faults, strict=True))
        self._record.append(f"{time.monotonic() - self._started:7.1f} s  {line}{'  (outage)' if outage else ''}")
        return faults

    def _next(self, path: FaultyPath, kinds: Sequence[str]) -> str:
        deck = self._decks.setdefault(f"{path.name}/{','.join(kinds)}", [])
        if not deck:
            deck += kinds
            self._random.shuffle(deck)
        met = path.counts()
        drawn = next((kind for kind in deck if met[kind] == 0), deck[0])
        deck.remove(drawn)
        return drawn


@contextmanager
def fault_schedule(
    paths: Sequence[FaultyPath], seed: int, seconds: tuple[float, float] = (0.7, 1.5)
) -> Iterator[FaultSchedule]:
    """A `FaultSchedule` that stops with the block; a failure inside the block reports the faults."""
    schedule = FaultSchedule(paths, seed, seconds)
    try:
        yield schedule
    except AssertionError as error:
        raise AssertionError(f"{error}\n{schedule.summary()}") from error
    finally:
        schedule.stop()
    if schedule.error is not None:
        raise schedule.error
