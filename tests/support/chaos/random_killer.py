"""Ends daemons with SIGKILL at random moments, and starts again whichever has ended."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.network import Network, Node


class RandomKiller:
    """Looks after `nodes` from a thread of its own.

    Args:
        nodes: may shrink meanwhile; who is no longer among them stays as it is.
        seconds: mean time between two kills; None kills nobody and only starts again those that end themselves.
        most: kills after which it only looks after them.
    """

    def __init__(self, nodes: list[Node], seconds: float | None, seed: int, most: int | None = None) -> None:
        self.kills = 0
        self.error: str | None = None
        self._nodes = nodes
        self._seconds = seconds
        self._most = most
        self._random = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="monkey")
        self._thread.start()

    @property
    def enough(self) -> bool:
        return self._most is not None and self.kills >= self._most

    def stop(self) -> None:
        """Kill no more; every node runs when this returns."""
        self._stop.set()
        self._thread.join()
        self._start_again()

    def _run(self) -> None:
        next_kill = time.monotonic()
        while not self._stop.wait(0.02):
            self._start_again()
            if self._seconds is None or self.enough or time.monotonic() < next_kill:
                continue
            next_kill = time.monotonic() + self._random.expovariate(1 / self._seconds)
            node = self._random.choice(self._nodes)
            if node.process is not None and node.process.poll() is None:
                node.kill()

    def _start_again(self) -> None:
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
def monkey(
    net: Network, nodes: list[Node], seconds: float | None, seed: int, most: int | None = None
) -> Iterator[RandomKiller]:
    one = RandomKiller(nodes, seconds, seed, most)
    try:
        yield one
    finally:
        one.stop()
    assert one.error is None, f"{one.error}\n{net.told()}"
