"""Faults that come and go by a seeded schedule, on several paths at once, and a record of what was on when."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

_CLEAR: Final = 0.45
"""Share of the time in which every path is well."""
_ONE: Final = 0.4
"""Share in which a single one is not; in the rest, two or more."""
_STORM_EVERY: Final = 9
_STORM_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Path:
    """A way to the chain, or to somebody's content, that can be made bad.

    Attributes:
        kinds: faults that ``set`` knows.
        hard: those through which no request comes, for the moments when every path is bad.
        counts: requests that met each fault so far.
    """

    name: str
    kinds: Sequence[str]
    hard: Sequence[str]
    set: Callable[[str | None], None]
    counts: Callable[[], Counter[str]]


class Weather:
    """Changes the faults of paths from a thread of its own. Each kind's turn comes before any comes again; those that
    no request has met yet come first.

    Args:
        seconds: the shortest and the longest slice of time with the same faults.
    """

    def __init__(self, paths: Sequence[Path], seed: int, seconds: tuple[float, float] = (0.7, 1.5)) -> None:
        self.paths = tuple(paths)
        self.slices = 0
        self.storms = 0
        """Slices in which no path let anything through."""
        self.error: Exception | None = None
        self._seconds = seconds
        self._random = random.Random(seed)
        self._decks: dict[str, list[str]] = {}
        self._record: deque[str] = deque(maxlen=40)
        self._started = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="weather")
        self._thread.start()

    def unmet(self) -> list[str]:
        """Faults that no request has met yet."""
        return [f"{path.name}: {kind}" for path in self.paths for kind in path.kinds if path.counts()[kind] == 0]

    def told(self) -> str:
        """The newest slices, and how many requests met each fault, in words."""
        met = [f"{path.name}: {dict(path.counts())}" for path in self.paths]
        return "\n".join(["--- faults, by seconds from the start", *self._record, *met])

    def stop(self) -> None:
        """Nothing is bad any more."""
        self._stop.set()
        self._thread.join()
        for path in self.paths:
            path.set(None)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self.slices += 1
                storm = self.slices % _STORM_EVERY == 0
                self.storms += storm
                for path, fault in zip(self.paths, self._draw(storm), strict=True):
                    path.set(fault)
                self._stop.wait(_STORM_S if storm else self._random.uniform(*self._seconds))
        except Exception as error:  # told by `weather`, which would go on in sunshine otherwise
            self.error = error

    def _draw(self, storm: bool) -> list[str | None]:
        faults: list[str | None] = [None] * len(self.paths)
        drawn = self._random.random()
        if storm:
            faults = [self._next(path, path.hard) for path in self.paths]
        elif drawn >= _CLEAR:
            most = 1 if drawn < _CLEAR + _ONE else self._random.randint(min(2, len(self.paths)), len(self.paths))
            for place in self._random.sample(range(len(self.paths)), most):
                faults[place] = self._next(self.paths[place], self.paths[place].kinds)
        told = ", ".join(f"{path.name}: {fault or 'well'}" for path, fault in zip(self.paths, faults, strict=True))
        self._record.append(f"{time.monotonic() - self._started:7.1f} s  {told}{'  (storm)' if storm else ''}")
        return faults

    def _next(self, path: Path, kinds: Sequence[str]) -> str:
        deck = self._decks.setdefault(f"{path.name}/{','.join(kinds)}", [])
        if not deck:
            deck += kinds
            self._random.shuffle(deck)
        met = path.counts()
        drawn = next((kind for kind in deck if met[kind] == 0), deck[0])
        deck.remove(drawn)
        return drawn


@contextmanager
def weather(paths: Sequence[Path], seed: int, seconds: tuple[float, float] = (0.7, 1.5)) -> Iterator[Weather]:
    """Bad weather until the end of the block; a failure within tells what was on."""
    one = Weather(paths, seed, seconds)
    try:
        yield one
    except AssertionError as error:
        raise AssertionError(f"{error}\n{one.told()}") from error
    finally:
        one.stop()
    if one.error is not None:
        raise one.error
