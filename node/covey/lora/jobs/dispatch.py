"""Runs jobs of any kind: a typed job in, a typed result out, everything else in files.

Imports torch when the first job needs it.
"""

from __future__ import annotations

import contextlib
import gc
import re
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import overload

from covey.lora.bases.device import choose_device
from covey.lora.jobs.job import EvaluateJob, Job, ProbeJob, ScoreJob, TrainJob
from covey.lora.jobs.result import EvaluateResult, ProbeResult, Result, ScoreResult, TrainResult
from covey.lora.jobs.runtime import BaseCache, profile
from covey.lora.types import Progress, no_progress

_RESERVE = 16 << 20  # bytes below a memory limit without which not even a small job can run


class Runner:
    """Runs jobs one after another and keeps the base model in memory between them."""

    def __init__(self, default_threads: int | None = None) -> None:
        self.default_threads = default_threads
        self._bases = BaseCache()

    @overload
    def run(self, job: TrainJob, progress: Progress = ...) -> TrainResult: ...
    @overload
    def run(self, job: ScoreJob, progress: Progress = ...) -> ScoreResult: ...
    @overload
    def run(self, job: EvaluateJob, progress: Progress = ...) -> EvaluateResult: ...
    @overload
    def run(self, job: ProbeJob, progress: Progress = ...) -> ProbeResult: ...
    @overload
    def run(self, job: Job, progress: Progress = ...) -> Result: ...
    def run(self, job: Job, progress: Progress = no_progress) -> Result:
        """Run a job. Raises LoraError if the job, its files or this machine's set-up is at fault.

        Raises MemoryError if this process already holds as much memory as the job may use.
        """
        if isinstance(job, ProbeJob):
            return _probe(job.device)
        self._set_threads(job)
        on_cpu = choose_device(job.device).type == "cpu"  # a GPU's driver maps more memory than it uses
        with memory_limit(job.memory_mb if on_cpu else None):
            return self._run(job, progress)

    def _run(self, job: TrainJob | ScoreJob | EvaluateJob, progress: Progress) -> Result:
        if isinstance(job, TrainJob):
            from covey.lora.jobs.run_train import run_train

            return run_train(self._bases, job, progress)
        if isinstance(job, ScoreJob):
            from covey.lora.jobs.run_score import run_score

            return run_score(self._bases, job, progress)
        from covey.lora.jobs.run_evaluate import run_evaluate

        return run_evaluate(self._bases, job, progress)

    def preload(self, source: str, dtype: str = "float32", device: str = "cpu") -> None:
        """Load a base before the first job needs it. Raises BaseModelError."""
        self._bases.model(self._bases.folder(source), dtype, device)

    def release(self) -> None:
        """Drop the base model from memory, and what a failed job has left in circles of references."""
        self._bases.clear()
        gc.collect()

    def _set_threads(self, job: TrainJob | ScoreJob | EvaluateJob) -> None:
        """Set the number of threads, also where it is the same: a forked process replaces its pool of threads then.

        Otherwise the threads that load a base would replace it, each for itself, and one that finds none there fails
        with "pool INTERNAL ASSERT FAILED".
        """
        import torch

        torch.set_num_threads(job.threads or self.default_threads or torch.get_num_threads())


@contextlib.contextmanager
def memory_limit(megabytes: int | None) -> Iterator[None]:
    """Limit the memory of this process (RLIMIT_DATA) during a job; None keeps the limit that the process has.

    The earlier limit holds again at the end, so that the process can report the job's error and read the next request
    even where the job has left no memory below its limit. Raises MemoryError if the process already holds that much:
    the libraries written in Rust abort the process where they get no memory, and a job would soon need some there.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if megabytes is None:
        yield
        return
    limit = megabytes << 20
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    if (held := data_bytes()) + _RESERVE >= limit:
        raise MemoryError(
            f"out of memory: the job may use {limit >> 20} MB, and the worker holds {held >> 20} MB before it"
        )
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def data_bytes() -> int:
    """The memory of this process that counts towards RLIMIT_DATA; 0 where the system does not say."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:  # not Linux
        return 0
    found = re.search(r"^VmData:\s+(\d+) kB$", status, re.MULTILINE)
    return 0 if found is None else int(found[1]) << 10


def _probe(device: str) -> ProbeResult:
    """Compute something small on the device. Raises BaseModelError if there is no such device."""
    import torch

    torch.ones(8, 8, device=choose_device(device)).matmul(torch.ones(8, 8, device=choose_device(device))).sum().item()
    return ProbeResult(profile=profile(device, "float32"))
