"""Daemons that start in a tenth of a second, because they are forked off a process that has imported everything."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.network import SOURCE, Node


class Forked:
    """A daemon's process, asked as `subprocess.Popen` would be."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.ended = threading.Event()

    def poll(self) -> int | None:
        return self.returncode if self.ended.is_set() else None

    def wait(self, timeout: float | None = None) -> int:
        if not self.ended.wait(timeout):
            raise subprocess.TimeoutExpired("daemon", timeout or 0.0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, sig: int) -> None:
        if not self.ended.is_set():
            os.kill(self.pid, sig)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class ForkPool:
    """Starts daemons; `launch` is what a `Node` wants. Those named in `cuts` die at each durable step once."""

    def __init__(self, folder: Path) -> None:
        self.cuts: dict[str, Path] = {}
        self._lock = threading.Lock()
        self._born: queue.SimpleQueue[Forked] = queue.SimpleQueue()
        self._alive: dict[int, Forked] = {}
        environment = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": ""}
        argv = [sys.executable, str(Path(__file__).with_name("fork_server.py"))]
        with (folder / "zygote.log").open("wb") as log:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment
            )
        self._log = folder / "zygote.log"
        threading.Thread(target=self._listen, name="herd", daemon=True).start()

    def launch(self, node: Node) -> Forked:
        """A new process for the node."""
        cuts = self.cuts.get(node.name)
        order = {
            "settings": str(node.settings),
            "log": str(node.log),
            "cuts": None if cuts is None else str(cuts),
            "environment": {},
        }
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
            try:
                return self._born.get(timeout=300)
            except queue.Empty:
                raise AssertionError(f"no daemon was started: {self._log.read_text()[-2000:]}") from None

    def close(self) -> None:
        """End all that still run."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            if "code" in told:
                process = self._alive.pop(told["pid"])
                process.returncode = told["code"]
                process.ended.set()
            else:
                process = self._alive[told["pid"]] = Forked(told["pid"])
                self._born.put(process)


@contextmanager
def fork_pool(folder: Path) -> Iterator[ForkPool]:
    """A herd whose daemons end with it."""
    one = ForkPool(folder)
    try:
        yield one
    finally:
        one.close()
