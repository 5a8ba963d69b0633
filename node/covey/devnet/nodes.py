"""Daemons of a local network: one process each, forked from a server that imported the daemon's modules once."""

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
"""Modules that every daemon needs; none of them starts a thread."""


class Nodes:
    """The daemons of one network. `stop` ends them all."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_PRELOAD)
        self._processes: dict[str, tuple[BaseProcess, Path]] = {}

    def warm_up(self) -> None:
        """Begin the imports, so that they run beside other work."""
        from multiprocessing.forkserver import ensure_running

        ensure_running()

    def start(self, name: str, settings: dict[str, Any], behaviour: Behaviour, seed: int, log: Path) -> int:
        """Start a daemon with the given settings (see `NodeConfig`) and return its process id."""
        log.parent.mkdir(parents=True, exist_ok=True)
        arguments = (settings, behaviour.value, seed, str(log))
        process = self._context.Process(target=_serve, args=arguments, name=name, daemon=True)
        with _uninterrupted():  # a process that runs but is not yet noted here could not be ended
            process.start()
            self._processes[name] = (process, log)
        assert process.pid is not None
        return process.pid

    def check(self) -> None:
        """Raise DevnetError if a daemon has ended, with the last line of its log."""
        for name, (process, log) in self._processes.items():
            if not process.is_alive():
                raise DevnetError(
                    f"the node of {name} ended (exit code {process.exitcode}): {last_line(log)}; see {log}"
                )

    def pids(self) -> dict[str, int]:
        """Process ids of the daemons that run, by name."""
        return {name: process.pid for name, (process, _) in self._processes.items() if process.pid is not None}

    def stop(self) -> None:
        """End all daemons: politely first, by force after a while. Safe to call twice."""
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
def _uninterrupted() -> Iterator[None]:
    """Let interruptions wait until the block is left. Handlers run in the main thread, so only there is this needed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, lambda number, frame: caught.append(number)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if caught:
        raise KeyboardInterrupt


def last_warnings(logs: Sequence[Path]) -> list[str]:
    """The last line of each log that warns or fails, for a message about a network that stands still."""
    found = []
    for log in logs:
        with contextlib.suppress(OSError):
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            bad = [
                line
                for line in lines
                if any(word in line.lower() for word in ("warning", "error", "declined", "given up"))
            ]
            found += [f"{log.parent.name}: {bad[-1][:200]}"] if bad else []
    return found


def _serve(settings: dict[str, Any], behaviour: str, seed: int, log: str) -> None:
    """A daemon's process: its output goes to `log`, and it ends with the process that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the parent stops us in order
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from covey.config.node import NodeConfig
    from covey.daemon.run import run
    from covey.devnet.strategies import strategy_of

    code = run(NodeConfig.model_validate(settings), strategy=strategy_of(Behaviour(behaviour), seed))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _end_with_parent() -> None:
    """End this process when the one that asked for it is gone, even if that was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_S)
    os._exit(1)
