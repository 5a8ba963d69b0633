"""A daemon whose disk is full at each durable step that it takes, at each once.

`python tests/support/chaos/disk_full_points.py SETTINGS [STEPS]`; without STEPS it is an ordinary one.

Its data folder is the disk. Before a step that STEPS does not name yet the disk is filled to the last byte, and given
back a moment later, so the step is refused and must be taken again. While the first attempt of each job runs it is full
too. Steps are those of `cuts`, and those places that write files: blocks, fetched entries, promises.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import crash_points as cuts  # beside this file, which is a program
from ballast import fill

_FULL_FOR = 0.3  # seconds
_NEEDS_NO_ROOM = ("before: broadcast ", "before: rename ", "before: replace ")


class Fills(cuts.Cuts):
    """Fills the disk where `Cuts` would end the process."""

    def __init__(self, path: Path, ballast: Path) -> None:
        super().__init__(path)
        self._ballast = ballast
        self._lock = threading.Lock()
        self._holding = 0

    def at(self, step: str) -> None:
        if step.startswith("before: ") and not step.startswith(_NEEDS_NO_ROOM) and self._first(step):
            self._take()
            timer = threading.Timer(_FULL_FOR, self._give)
            timer.daemon = True
            timer.start()

    def due(self, step: str) -> bool:
        return False  # half a line is written all the same: the disk sees to it

    @contextlib.contextmanager
    def during(self, step: str) -> Iterator[None]:
        """Full from the beginning to the end of it, the first time."""
        first = self._first(step)
        if first:
            self._take()
        try:
            yield
        finally:
            if first:
                self._give()

    def _first(self, step: str) -> bool:
        with self._lock:
            if step in self._seen:
                return False
            self._seen.add(step)
            self._file.write(step + "\n")
            self._file.flush()
            return True

    def _take(self) -> None:
        with self._lock:
            self._holding += 1
            fill(self._ballast)

    def _give(self) -> None:
        with self._lock:
            self._holding -= 1
            if not self._holding:
                self._ballast.unlink(missing_ok=True)


def install(steps: Path, data_dir: Path) -> None:
    """From here on, this process meets a full disk at each step that `steps` does not name yet."""
    from covey.daemon.workers.executor import ProcessExecutor
    from covey.ipfs import fetch
    from covey.ipfs.blockfiles import BlockFiles
    from covey.ipfs.keeper import Keeper

    fills = Fills(steps, data_dir / "ballast")
    cuts.Cuts = lambda path: fills  # type: ignore[misc,assignment]
    cuts.install(steps)

    def before(owner: Any, name: str, step: str) -> None:
        original = getattr(owner, name)

        def full(*args: Any, **kwargs: Any) -> Any:
            fills.at(f"before: {step}")
            return original(*args, **kwargs)

        setattr(owner, name, full)

    before(Keeper, "_save", "promises")
    before(BlockFiles, "write_temporary", "block")
    before(fetch, "write_directory", "fetched entry")
    work = ProcessExecutor._run

    def run_full(self: ProcessExecutor, one: Any) -> None:
        with fills.during(f"during: job {one.key}"):
            work(self, one)

    ProcessExecutor._run = run_full  # type: ignore[method-assign]


def main() -> int:
    from covey.config.node import NodeConfig
    from covey.daemon.run import run

    config = NodeConfig.load(file=Path(sys.argv[1]), environ={})
    if len(sys.argv) > 2:
        install(Path(sys.argv[2]), config.data_dir)
    return run(config)


if __name__ == "__main__":
    sys.exit(main())
