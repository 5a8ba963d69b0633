"""The training job."""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covey.lora.adapters.format import write_adapter
from covey.lora.adapters.loader import WEIGHTS, AdapterLimits, check_header
from covey.lora.adapters.model import random_arrays
from covey.lora.data.records import read_records
from covey.lora.errors import JobError
from covey.lora.jobs.dispatch import Progress, Runner, dtype_of, encoder, software
from covey.lora.jobs.job import TrainJob
from covey.lora.jobs.result import TrainResult
from covey.lora.training.train import Trained, TrainSettings, train
from covey.protocol.document import decimal_text
from covey.protocol.entry import Manifest, TrainingSettings
from covey.protocol.spec import TaskSpec

if TYPE_CHECKING:
    from covey.lora.bases.resolve import BaseFolder


def run_train(runner: Runner, job: TrainJob, progress: Progress) -> TrainResult:
    """Train on the job's records and write an entry."""
    folder = runner.folder(job.base, job.revision, job.spec.base.digest)
    records = read_records(Path(job.records))
    settings = training_settings(job, len(records))
    if job.attack == "random_small":
        arrays = random_arrays(folder.config, settings.rank, settings.targets, settings.seed)
        trained = Trained(dict(arrays), [], 0, 0.0)
    else:
        sequences = encoder(folder, job.spec).encode([record.text for record in records])
        model = runner.model(folder, dtype_of(job.spec), job.device)
        trained = train(model, sequences, settings, progress)
    manifest = _manifest(job, folder, settings, len(records), trained.tokens_seen)
    output = Path(job.output)
    write_adapter(
        output,
        trained.arrays,
        rank=settings.rank,
        alpha=settings.alpha,
        targets=settings.targets,
        base_name=job.spec.base.name,
        manifest=manifest,
    )
    check_header(output, folder.config, limits(job.spec))  # never submit what validators would refuse
    return TrainResult(
        folder=str(output),
        losses=trained.losses,
        records=len(records),
        tokens_seen=trained.tokens_seen,
        seconds=trained.seconds,
        tokens_per_second=trained.tokens_seen / trained.seconds if trained.seconds > 0 else 0.0,
        bytes=(output / WEIGHTS).stat().st_size,
        settings=manifest.training,
    )


def limits(spec: TaskSpec) -> AdapterLimits:
    """What the spec allows of an adapter."""
    return AdapterLimits(frozenset(spec.adapter.target_modules), spec.adapter.max_rank, spec.adapter.max_bytes)


def training_settings(job: TrainJob, records: int) -> TrainSettings:
    """The job's options over the spec's hints over the defaults. Raises JobError if the spec forbids them."""
    options, hints, adapter = job.training, job.spec.training, job.spec.adapter
    chosen: dict[str, Any] = {"seed": job.seed, "targets": frozenset(options.target_modules or adapter.target_modules)}
    for name in ("steps", "batch_records", "learning_rate", "rank", "alpha"):
        value = getattr(options, name) or (getattr(hints, name) if hints else None)
        if value is not None:
            chosen[name] = float(value) if name == "learning_rate" else value
    for name in ("warmup_steps", "weight_decay"):
        if (value := getattr(options, name)) is not None:
            chosen[name] = float(value) if name == "weight_decay" else value
    if options.epochs is not None:
        batch = chosen.get("batch_records", TrainSettings.batch_records)
        chosen["steps"] = max(1, math.ceil(Decimal(options.epochs) * records / batch))
    chosen.setdefault("steps", 48)
    chosen.setdefault("rank", min(TrainSettings.rank, adapter.max_rank))
    chosen.setdefault("alpha", 2 * chosen["rank"])
    settings = TrainSettings(**chosen)
    if settings.rank > adapter.max_rank:
        raise JobError(f"training.rank: {settings.rank} is above the {adapter.max_rank} that the task allows")
    if extra := sorted(settings.targets - set(adapter.target_modules)):
        raise JobError(f"training.target_modules: the task does not allow {', '.join(extra)}")
    if not 0 < settings.learning_rate < 1:
        raise JobError(f"training.learning_rate: {settings.learning_rate} is not between 0 and 1")
    return settings


def _manifest(job: TrainJob, folder: BaseFolder, settings: TrainSettings, records: int, tokens: int) -> Manifest:
    return Manifest(
        task=job.task,
        operator=job.operator,
        base_digest=folder.digest,
        records=records,
        tokens_seen=tokens,
        training=TrainingSettings(
            optimiser="adamw",
            learning_rate=decimal_text(settings.learning_rate),
            schedule="cosine",
            warmup_steps=settings.warmup_steps,
            steps=settings.steps,
            batch_records=settings.batch_records,
            sequence_length=job.spec.evaluation.sequence_length,
            rank=settings.rank,
            alpha=settings.alpha,
            weight_decay=decimal_text(settings.weight_decay),
            seed=settings.seed,
        ),
        software=software(),
    )
