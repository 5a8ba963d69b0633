"""Kills daemons with SIGKILL at random moments, and restarts those that have ended."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.network import Network, Node


class RandomKiller:
    """Kills and restarts ``nodes`` from its own thread.

    Args:
        nodes: the list may shrink while the killer runs; a removed node is left alone.
        seconds: mean time between two kills; None kills none and only restarts nodes that end themselves.
        limit: number of kills after which it only restarts nodes.
    """

    def __init__(self, nodes: list[Node], seconds: float | None, seed: int, limit: int | None = None) -> None:
        self.kills = 0
        self.error: str | None = None
        self._nodes = nodes
        self._seconds = seconds
        self._limit = limit
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="random killer")
        self._thread.start()

    @property
    def is_done(self) -> bool:
        """Whether the limit is reached."""
        return self._limit is not None and self.kills >= self._limit

    def stop(self) -> None:
        """Stop killing; every node runs when this returns."""
        self._stop.set()
        self._thread.join()
        self._restart()

    def _run(self) -> None:
        next_kill = time.monotonic()
        while not self._stop.wait(0.02):
            self._restart()
            if self._seconds is None or self.is_done or time.monotonic() < next_kill:
                continue
            next_kill = time.monotonic() + self._random.expovariate(1 / self._seconds)
            node = self._random.choice(self._nodes)
            if node.process is not None and node.process.poll() is None:
                node.kill()

    def _restart(self) -> None:
        for node in list(self._nodes):
            code = None if node.process is None else node.process.poll()
            if code is None or node not in self._nodes:
                continue
            if code != -signal.SIGKILL:
                self.error = f"{node.name} has ended with {code}"
                continue
            self.kills += 1
            node.start()


@contextmanager
def random_killer(
    net: Network, nodes: list[Node], seconds: float | None, seed: int, limit: int | None = None
) -> Iterator[RandomKiller]:
    """A `RandomKiller` that stops with the block; fails if a node has ended with an error."""
    killer = RandomKiller(nodes, seconds, seed, limit)
    try:
        yield killer
    finally:
        killer.stop()
    assert killer.error is None, f"{killer.error}\n{net.logs()}"
