"""Runs training and scoring jobs in worker processes with memory and time limits, over line-delimited JSON.

If a worker dies (out of memory, a CUDA assert, a segmentation fault, a hang), its job loses one attempt and nothing
else: the outcome is `Failure(retry=True)` and never a score. A worker is a new `python -m covey.lora.jobs.worker`, or a
child of a fork server that several daemons on one machine share.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from covey.daemon.storage.disk_space import is_full
from covey.daemon.workers.channels import (
    WORKER,
    Channel,
    ForkServerChannel,
    SubprocessChannel,
    WorkerDied,
    resident_bytes,
)
from covey.lora.errors import ResultError
from covey.lora.jobs.job import Job
from covey.lora.jobs.messages import ErrorMessage, Hello, ProgressMessage, Request, ResultMessage, parse_message
from covey.lora.jobs.result import Result

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.25  # between two checks of a worker's memory
_RESULT_PREFIX = b'{"type":"result"'


@dataclass(frozen=True, slots=True)
class Limits:
    """Resources of one worker. After `heartbeat_seconds` without output it counts as hung."""

    memory_bytes: int
    seconds: float
    threads: int
    heartbeat_seconds: float = 1800.0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job has no result. `retry`: the worker is at fault, so another attempt may succeed.

    `disk_full`: there was no space for the job's files, so the attempt does not count.
    `setup`: this node's records, base or device are at fault, so no such job can succeed.
    """

    message: str
    retry: bool
    disk_full: bool = False
    setup: bool = False


@dataclass(frozen=True, slots=True)
class Finished:
    """The outcome of a job: a result or a failure."""

    key: str
    result: Result | None
    failure: Failure | None


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a running job: `done` of `total` steps of `stage`."""

    stage: str
    done: int
    total: int
    started: float  # monotonic clock


class Executor(Protocol):
    """Runs jobs. All methods return at once."""

    def submit(self, key: str, job: Job, deadline: int) -> None:
        """Queue a job under `key`; no effect if the key is queued or running."""

    def poll(self) -> list[Finished]:
        """Outcomes since the last call."""
        ...

    def active(self, key: str) -> bool:
        """Whether the job is queued, running, or finished and not polled yet."""
        ...

    def keys(self) -> set[str]:
        """Keys of queued and running jobs."""
        ...

    def queued(self) -> int:
        """Number of jobs waiting for a worker."""
        ...

    def progress(self) -> dict[str, Progress]:
        """Progress of running jobs by key."""
        ...

    def cancel(self, key: str) -> None:
        """End a job and its worker without an outcome."""

    def close(self) -> None:
        """End all workers."""


@dataclass(order=True)
class _Queued:
    deadline: int
    serial: int
    key: str = field(compare=False)
    job: Job = field(compare=False)


class ProcessExecutor:
    """Runs up to `slots` jobs at a time in local worker processes, the earliest deadline first.

    Args:
        address: ``subprocess``, or ``unix:PATH`` of a fork server.
        argv: command of a worker subprocess.
    """

    def __init__(
        self, address: str, limits: Limits, log_folder: Path, slots: int = 1, argv: Sequence[str] = WORKER
    ) -> None:
        self._argv = argv
        self._address = address
        self._limits = limits
        self._log_folder = log_folder
        self._slots = slots
        self._lock = threading.Lock()
        self._serial = itertools.count()
        self._queue: list[_Queued] = []
        self._channels: dict[str, Channel | None] = {}
        self._running: dict[str, _Queued] = {}
        self._cancelled: set[str] = set()
        self._preempted: set[str] = set()
        self._progress: dict[str, Progress] = {}
        self._finished: list[Finished] = []
        self._closed = False

    def submit(self, key: str, job: Job, deadline: int) -> None:
        with self._lock:
            if self._closed or key in self._channels or any(request.key == key for request in self._queue):
                return
            heapq.heappush(self._queue, _Queued(deadline, next(self._serial), key, job))
            self._preempt()
            self._fill()

    def poll(self) -> list[Finished]:
        with self._lock:
            finished, self._finished = self._finished, []
        return finished

    def active(self, key: str) -> bool:
        with self._lock:
            return (
                key in self._channels
                or any(request.key == key for request in self._queue)
                or any(outcome.key == key for outcome in self._finished)
            )

    def keys(self) -> set[str]:
        with self._lock:
            return {*self._channels, *(request.key for request in self._queue)}

    def queued(self) -> int:
        with self._lock:
            return len(self._queue)

    def progress(self) -> dict[str, Progress]:
        with self._lock:
            return dict(self._progress)

    def cancel(self, key: str) -> None:
        with self._lock:
            self._queue = [request for request in self._queue if request.key != key]
            heapq.heapify(self._queue)
            if key in self._channels:
                self._cancelled.add(key)
                channel = self._channels[key]
                if channel is not None:
                    channel.kill()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._queue.clear()
            keys = list(self._channels)
        for key in keys:
            self.cancel(key)

    def _preempt(self) -> None:
        """Stop the running job with the latest deadline if a queued job is due before it; it restarts later.

        Scores that are not committed in time can be slashed, so they must not wait behind a long training run.
        """
        if len(self._channels) < self._slots or not self._running:
            return
        last = max(self._running.values())
        if self._queue[0].deadline < last.deadline and last.key not in self._preempted:
            log.info("job preempted", extra={"duty": last.key, "by": self._queue[0].key})
            self._preempted.add(last.key)
            channel = self._channels[last.key]
            if channel is not None:
                channel.kill()

    def _fill(self) -> None:
        while self._queue and len(self._channels) < self._slots and not self._closed:
            request = heapq.heappop(self._queue)
            self._channels[request.key] = None
            self._running[request.key] = request
            self._progress[request.key] = Progress("starting", 0, 0, time.monotonic())
            threading.Thread(target=self._run, args=(request,), name=f"job {request.key}", daemon=True).start()

    def _run(self, request: _Queued) -> None:
        key = request.key
        try:
            outcome = self._work(request)
        except WorkerDied as error:
            outcome = Finished(key, None, Failure(str(error), retry=True))
        except OSError as error:  # no log file could be created, or no process started
            outcome = Finished(key, None, Failure(f"no worker: {error}", retry=True, disk_full=is_full(error)))
        except Exception as error:  # a bug here must not end the thread without an outcome
            log.exception("job %s", key)
            outcome = Finished(key, None, Failure(f"{type(error).__name__}: {error}", retry=True))
        with self._lock:
            self._channels.pop(key, None)
            self._running.pop(key, None)
            self._progress.pop(key, None)
            if key in self._preempted:
                self._preempted.discard(key)
                if outcome.result is None and key not in self._cancelled and not self._closed:
                    heapq.heappush(self._queue, request)
                    self._fill()
                    return
            if key in self._cancelled:
                self._cancelled.discard(key)
            else:
                self._finished.append(outcome)
            self._fill()

    def _work(self, request: _Queued) -> Finished:
        key = request.key
        channel = self._open(key)
        with self._lock:
            self._channels[key] = channel
            if key in self._cancelled or key in self._preempted or self._closed:
                channel.kill()
        try:
            return self._converse(channel, request)
        finally:
            with self._lock:
                self._channels[key] = None  # from here on only this thread uses the channel
            channel.close()

    def _open(self, key: str) -> Channel:
        if self._address.startswith("unix:"):
            return ForkServerChannel(Path(self._address.removeprefix("unix:")))
        self._log_folder.mkdir(parents=True, exist_ok=True)
        return SubprocessChannel(self._log_folder / f"{key.replace('/', '-')}.log", self._limits.threads, self._argv)

    def _converse(self, channel: Channel, request: _Queued) -> Finished:
        """Send the job and read lines until its result or error."""
        key = request.key
        started = last_line = last_check = time.monotonic()
        channel.send(Request(id=key, job=request.job).to_line())
        while True:
            line, now = channel.receive(_POLL_SECONDS), time.monotonic()
            if now - last_check >= _POLL_SECONDS:  # also while lines keep coming
                last_check = now
                self._enforce_limits(channel, now - started, now - last_line)
            if line is None:
                continue
            last_line = now
            try:
                message = parse_message(line)
            except ResultError as error:
                if line.startswith(_RESULT_PREFIX):
                    raise WorkerDied(f"the worker returned a malformed result: {error}") from None
                log.debug("job %s: unexpected line: %s", key, line[:200])  # printed by a library
                continue
            match message:
                case ProgressMessage(stage=stage, done=done, total=total):
                    with self._lock:
                        self._progress[key] = Progress(stage, done, total, started)
                case ResultMessage(result=result):
                    return Finished(key, result, None)
                case ErrorMessage(message=text, retry=retry, kind=kind):
                    return Finished(key, None, Failure(text, retry, kind == "disk_full", kind == "bad_setup"))
                case Hello():
                    pass

    def _enforce_limits(self, channel: Channel, ran: float, silent: float) -> None:
        """Kill a worker that runs too long, is silent too long, or uses too much memory. Raises WorkerDied."""
        limits = self._limits
        if ran > limits.seconds:
            channel.kill()
            raise WorkerDied(f"no result within {limits.seconds:g} s")
        if silent > limits.heartbeat_seconds:
            channel.kill()
            raise WorkerDied(f"no output for {limits.heartbeat_seconds:g} s")
        pid = channel.pid
        if pid is not None and (used := resident_bytes(pid)) > limits.memory_bytes:
            channel.kill()
            raise WorkerDied(f"{used >> 20} MiB resident, more than the limit of {limits.memory_bytes >> 20} MiB")
