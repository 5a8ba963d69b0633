"""Fills the disk at each durable step that a daemon takes, once at each.

The daemon's data folder is the disk. Before a step that the file of steps does not list yet, the disk is filled to the
last byte, and freed a moment later: the step fails and must be repeated. The disk is full during the first attempt of
each job too. Steps are those of `crash_points`, and writes of blocks, fetched entries and retained content.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.chaos import crash_points
from tests.support.chaos.disk_filler import fill_disk

_FULL_SECONDS = 0.3
_NEEDS_NO_SPACE = ("before: broadcast ", "before: rename ", "before: replace ")


class DiskFullPoints:
    """Fills the disk at each step that ``path`` does not list yet."""

    def __init__(self, path: Path, filler: Path) -> None:
        path.touch()
        self._seen = set(path.read_text(encoding="utf-8").splitlines())
        self._file = path.open("a", encoding="utf-8")
        self._filler = filler
        self._lock = threading.Lock()
        self._holders = 0

    def at(self, step: str) -> None:
        if step.startswith("before: ") and not step.startswith(_NEEDS_NO_SPACE) and self._is_first(step):
            self._fill()
            timer = threading.Timer(_FULL_SECONDS, self._free)
            timer.daemon = True
            timer.start()

    def tears(self, step: str) -> bool:
        return False  # the full disk already cuts lines in half

    @contextlib.contextmanager
    def during(self, step: str) -> Iterator[None]:
        """Keep the disk full for the whole block, the first time."""
        first = self._is_first(step)
        if first:
            self._fill()
        try:
            yield
        finally:
            if first:
                self._free()

    def _is_first(self, step: str) -> bool:
        with self._lock:
            if step in self._seen:
                return False
            self._seen.add(step)
            self._file.write(step + "\n")
            self._file.flush()
            return True

    def _fill(self) -> None:
        with self._lock:
            self._holders += 1
            fill_disk(self._filler)

    def _free(self) -> None:
        with self._lock:
            self._holders -= 1
            if not self._holders:
                self._filler.unlink(missing_ok=True)


def install(steps: Path, data_dir: Path) -> None:
    """Fill this process's disk at each step that the file ``steps`` does not list yet."""
    from covey.daemon.workers.executor import ProcessExecutor
    from covey.ipfs import fetch
    from covey.ipfs.blockfiles import BlockFiles
    from covey.ipfs.keeper import Keeper

    points = DiskFullPoints(steps, data_dir / "filler")
    crash_points.install(points)

    def hook_before(owner: Any, name: str, step: str) -> None:
        original = getattr(owner, name)

        def hooked(*args: Any, **kwargs: Any) -> Any:
            points.at(f"before: {step}")
            return original(*args, **kwargs)

        setattr(owner, name, hooked)

    hook_before(Keeper, "_save", "retained content")
    hook_before(BlockFiles, "write_temporary", "block")
    hook_before(fetch, "write_directory", "fetched entry")
    run_job = ProcessExecutor._run

    def run_job_on_full_disk(self: ProcessExecutor, job: Any) -> None:
        with points.during(f"during: job {job.key}"):
            run_job(self, job)

    setattr(ProcessExecutor, "_run", run_job_on_full_disk)  # noqa: B010
