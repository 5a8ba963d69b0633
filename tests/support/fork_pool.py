"""Starts daemons and commands in a tenth of a second, by forking a process that has already imported the package."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.fork_server import Order
from tests.support.network import ROOT, Launch, Node, child_environment


class ForkedProcess:
    """A child of the fork server, with the interface of `subprocess.Popen`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.ended = threading.Event()

    def poll(self) -> int | None:
        return self.returncode if self.ended.is_set() else None

    def wait(self, timeout: float | None = None) -> int:
        if not self.ended.wait(timeout):
            raise subprocess.TimeoutExpired("forked process", timeout or 0.0)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, sig: int) -> None:
        if not self.ended.is_set():
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(self.pid, sig)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class ForkPool:
    """Starts daemons and commands through a `fork_server`; `launch` has the signature that `Node` expects.

    Args:
        folder: receives the server's log.
        enter: put before the server's command.
        environment: added to the server's environment.
    """

    def __init__(self, folder: Path, enter: Sequence[str] = (), environment: dict[str, str] | None = None) -> None:
        self._lock = threading.Lock()
        self._started: queue.SimpleQueue[ForkedProcess] = queue.SimpleQueue()
        self._alive: dict[int, ForkedProcess] = {}
        self._log = folder / "fork_server.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*enter, sys.executable, "-m", "tests.support.fork_server"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=child_environment() | (environment or {}),
                cwd=ROOT,
            )
        threading.Thread(target=self._listen, name="fork pool", daemon=True).start()

    def launch(self, node: Node) -> ForkedProcess:
        """Start a daemon for the node."""
        return self._fork(_daemon(node))

    def launch_with_crash_points(self, steps: Path) -> Launch:
        """Starts daemons that die once at each durable step; the file ``steps`` lists those done."""
        return lambda node: self._fork({**_daemon(node), "crash_points": str(steps)})

    def launch_with_disk_full_points(self, steps: Path) -> Launch:
        """Starts daemons whose disk is full once at each durable step; the file ``steps`` lists those done."""
        return lambda node: self._fork({**_daemon(node), "disk_full_points": str(steps)})

    def covey(
        self, *arguments: str, environment: Mapping[str, str], folder: Path, timeout: float = 300.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a `covey` command in a process of its own, with these variables only."""
        with tempfile.TemporaryDirectory(dir=self._log.parent) as output:
            stdout, stderr = Path(output) / "stdout", Path(output) / "stderr"
            process = self._fork(
                {
                    "arguments": list(arguments),
                    "environment": dict(environment),
                    "folder": str(folder),
                    "stdout": str(stdout),
                    "stderr": str(stderr),
                }
            )
            code = process.wait(timeout)
            texts = (path.read_text(encoding="utf-8") for path in (stdout, stderr))
            return subprocess.CompletedProcess(["covey", *arguments], code, *texts)

    def close(self) -> None:
        """End the server and all its daemons."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)

    def _fork(self, order: Order) -> ForkedProcess:
        assert self._process.stdin is not None
        for path in (order["stdout"], order["stderr"]):  # tests may read them before the child runs
            Path(path).touch()
        with self._lock:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
            try:
                return self._started.get(timeout=300)
            except queue.Empty:
                raise AssertionError(f"no process was started: {self._log.read_text()[-2000:]}") from None

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            if "code" in message:
                process = self._alive.pop(message["pid"])
                process.returncode = message["code"]
                process.ended.set()
            else:
                process = self._alive[message["pid"]] = ForkedProcess(message["pid"])
                self._started.put(process)


def _daemon(node: Node) -> Order:
    return {"settings": str(node.settings), "stdout": str(node.log), "stderr": str(node.log)}


@contextmanager
def fork_pool(folder: Path, enter: Sequence[str] = (), environment: dict[str, str] | None = None) -> Iterator[ForkPool]:
    """A `ForkPool` whose daemons end with the block."""
    pool = ForkPool(folder, enter, environment)
    try:
        yield pool
    finally:
        pool.close()
