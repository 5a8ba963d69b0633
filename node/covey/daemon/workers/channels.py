"""Lines of JSON to and from one worker process, however it was made."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

_MAX_LINE = 16 << 20


class WorkerDied(Exception):
    """The worker ended, or had to be ended, before it gave a result."""


class Channel(Protocol):
    """One worker, one job."""

    @property
    def pid(self) -> int | None:
        """Process id, once known."""
        ...

    def send(self, message: dict[str, Any]) -> None:
        """Raises WorkerDied."""
        ...

    def receive(self, timeout: float) -> bytes | None:
        """The next line, or None after `timeout` seconds without one. Raises WorkerDied at the end of the stream."""
        ...

    def kill(self) -> None:
        """End the worker now; may be called twice and from any thread."""
        ...

    def close(self) -> None:
        """`kill`, then free the descriptors; only the thread that receives may do so."""
        ...


class _Lines:
    """Splits what a descriptor gives into lines."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._buffer = bytearray()
        self._seen = 0

    def next(self, timeout: float) -> bytes | None:
        """A line, or None when `timeout` passed. Raises EOFError."""
        deadline = time.monotonic() + timeout
        while (end := self._buffer.find(b"\n", self._seen)) < 0:
            self._seen = len(self._buffer)
            if self._seen > _MAX_LINE:
                raise WorkerDied(f"the worker wrote a line of more than {_MAX_LINE >> 20} MiB")
            ready, _, _ = select.select([self._fd], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                return None
            piece = os.read(self._fd, 1 << 16)
            if not piece:
                raise EOFError
            self._buffer += piece
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._seen = 0
        return line


WORKER = (sys.executable, "-m", "covey.lora.jobs.worker")


class SubprocessChannel:
    """A fresh process running `argv`. Its standard error goes to `log_path`."""

    def __init__(self, log_path: Path, threads: int, argv: Sequence[str] = WORKER) -> None:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("COVEY_PASSWORD")},
            "OMP_NUM_THREADS": str(threads),
            "MKL_NUM_THREADS": str(threads),
            "TOKENIZERS_PARALLELISM": "false",
            "PYTHONUNBUFFERED": "1",
        }
        self._log_path = log_path
        with log_path.open("wb") as errors:
            self._process = subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        self._lines = _Lines(self._process.stdout.fileno())

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()  # left open: its end tells the worker that the daemon is gone
        except OSError:
            raise WorkerDied(self._epitaph()) from None

    def receive(self, timeout: float) -> bytes | None:
        try:
            return self._lines.next(timeout)
        except EOFError:
            raise WorkerDied(self._epitaph()) from None

    def kill(self) -> None:
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _epitaph(self) -> str:
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return "the worker closed its output without a result"
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        lines = self._log_path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"the worker ended with {how}" + (f": {lines[-1][:300]}" if lines else "")


class ForkServerChannel:
    """A child of the fork server that listens at `path`; torch is imported already. The first line tells its pid."""

    def __init__(self, path: Path) -> None:
        self._pid: int | None = None
        self._lock = threading.Lock()
        self._greeted = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise WorkerDied(f"no fork server at {path}: {error.strerror}") from None
        self._lines = _Lines(self._socket.fileno())

    @property
    def pid(self) -> int | None:
        return self._pid

    def send(self, message: dict[str, Any]) -> None:
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise WorkerDied(f"the fork server went away: {error.strerror}") from None

    def receive(self, timeout: float) -> bytes | None:
        try:
            line = self._lines.next(timeout)
        except (EOFError, OSError):
            raise WorkerDied("the worker ended without a result (the fork server closed the connection)") from None
        if line is not None and not self._greeted:
            self._greeted = True
            with self._lock:
                self._pid = _hello(line)
        return line

    def kill(self) -> None:
        with self._lock:
            pid, self._pid = self._pid, None
        if pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.kill()
        self._socket.close()


def _hello(line: bytes) -> int | None:
    try:
        message = json.loads(line)
    except ValueError:
        return None
    match message:
        case {"type": "hello", "pid": int(pid)}:
            return pid
    return None


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and its descendants, bytes; 0 where it cannot be told (not Linux, or gone)."""
    total, waiting, page = 0, [pid], os.sysconf("SC_PAGE_SIZE")
    while waiting:
        folder = Path(f"/proc/{waiting.pop()}")
        try:
            total += int((folder / "statm").read_text(encoding="ascii").split()[1]) * page
            for thread in (folder / "task").iterdir():
                waiting += map(int, (thread / "children").read_text(encoding="ascii").split())
        except (OSError, ValueError, IndexError):  # it ended meanwhile
            continue
    return total
