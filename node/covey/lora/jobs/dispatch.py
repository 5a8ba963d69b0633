"""Runs jobs: a typed job in, a typed result out, everything else in files. Imports torch when the first job needs it.

A :class:`Runner` keeps its base model in memory from job to job.
"""

from __future__ import annotations

import platform
import resource
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from covey.lora.bases.resolve import BaseFolder, resolve
from covey.lora.data.records import Encoder, end_of_text_id
from covey.lora.jobs.job import EvaluateJob, Job, ProbeJob, ScoreJob, TrainJob
from covey.lora.jobs.result import EvaluateResult, ProbeResult, Result, ScoreResult, TrainResult
from covey.protocol.sheet import DType, Profile
from covey.protocol.spec import TaskSpec

if TYPE_CHECKING:
    from covey.lora.adapters.model import AdaptedModel

Progress = Callable[[str, int, int], None]


def no_progress(phase: str, done: int, total: int) -> None:
    """Ignore progress."""


class Runner:
    """Runs jobs one after another and keeps the bases they used resident."""

    def __init__(self, default_threads: int | None = None) -> None:
        self.default_threads = default_threads
        self._models: dict[tuple[str, str, str], AdaptedModel] = {}
        self._folders: dict[tuple[str, str], tuple[tuple[Any, ...], BaseFolder]] = {}

    @overload
    def run(self, job: TrainJob, progress: Progress = ...) -> TrainResult: ...
    @overload
    def run(self, job: ScoreJob, progress: Progress = ...) -> ScoreResult: ...
    @overload
    def run(self, job: EvaluateJob, progress: Progress = ...) -> EvaluateResult: ...
    @overload
    def run(self, job: ProbeJob, progress: Progress = ...) -> ProbeResult: ...
    def run(self, job: Job, progress: Progress = no_progress) -> Result:
        """Run a job of any kind. Raises LoraError if the job, its files or this machine's set-up is at fault."""
        if isinstance(job, ProbeJob):
            return ProbeResult(profile=profile("cpu", "float32"))
        self._limit(job)
        if isinstance(job, TrainJob):
            from covey.lora.training.run_train import run_train

            return run_train(self, job, progress)
        from covey.lora.scoring.run_score import run_evaluate, run_score

        if isinstance(job, ScoreJob):
            return run_score(self, job, progress)
        return run_evaluate(self, job, progress)

    def folder(self, source: str, revision: str = "", digest: str | None = None) -> BaseFolder:
        """The base's folder, its digest computed anew only when a file has changed."""
        known = self._folders.get((source, revision))
        if known is not None and known[0] == _stamp(known[1].folder) and digest in (None, known[1].digest):
            return known[1]
        found = resolve(source, revision, digest=digest)
        self._folders[source, revision] = (_stamp(found.folder), found)
        return found

    def model(self, folder: BaseFolder, dtype: str, device: str) -> AdaptedModel:
        """The adapted model of a base, loaded at first use."""
        from covey.lora.adapters.model import AdaptedModel
        from covey.lora.bases.load import load_base

        key = (folder.digest, dtype, device)
        if key not in self._models:
            self._models.clear()  # one resident base at a time: the next may need the memory
            self._models[key] = AdaptedModel(load_base(folder, dtype, device))
        return self._models[key]

    def preload(self, source: str, dtype: str = "bfloat16", device: str = "cpu") -> None:
        """Load a base before the first job asks for it."""
        self.model(self.folder(source), dtype, device)

    def forget(self) -> None:
        """Drop the resident bases, for instance after memory ran out."""
        self._models.clear()

    def _limit(self, job: TrainJob | ScoreJob | EvaluateJob) -> None:
        import torch

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = hard if job.memory_mb is None else job.memory_mb << 20
        if hard != resource.RLIM_INFINITY:
            wanted = min(wanted, hard) if wanted != resource.RLIM_INFINITY else hard
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
        threads = job.threads or self.default_threads
        if threads is not None and torch.get_num_threads() != threads:
            torch.set_num_threads(threads)


def dtype_of(spec: TaskSpec) -> DType:
    """The type a spec's base is computed in: float32 where it says so, else as stored (bfloat16)."""
    if spec.evaluation.profile == "cpu-float32" or spec.base.upcast == "float32":
        return "float32"
    return "bfloat16"


def encoder(folder: BaseFolder, spec: TaskSpec) -> Encoder:
    """The base's tokenizer, cutting records to the spec's sequence length."""
    return Encoder(folder.folder, end_of_text_id(folder.config), spec.evaluation.sequence_length)


def profile(device: str, dtype: DType) -> Profile:
    """Software and hardware that computed something."""
    import torch

    name = torch.cuda.get_device_name() if device.startswith("cuda") else f"{platform.machine()} cpu"
    return Profile(device=name, dtype=dtype, threads=torch.get_num_threads(), software=software())


def software() -> dict[str, str]:
    """Versions of the packages that decide a number's last digits."""
    return {
        "python": platform.python_version(),
        "torch": version("torch"),
        "transformers": version("transformers"),
        "tokenizers": version("tokenizers"),
    }


def _stamp(folder: Path) -> tuple[Any, ...]:
    return tuple(sorted((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in folder.iterdir()))
