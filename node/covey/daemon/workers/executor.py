"""Where training and scoring run: processes of their own, with limits on memory and time, one JSON object a line.

A worker's death (out of memory, a CUDA assert, a segmentation fault, a hang) costs its job one attempt and nothing
else: it is reported as `Failure(retry=True)` and never turns into anybody's score. Two ways to get a process behind one
interface: a fresh `python -m covey.lora.jobs.worker`, or a child of a fork server that several daemons of one machine
share.
"""

from __future__ import annotations

import heapq
import itertools
import json
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from covey.daemon.storage.disk_space import is_full
from covey.daemon.workers.channels import (
    WORKER,
    Channel,
    ForkServerChannel,
    SubprocessChannel,
    WorkerDied,
    resident_bytes,
)

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.25  # between two looks at a worker's memory


@dataclass(frozen=True, slots=True)
class Limits:
    """What one worker may use. `silent_seconds`: how long it may say nothing before it counts as hung."""

    memory_bytes: int
    seconds: float
    threads: int
    silent_seconds: float = 1800.0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job gave no result. `retry`: the worker died; another attempt may work.

    `disk_full`: there was no room for its files, which says nothing about the job.
    """

    message: str
    retry: bool
    disk_full: bool = False


@dataclass(frozen=True, slots=True)
class Finished:
    key: str
    result: dict[str, Any] | None
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job with a worker is: `done` of `total` steps of `stage`."""

    stage: str
    done: int
    total: int
    started: float  # monotonic clock


class Executor(Protocol):
    """Runs jobs somewhere. All methods return at once."""

    def submit(self, key: str, job: dict[str, Any], deadline: int) -> None: ...
    def poll(self) -> list[Finished]: ...
    def active(self, key: str) -> bool: ...
    def keys(self) -> set[str]: ...
    def queued(self) -> int: ...
    def progress(self) -> dict[str, Progress]: ...
    def cancel(self, key: str) -> None: ...
    def close(self) -> None: ...


@dataclass(order=True)
class _Queued:
    deadline: int
    serial: int
    key: str = field(compare=False)
    job: dict[str, Any] = field(compare=False)


class ProcessExecutor:
    """Jobs in worker processes of this machine, `slots` at a time, the earliest deadline first."""

    def __init__(
        self, where: str, limits: Limits, log_folder: Path, slots: int = 1, argv: Sequence[str] = WORKER
    ) -> None:
        self._argv = argv
        self._where = where
        self._limits = limits
        self._log_folder = log_folder
        self._slots = slots
        self._lock = threading.Lock()
        self._serial = itertools.count()
        self._queue: list[_Queued] = []
        self._channels: dict[str, Channel | None] = {}
        self._running: dict[str, _Queued] = {}
        self._cancelled: set[str] = set()
        self._set_aside: set[str] = set()
        self._progress: dict[str, Progress] = {}
        self._finished: list[Finished] = []
        self._closed = False

    def submit(self, key: str, job: dict[str, Any], deadline: int) -> None:
        with self._lock:
            if self._closed or key in self._channels or any(one.key == key for one in self._queue):
                return
            heapq.heappush(self._queue, _Queued(deadline, next(self._serial), key, job))
            self._make_way()
            self._fill()

    def poll(self) -> list[Finished]:
        with self._lock:
            finished, self._finished = self._finished, []
        return finished

    def active(self, key: str) -> bool:
        """Queued, running, or finished and not yet polled."""
        with self._lock:
            return (
                key in self._channels
                or any(one.key == key for one in self._queue)
                or any(one.key == key for one in self._finished)
            )

    def keys(self) -> set[str]:
        """Jobs that are queued or running."""
        with self._lock:
            return {*self._channels, *(one.key for one in self._queue)}

    def queued(self) -> int:
        """How many jobs wait for a worker."""
        with self._lock:
            return len(self._queue)

    def progress(self) -> dict[str, Progress]:
        with self._lock:
            return dict(self._progress)

    def cancel(self, key: str) -> None:
        """End a job and its worker; nothing is reported for it."""
        with self._lock:
            self._queue = [one for one in self._queue if one.key != key]
            heapq.heapify(self._queue)
            if key in self._channels:
                self._cancelled.add(key)
                channel = self._channels[key]
                if channel is not None:
                    channel.kill()

    def close(self) -> None:
        """End all workers."""
        with self._lock:
            self._closed = True
            self._queue.clear()
            keys = list(self._channels)
        for key in keys:
            self.cancel(key)

    def _make_way(self) -> None:
        """Set aside the running job with the latest deadline, to begin anew later, where a queued one is due before it.

        Scores not committed in time can be slashed; a long training run that stands before them cannot.
        """
        if len(self._channels) < self._slots or not self._running:
            return
        last = max(self._running.values())
        if self._queue[0].deadline < last.deadline and last.key not in self._set_aside:
            log.info("job set aside: another is due before it", extra={"duty": last.key, "other": self._queue[0].key})
            self._set_aside.add(last.key)
            channel = self._channels[last.key]
            if channel is not None:
                channel.kill()

    def _fill(self) -> None:
        while self._queue and len(self._channels) < self._slots and not self._closed:
            one = heapq.heappop(self._queue)
            self._channels[one.key] = None
            self._running[one.key] = one
            self._progress[one.key] = Progress("starting", 0, 0, time.monotonic())
            threading.Thread(target=self._run, args=(one,), name=f"job {one.key}", daemon=True).start()

    def _run(self, one: _Queued) -> None:
        try:
            outcome = self._work(one)
        except WorkerDied as error:
            outcome = Finished(one.key, None, Failure(str(error), retry=True))
        except OSError as error:  # no log can be written for it, or no process started
            outcome = Finished(one.key, None, Failure(f"no worker: {error}", retry=True, disk_full=is_full(error)))
        except Exception as error:  # a fault of ours must not end the thread without a word
            log.exception("job %s", one.key)
            outcome = Finished(one.key, None, Failure(f"{type(error).__name__}: {error}", retry=True))
        with self._lock:
            self._channels.pop(one.key, None)
            self._running.pop(one.key, None)
            self._progress.pop(one.key, None)
            if one.key in self._set_aside:
                self._set_aside.discard(one.key)
                if outcome.result is None and one.key not in self._cancelled and not self._closed:
                    heapq.heappush(self._queue, one)
                    self._fill()
                    return
            if one.key in self._cancelled:
                self._cancelled.discard(one.key)
            else:
                self._finished.append(outcome)
            self._fill()

    def _work(self, one: _Queued) -> Finished:
        channel = self._open(one.key)
        with self._lock:
            self._channels[one.key] = channel
            if one.key in self._cancelled or one.key in self._set_aside or self._closed:
                channel.kill()
        try:
            return self._talk(channel, one)
        finally:
            with self._lock:
                self._channels[one.key] = None  # from here on only this thread may touch it
            channel.close()

    def _open(self, key: str) -> Channel:
        if self._where.startswith("unix:"):
            return ForkServerChannel(Path(self._where.removeprefix("unix:")))
        self._log_folder.mkdir(parents=True, exist_ok=True)
        return SubprocessChannel(self._log_folder / f"{key.replace('/', '-')}.log", self._limits.threads, self._argv)

    def _talk(self, channel: Channel, one: _Queued) -> Finished:
        started = heard = looked = time.monotonic()
        channel.send({"id": one.key, "job": one.job})
        while True:
            line, now = channel.receive(_LOOK_SECONDS), time.monotonic()
            if now - looked >= _LOOK_SECONDS:  # however much it talks
                looked = now
                self._keep_limits(channel, now - started, now - heard)
            if line is None:
                continue
            heard = now
            match _parse(line):
                case {"type": "progress", "stage": str(stage), "done": int(done), "total": int(total)}:
                    with self._lock:
                        self._progress[one.key] = Progress(stage, done, total, started)
                case {"type": "result", "result": dict(result)}:
                    return Finished(one.key, result, None)
                case {"type": "error", "message": str(message), "retry": bool(retry), **rest}:
                    return Finished(one.key, None, Failure(message, retry, rest.get("kind") == "disk_full"))
                case {"type": "hello"}:
                    pass
                case _:
                    log.debug("job %s: not understood: %s", one.key, line[:200])

    def _keep_limits(self, channel: Channel, ran: float, silent: float) -> None:
        """End a worker that takes too long, says nothing any more, or uses too much memory."""
        limits = self._limits
        if ran > limits.seconds:
            channel.kill()
            raise WorkerDied(f"no result within {limits.seconds:g} s")
        if silent > limits.silent_seconds:
            channel.kill()
            raise WorkerDied(f"not a word for {limits.silent_seconds:g} s")
        pid = channel.pid
        if pid is not None and (used := resident_bytes(pid)) > limits.memory_bytes:
            channel.kill()
            raise WorkerDied(f"{used >> 20} MiB resident, more than the limit of {limits.memory_bytes >> 20} MiB")


def _parse(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}
