"""Line-delimited JSON to and from one worker process: a fresh subprocess, or a child of a fork server."""

from __future__ import annotations

import contextlib
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
from typing import Protocol

from covey.lora.errors import ResultError
from covey.lora.jobs.messages import Hello, parse_message

_MAX_LINE = 16 << 20


class WorkerDied(Exception):
    """The worker ended, or was killed, before it returned a result."""


class Channel(Protocol):
    """A connection to one worker, for one job."""

    @property
    def pid(self) -> int | None:
        """The worker's process id, once known."""
        ...

    def send(self, line: str) -> None:
        """Send one line, without its end. Raises WorkerDied."""
        ...

    def receive(self, timeout: float) -> bytes | None:
        """The next line, or None after `timeout` seconds. Raises WorkerDied at the end of the stream."""
        ...

    def kill(self) -> None:
        """Kill the worker. May be called repeatedly and from any thread."""
        ...

    def close(self) -> None:
        """Kill the worker and release the descriptors. Only the receiving thread may call it."""
        ...


class _LineReader:
    """Reads lines from a file descriptor."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._buffer = bytearray()
        self._seen = 0

    def next(self, timeout: float) -> bytes | None:
        """The next line, or None after `timeout` seconds. Raises EOFError; WorkerDied for an overlong line."""
        deadline = time.monotonic() + timeout
        while (end := self._buffer.find(b"\n", self._seen)) < 0:
            self._seen = len(self._buffer)
            if self._seen > _MAX_LINE:
                raise WorkerDied(f"the worker wrote a line of more than {_MAX_LINE >> 20} MiB")
            ready, _, _ = select.select([self._fd], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                return None
            chunk = os.read(self._fd, 1 << 16)
            if not chunk:
                raise EOFError
            self._buffer += chunk
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._seen = 0
        return line


WORKER = (sys.executable, "-m", "covey.lora.jobs.worker")


class SubprocessChannel:
    """A new process running `argv`. Its standard error goes to `log_path`."""

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
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the worker was started without pipes")
        self._stdin, self._stdout = stdin, stdout
        self._lines = _LineReader(stdout.fileno())

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def send(self, line: str) -> None:
        try:
            self._stdin.write(line.encode() + b"\n")
            self._stdin.flush()  # stays open: at its end the worker exits, because the daemon is gone
        except OSError:
            raise WorkerDied(self._exit_message()) from None

    def receive(self, timeout: float) -> bytes | None:
        try:
            return self._lines.next(timeout)
        except EOFError:
            raise WorkerDied(self._exit_message()) from None

    def kill(self) -> None:
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        self.kill()
        for pipe in (self._stdin, self._stdout):
            with contextlib.suppress(OSError):
                pipe.close()

    def _exit_message(self) -> str:
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return "the worker closed its output without a result"
        reason = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        lines = self._log_path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"the worker ended with {reason}" + (f": {lines[-1][:300]}" if lines else "")


class ForkServerChannel:
    """A child of the fork server at the Unix socket `path`, with torch already imported. Its first line has its pid."""

    def __init__(self, path: Path) -> None:
        self._pid: int | None = None
        self._lock = threading.Lock()
        self._has_pid = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise WorkerDied(f"no fork server at {path}: {error.strerror}") from None
        self._lines = _LineReader(self._socket.fileno())

    @property
    def pid(self) -> int | None:
        return self._pid

    def send(self, line: str) -> None:
        try:
            self._socket.sendall(line.encode() + b"\n")
        except OSError as error:
            raise WorkerDied(f"the fork server closed the connection: {error.strerror}") from None

    def receive(self, timeout: float) -> bytes | None:
        try:
            line = self._lines.next(timeout)
        except (EOFError, OSError):
            raise WorkerDied("the worker ended without a result (the fork server closed the connection)") from None
        if line is not None and not self._has_pid:
            self._has_pid = True
            with self._lock:
                self._pid = _pid_in(line)
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


def _pid_in(line: bytes) -> int | None:
    """The process id in a worker's first message; None for any other line."""
    try:
        message = parse_message(line)
    except ResultError:
        return None
    return message.pid if isinstance(message, Hello) else None


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and its descendants, bytes; 0 if it cannot be read (not Linux, or exited)."""
    total, pending, page = 0, [pid], os.sysconf("SC_PAGE_SIZE")
    while pending:
        folder = Path(f"/proc/{pending.pop()}")
        try:
            total += int((folder / "statm").read_text(encoding="ascii").split()[1]) * page
            for thread in (folder / "task").iterdir():
                pending += map(int, (thread / "children").read_text(encoding="ascii").split())
        except (OSError, ValueError, IndexError):  # it has exited
            continue
    return total
