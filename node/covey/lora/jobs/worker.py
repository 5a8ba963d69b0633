"""The worker process: one JSON request per line in, one JSON message per line out.

    python -m covey.lora.jobs.worker                     jobs on stdin, messages on stdout
    python -m covey.lora.jobs.worker --listen SOCKET     imports torch once and forks a child per connection

:mod:`covey.lora.jobs.messages` defines the requests and messages.

Kinds of errors:

- ``bad_job``: the job, its files or the set-up is wrong; the same job fails again until somebody changes something;
- ``oom``: this machine's memory ran out; says nothing about anybody's adapter;
- ``disk_full``: there was no room for the job's files; the same job can be done once there is;
- ``internal``: anything else; the traceback is on stderr. The job may be tried again.

A worker that dies without an answer counts as ``internal``. Jobs of one connection run one after another. A forked
child ends at once when its connection closes; a worker on stdin finishes what it was asked, or stops when nobody reads
its answers.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import queue
import signal
import socket
import stat
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TextIO

from covey.lora.errors import LoraError, is_disk_full, is_out_of_memory, one_line
from covey.lora.jobs.dispatch import Runner
from covey.lora.jobs.messages import (
    ErrorKind,
    ErrorMessage,
    Hello,
    Message,
    ProgressMessage,
    ResultMessage,
    parse_request,
    request_id,
)


class Session:
    """Serves the jobs of one stream until it ends."""

    def __init__(self, lines: Iterable[str], answers: TextIO, runner: Runner) -> None:
        self._lines, self._answers, self._runner = lines, answers, runner

    def serve(self) -> None:
        """Run the job of every line. Returns at the end of input or when the other side stops reading."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._send(Hello(pid=os.getpid()))
            for line in self._lines:
                if line.strip():
                    self._answer(line)

    def _answer(self, line: str) -> None:
        identity = request_id(line)

        def progress(stage: str, done: int, total: int) -> None:
            self._send(ProgressMessage(id=identity, stage=stage, done=done, total=total))

        try:
            result = self._runner.run(parse_request(line).job, progress)
            self._send(ResultMessage(id=identity, result=result))
        except (BrokenPipeError, ConnectionResetError):
            raise
        except Exception as error:  # the process outlives any job
            kind = error_kind(error)
            if kind != "bad_job":
                with contextlib.suppress(OSError):  # where the log goes may be full
                    traceback.print_exc()
                self._runner.forget()
            self._send(ErrorMessage(id=identity, kind=kind, message=one_line(error), retry=kind != "bad_job"))

    def _send(self, message: Message) -> None:
        self._answers.write(message.model_dump_json() + "\n")
        self._answers.flush()


def error_kind(error: BaseException) -> ErrorKind:
    """``bad_job``, ``oom``, ``disk_full`` or ``internal``."""
    if is_disk_full(error):
        return "disk_full"
    if isinstance(error, LoraError):
        return "bad_job"
    return "oom" if is_out_of_memory(error) else "internal"


class ForkServer:
    """Accepts connections on a Unix socket that only its owner may open; each gets a forked child."""

    def __init__(self, path: Path, runner: Runner, prepare: Callable[[], None]) -> None:
        self._path, self._runner, self._prepare = path, runner, prepare
        self._children: set[int] = set()
        self._stopping = False

    def serve(self) -> None:
        """Serve until SIGTERM or SIGINT; then end the children and remove the socket.

        The socket is there at once; who connects before ``prepare`` is done waits.
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
                raise LoraError(f"{self._path} exists and is no socket: choose another path")
            self._path.unlink()  # of a server that was killed
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
                connection.makefile("r", encoding="utf-8") as lines,
                connection.makefile("w", encoding="utf-8") as answers,
            ):
                Session(_until_closed(lines), answers, self._runner).serve()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)  # the parent's handlers and open files are not this process's

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
    """Lines read ahead by a thread that ends the process when the other side is gone, whatever a job is doing."""
    ahead: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in lines:
                ahead.put(line)
        os._exit(0)

    threading.Thread(target=read, name="connection", daemon=True).start()
    while True:
        yield ahead.get()


def main(arguments: list[str] | None = None) -> int:
    """Run a worker; returns the process's exit code."""
    parser = argparse.ArgumentParser(prog="covey.lora.jobs.worker", description="Covey's training and scoring worker")
    parser.add_argument("--listen", type=Path, metavar="SOCKET", help="fork a child a connection to this Unix socket")
    parser.add_argument("--preload", metavar="BASE", help="load this base model (tiny, folder) before the first job")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16", help="type of --preload")
    parser.add_argument("--threads", type=int, help="CPU threads of a job that does not say")
    options = parser.parse_args(arguments)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # spinning threads starve the others on a busy machine
    runner = Runner(options.threads)

    def prepare() -> None:
        _import_stack()
        if options.preload:
            runner.preload(options.preload, options.dtype)

    try:
        if options.listen is not None:
            ForkServer(options.listen, runner, prepare).serve()
            return 0
        answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)  # whatever a library prints must not end up among the answers
        if options.preload:
            runner.preload(options.preload, options.dtype)
        Session(sys.stdin, answers, runner).serve()
        return 0
    except LoraError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _import_stack() -> None:
    """Import everything a job needs, with one thread: a pool of OpenMP threads would not survive a fork."""
    import torch

    torch.set_num_threads(1)
    from transformers.models.qwen2 import modeling_qwen2  # noqa: F401
    from transformers.models.qwen3 import modeling_qwen3  # noqa: F401

    from covey.lora.scoring import run_score  # noqa: F401
    from covey.lora.training import run_train  # noqa: F401


if __name__ == "__main__":
    sys.exit(main())
