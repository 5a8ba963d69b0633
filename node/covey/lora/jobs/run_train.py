"""Runs a training job."""

from __future__ import annotations

from pathlib import Path

from covey.lora.adapters.export import write_adapter
from covey.lora.adapters.format import WEIGHTS
from covey.lora.adapters.loader import check_header
from covey.lora.adapters.model import random_arrays
from covey.lora.data.records import read_records
from covey.lora.jobs.feasible import training_settings
from covey.lora.jobs.job import TrainJob
from covey.lora.jobs.result import TrainResult
from covey.lora.jobs.runtime import BaseCache, adapter_limits, compute_dtype, encoder
from covey.lora.training.settings import TrainSettings
from covey.lora.training.train import Trained, train
from covey.lora.types import Progress
from covey.protocol.document import decimal_text
from covey.protocol.entry import Manifest, TrainingSettings


def run_train(bases: BaseCache, job: TrainJob, progress: Progress) -> TrainResult:
    """Train on the job's records and write an entry. Raises LoraError."""
    folder = bases.folder(job.base, job.revision, job.spec.base.digest)
    records = read_records(Path(job.records))
    settings = training_settings(job.spec, job.training, len(records), job.seed)
    if job.attack == "random_small":
        arrays = random_arrays(folder.config, settings.rank, settings.targets, settings.seed)
        trained = Trained(dict(arrays), [], 0, 0.0)
    else:
        sequences = encoder(folder, job.spec).encode([record.text for record in records])
        model = bases.model(folder, compute_dtype(job.spec), job.device)
        trained = train(model, sequences, settings, progress)
    # Only what scoring needs is published: not the number of records and tokens, the seed or the software.
    manifest = Manifest(task=job.task, operator=job.operator, base_digest=folder.digest)
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
    check_header(output, folder.config, adapter_limits(job.spec))  # never submit an entry that validators would refuse
    return TrainResult(
        folder=str(output),
        losses=trained.losses,
        records=len(records),
        tokens_seen=trained.tokens_seen,
        seconds=trained.seconds,
        tokens_per_second=trained.tokens_seen / trained.seconds if trained.seconds > 0 else 0.0,
        bytes=(output / WEIGHTS).stat().st_size,
        settings=_statement(settings, job.spec.evaluation.sequence_length),
    )


def _statement(settings: TrainSettings, sequence_length: int) -> TrainingSettings:
    """The settings in the form of a manifest. For this operator: the entry does not publish them."""
    return TrainingSettings(
        optimiser="adamw",
        learning_rate=decimal_text(settings.learning_rate),
        schedule="cosine",
        warmup_steps=settings.warmup_steps,
        steps=settings.steps,
        batch_records=settings.batch_records,
        sequence_length=sequence_length,
        rank=settings.rank,
        alpha=settings.alpha,
        weight_decay=decimal_text(settings.weight_decay),
        seed=settings.seed,
    )
