"""Runs the daemons of a local network: one process each, forked from a server that has imported their modules."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covey.devnet.anvil import last_line
from covey.devnet.errors import DevnetError
from covey.devnet.scenario import Behaviour

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

STOP_S = 5.0
_PRELOAD = ["covey.devnet.strategies", "covey.daemon.run", "web3", "eth_account"]
"""Modules that every daemon imports; none of them starts a thread."""


class Nodes:
    """The daemons of one network. `stop` stops them all."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_PRELOAD)
        self._processes: dict[str, tuple[BaseProcess, Path]] = {}

    def warm_up(self) -> None:
        """Start the fork server, so that its imports run in the background."""
        from multiprocessing.forkserver import ensure_running

        ensure_running()

    def start(self, name: str, settings: dict[str, Any], behaviour: Behaviour, seed: int, log: Path) -> int:
        """Start a daemon with the given settings (see `NodeConfig`) and return its process id."""
        log.parent.mkdir(parents=True, exist_ok=True)
        arguments = (settings, behaviour.value, seed, str(log))
        process = self._context.Process(target=_serve, args=arguments, name=name, daemon=True)
        with _signals_deferred():  # an unrecorded process could not be stopped
            process.start()
            self._processes[name] = (process, log)
        if process.pid is None:
            raise DevnetError(f"the node of {name} did not start")
        return process.pid

    def check(self) -> None:
        """Raise DevnetError with the last line of its log if a daemon has exited."""
        for name, (process, log) in self._processes.items():
            if not process.is_alive():
                raise DevnetError(
                    f"the node of {name} exited (exit code {process.exitcode}): {last_line(log)}; see {log}"
                )

    def pids(self) -> dict[str, int]:
        """Process ids of the daemons, by name."""
        return {name: process.pid for name, (process, _) in self._processes.items() if process.pid is not None}

    def stop(self) -> None:
        """Terminate all daemons, and kill those that still run after `STOP_S` seconds. Idempotent."""
        processes = [process for process, _ in self._processes.values()]
        self._processes.clear()
        for process in processes:
            with contextlib.suppress(ProcessLookupError, ValueError):
                process.terminate()
        deadline = time.monotonic() + STOP_S
        for process in processes:
            process.join(max(0.1, deadline - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join(1.0)


@contextlib.contextmanager
def _signals_deferred() -> Iterator[None]:
    """Defer signals until the block is left. Handlers run in the main thread, so other threads need nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda number, frame: received.append(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        raise KeyboardInterrupt


def last_warnings(logs: Sequence[Path]) -> list[str]:
    """The last warning or error of each log, for the error message of a stalled network."""
    found = []
    for log in logs:
        with contextlib.suppress(OSError):
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            problems = [
                line
                for line in lines
                if any(word in line.lower() for word in ("warning", "error", "declined", "given up"))
            ]
            found += [f"{log.parent.name}: {problems[-1][:200]}"] if problems else []
    return found


def _serve(settings: dict[str, Any], behaviour: str, seed: int, log: str) -> None:
    """Entry point of a daemon's process: writes its output to `log`, and exits with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent stops the daemons
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    from covey.config.node import NodeConfig
    from covey.daemon.run import run
    from covey.devnet.strategies import strategy_of

    code = run(NodeConfig.model_validate(settings), strategy=strategy_of(Behaviour(behaviour), seed))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _exit_with_parent() -> None:
    """Exit when the parent process is gone, even if it was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_S)
    os._exit(1)
