"""Runs jobs of any kind: a typed job in, a typed result out, everything else in files.

Imports torch when the first job needs it.
"""

from __future__ import annotations

import resource
from typing import overload

from covey.lora.jobs.job import EvaluateJob, Job, ProbeJob, ScoreJob, TrainJob
from covey.lora.jobs.result import EvaluateResult, ProbeResult, Result, ScoreResult, TrainResult
from covey.lora.jobs.runtime import BaseCache, profile
from covey.lora.types import Progress, no_progress


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
        """Run a job. Raises LoraError if the job, its files or this machine's set-up is at fault."""
        if isinstance(job, ProbeJob):
            return ProbeResult(profile=profile("cpu", "float32"))
        self._set_limits(job)
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
        """Drop the base model from memory."""
        self._bases.clear()

    def _set_limits(self, job: TrainJob | ScoreJob | EvaluateJob) -> None:
        """Apply the job's memory limit and number of threads to this process."""
        import torch

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        limit = hard if job.memory_mb is None else job.memory_mb << 20
        if hard != resource.RLIM_INFINITY:
            limit = min(limit, hard) if limit != resource.RLIM_INFINITY else hard
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
        threads = job.threads or self.default_threads
        if threads is not None and torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
