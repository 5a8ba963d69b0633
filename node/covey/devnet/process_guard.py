"""Kills child processes when this process dies, even by SIGKILL."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

_WATCHER = "import os, signal, sys; sys.stdin.buffer.read(); os.killpg(int(sys.argv[1]), signal.SIGKILL)"


class ProcessGuard:
    """Kills a process group as soon as this process is gone. The guarded process must lead the group.

    A watcher process reads a pipe whose write end only this process holds: the operating system closes it however this
    process ends. This needs no platform-specific feature, and does not depend on the thread that started the guard.
    """

    def __init__(self, process: subprocess.Popen[Any]) -> None:
        self._watcher = subprocess.Popen(
            [sys.executable, "-ISc", _WATCHER, str(process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # not interrupted by Ctrl-C in the terminal
        )

    def release(self) -> None:
        """Stop guarding: the process has ended, or may outlive this one. Idempotent."""
        self._watcher.kill()
        self._watcher.wait()
        if self._watcher.stdin is not None:
            self._watcher.stdin.close()
