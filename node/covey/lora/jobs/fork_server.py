"""A server that imports torch once and forks a worker per connection.

A forked child ends at once when its connection closes.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import stat
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from covey.lora.errors import LoraError
from covey.lora.jobs.session import JobRunner, Session


class ForkServer:
    """Accepts connections on a Unix socket that only its owner may open. A forked child serves each connection."""

    def __init__(self, path: Path, runner: JobRunner, prepare: Callable[[], None]) -> None:
        self._path, self._runner, self._prepare = path, runner, prepare
        self._children: set[int] = set()
        self._stopping = False

    def serve(self) -> None:
        """Serve until SIGTERM or SIGINT, then end the children and remove the socket.

        The socket exists at once; a client that connects before ``prepare`` returns waits. Raises LoraError.
        """
        with self._listener() as listener:
            self._prepare()
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._stop)
            print(f"listening on {self._path}", file=sys.stderr, flush=True)
            while not self._stopping:
                self._reap()
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                with connection:
                    if (child := os.fork()) == 0:
                        self._child(listener, connection)
                    self._children.add(child)
        for child in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)
        for child in self._children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child, 0)

    @contextlib.contextmanager
    def _listener(self) -> Iterator[socket.socket]:
        if self._path.exists():
            if not stat.S_ISSOCK(self._path.stat().st_mode):
                raise LoraError(f"{self._path} exists and is not a socket: choose another path")
            self._path.unlink()  # left by a server that was killed
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            before = os.umask(0o077)
            try:
                listener.bind(str(self._path))
            except OSError as error:
                raise LoraError(f"cannot listen on {self._path}: {error.strerror or error}") from error
            finally:
                os.umask(before)
            listener.listen()
            listener.settimeout(0.5)
            try:
                yield listener
            finally:
                self._path.unlink(missing_ok=True)

    def _child(self, listener: socket.socket, connection: socket.socket) -> None:
        code = 1
        try:
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            listener.close()
            connection.settimeout(None)
            with (
                connection.makefile("r", encoding="utf-8") as requests,
                connection.makefile("w", encoding="utf-8") as messages,
            ):
                Session(_until_closed(requests), messages, self._runner).serve()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)  # skip the parent's exit handlers and its open files

    def _reap(self) -> None:
        for child in list(self._children):
            try:
                if os.waitpid(child, os.WNOHANG)[0]:
                    self._children.discard(child)
            except ChildProcessError:
                self._children.discard(child)

    def _stop(self, number: int, frame: object) -> None:
        self._stopping = True


def _until_closed(lines: TextIO) -> Iterator[str]:
    """Yield lines read ahead by a thread that ends the process, even during a job, when the connection closes."""
    ahead: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in lines:
                ahead.put(line)
        os._exit(0)

    threading.Thread(target=read, name="connection", daemon=True).start()
    while True:
        yield ahead.get()
