"""Held-out records of a scoring or evaluation job, ready for a model."""

from __future__ import annotations

from collections.abc import Sequence

from covey.lora.adapters.model import AdaptedModel
from covey.lora.bases.resolve import BaseFolder
from covey.lora.data.records import Record
from covey.lora.data.sample import subsample, top_up
from covey.lora.errors import DataError
from covey.lora.jobs.job import EvaluateJob, ScoreJob
from covey.lora.jobs.runtime import BaseCache, compute_dtype, encoder
from covey.lora.scoring.score import HeldOut
from covey.protocol.spec import TaskSpec


def draw_sample(records: Sequence[Record], spec: TaskSpec, seed: str) -> list[Record]:
    """The records to score: all of a sealed set, a fresh stratified subsample of a local one.

    Raises DataError if there are fewer records than the spec requires.
    """
    if spec.evaluation.source == "sealed":
        strata = {stratum.name for stratum in spec.strata}
        return [record for record in records if record.stratum in strata]
    minimum = {stratum.name: stratum.min_records for stratum in spec.strata}
    sample = subsample(records, stratum_weights(spec), minimum, spec.evaluation.max_records, seed)
    if len(sample) < spec.evaluation.min_records:
        raise DataError(
            f"{len(sample)} held-out records in the task's strata, it needs {spec.evaluation.min_records}: add records"
        )
    return sample


def add_tokens(sample: Sequence[Record], records: Sequence[Record], job: ScoreJob, folder: BaseFolder) -> list[Record]:
    """The sample, with more records where a stratum lacks tokens. Raises DataError if there are too few."""
    tokens = encoder(folder, job.spec)
    minimum = {stratum.name: stratum.min_tokens for stratum in job.spec.strata}
    return top_up(sample, records, minimum, lambda chosen: tokens.count([record.text for record in chosen]), job.seed)


def stratum_weights(spec: TaskSpec) -> dict[str, float]:
    """The spec's weight of each stratum."""
    return {stratum.name: float(stratum.weight) for stratum in spec.strata}


def prepare(
    bases: BaseCache, job: ScoreJob | EvaluateJob, records: Sequence[Record]
) -> tuple[BaseFolder, AdaptedModel, HeldOut]:
    """The job's base, its model, and the records tokenised on the model's device."""
    folder = bases.folder(job.base, job.revision, job.spec.base.digest)
    model = bases.model(folder, compute_dtype(job.spec), job.device)
    sequences = encoder(folder, job.spec).encode([record.text for record in records])
    held_out = HeldOut(sequences, [record.stratum for record in records], model.base.device)
    return folder, model, held_out
