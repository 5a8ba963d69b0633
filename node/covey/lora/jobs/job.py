"""Jobs of a worker process: strict frozen types, JSON at process borders. Does not import torch.

All paths are on the worker's machine.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from covey.lora.errors import JobError
from covey.protocol.document import AddressHex, DecimalText, Positive, Strict, describe_errors
from covey.protocol.entry import TaskReference
from covey.protocol.spec import TaskSpec

Device = Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:[0-9]{1,2})?)$")]
"""Where to compute; `auto` is the first GPU, or the CPU where there is none."""


class _Job(Strict):
    """Fields common to jobs that need a base model and records."""

    base: str = "tiny"
    """Location of the spec's base: `tiny`, a folder or a hub name. Its digest must be the spec's."""
    revision: str = ""
    spec: TaskSpec
    records: str
    """JSON Lines file of records."""
    device: Device = "cpu"
    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    memory_mb: Annotated[int, Field(ge=256)] | None = None
    """Memory limit of the worker process, MiB."""


class TrainingOptions(Strict):
    """Hyperparameters. Options left out come from the spec's hints, then from the defaults of `TrainSettings`."""

    steps: Positive | None = None
    epochs: DecimalText | None = None
    """Passes over the records, instead of steps."""
    batch_records: Positive | None = None
    learning_rate: DecimalText | None = None
    warmup_steps: Annotated[int, Field(ge=0)] | None = None
    weight_decay: DecimalText | None = None
    rank: Positive | None = None
    alpha: Positive | None = None
    target_modules: list[str] | None = None

    @model_validator(mode="after")
    def _one_length(self) -> TrainingOptions:
        if self.steps is not None and self.epochs is not None:
            raise ValueError("give steps or epochs, not both")
        return self


class TrainJob(_Job):
    """Train an adapter and write the three files of an entry."""

    kind: Literal["train"] = "train"
    output: str
    """Folder to write; created if missing."""
    task: TaskReference
    operator: AddressHex
    training: TrainingOptions = TrainingOptions()
    seed: Annotated[int, Field(ge=0, lt=1 << 53)] = 0
    attack: Literal["random_small"] | None = None
    """For demonstrations and tests: write small random weights instead of training."""


class ScoredAdapter(Strict):
    """An entry of the task to score."""

    lane: Annotated[int, Field(ge=0, le=0xFFFF)]
    folder: str | None
    """None if no source had the files."""
    operator: AddressHex | None = None
    """The operator that committed it; the manifest must name the same one. None skips the check."""


class ScoreJob(_Job):
    """Score all entries of a task on a fresh subsample of this machine's held-out records."""

    kind: Literal["score"] = "score"
    adapters: Annotated[list[ScoredAdapter], Field(min_length=1)]
    """In order of commitment: an entry can only copy earlier ones."""
    earlier: Annotated[list[str], Field(default_factory=list)]
    """Folders of adapters for this base that were revealed before the task's commits closed."""
    task: TaskReference | None = None
    """The task that the manifests must name; None skips the check of manifests."""
    seed: Annotated[str, Field(min_length=1)]
    """Seed of the subsample; fresh and secret for each task and round."""

    @model_validator(mode="after")
    def _distinct(self) -> ScoreJob:
        if len({adapter.lane for adapter in self.adapters}) != len(self.adapters):
            raise ValueError("two adapters have the same lane")
        return self


class NamedAdapter(Strict):
    """An adapter to evaluate, and its name in the result."""

    name: str
    folder: str


class EvaluateJob(_Job):
    """Measure the improvement of each adapter on all records, overall and per stratum, unrounded."""

    kind: Literal["evaluate"] = "evaluate"
    adapters: Annotated[list[NamedAdapter], Field(min_length=1)]
    bootstrap_records: Positive | None = None
    """If given, resample samples of this many records and recommend h and τ."""


class ProbeJob(Strict):
    """Report the worker's software and hardware, after a small computation on the device."""

    kind: Literal["probe"] = "probe"
    device: Device = "cpu"


Job = Annotated[TrainJob | ScoreJob | EvaluateJob | ProbeJob, Field(discriminator="kind")]
"""A job of any kind."""
_ANY_JOB: TypeAdapter[Job] = TypeAdapter(Job)


def parse_job(data: str | bytes) -> Job:
    """Validate a job in JSON. Raises JobError with the first error in one line."""
    try:
        return _ANY_JOB.validate_json(data)
    except ValidationError as error:
        raise JobError(describe_errors(error, "job")) from None
