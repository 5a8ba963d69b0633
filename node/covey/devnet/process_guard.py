"""Programs that must not outlive this process, even if it is killed and can end nothing any more."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

_WATCH = "import os, signal, sys; sys.stdin.buffer.read(); os.killpg(int(sys.argv[1]), signal.SIGKILL)"


class ProcessGuard:
    """Kills a process that leads its own group, and the group with it, as soon as this process is gone.

    A small process waits for the end of a pipe whose other side only this process has: the system closes that side
    however this process ends. It does not depend on a feature of one system, nor on the thread that started it.
    """

    def __init__(self, process: subprocess.Popen[Any]) -> None:
        self._watcher = subprocess.Popen(
            [sys.executable, "-ISc", _WATCH, str(process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in the terminal is not for it
        )

    def release(self) -> None:
        """The process has ended, or may live on. Safe to call twice."""
        self._watcher.kill()
        self._watcher.wait()
        assert self._watcher.stdin is not None
        self._watcher.stdin.close()
