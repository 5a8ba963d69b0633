"""Runs an evaluation job: the true improvement of adapters on a common set of records."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from covey.lora.adapters.loader import load_adapter
from covey.lora.adapters.refusal import UnsafeAdapterError
from covey.lora.data.records import read_records
from covey.lora.data.sample import stratified_sizes
from covey.lora.errors import DataError
from covey.lora.jobs.held_out import prepare, stratum_weights
from covey.lora.jobs.job import EvaluateJob
from covey.lora.jobs.result import Bootstrap, EvaluateResult
from covey.lora.jobs.run_score import NOT_FINITE
from covey.lora.jobs.runtime import BaseCache, adapter_limits
from covey.lora.scoring.bootstrap import score_spread
from covey.lora.scoring.score import base_nll, improvement, record_nll
from covey.lora.types import Losses, Progress
from covey.protocol import quantise


def run_evaluate(bases: BaseCache, job: EvaluateJob, progress: Progress) -> EvaluateResult:
    """Evaluate adapters on all records of the job's strata, without rounding and without a subsample."""
    began = time.monotonic()
    weights = stratum_weights(job.spec)
    records = [record for record in read_records(Path(job.records)) if record.stratum in weights]
    if missing := sorted(weights.keys() - {record.stratum for record in records}):
        raise DataError(f"{job.records} has no record of stratum {missing[0]!r}: give a set with all strata")
    folder, model, held_out = prepare(bases, job, records)
    base = base_nll(model, held_out)  # (records,)
    overall: dict[str, float] = {}
    strata: dict[str, dict[str, float]] = {}
    refused: dict[str, str] = {}
    losses_by_name: dict[str, Losses] = {}
    for number, entry in enumerate(job.adapters):
        try:
            adapter = load_adapter(Path(entry.folder), folder.config, adapter_limits(job.spec))
        except UnsafeAdapterError as error:
            refused[entry.name] = str(error)
            continue
        losses = record_nll(model, adapter, held_out)  # (records,)
        if np.isfinite(losses).all():
            overall[entry.name], strata[entry.name] = improvement(base, losses, held_out, weights)
            losses_by_name[entry.name] = losses
        else:
            refused[entry.name] = NOT_FINITE
        progress("evaluate", number + 1, len(job.adapters))
    scores = {name: quantise.score(value) for name, value in overall.items()}
    bootstrap = None
    if job.bootstrap_records is not None:
        useful = [losses for name, losses in losses_by_name.items() if scores[name] >= job.spec.scoring.floor]
        labels = [record.stratum for record in records]
        bootstrap = _bootstrap(base, useful, labels, weights, job.bootstrap_records)
    sums, counts = held_out.sums(base), held_out.counts()
    return EvaluateResult(
        improvement=overall,
        strata=strata,
        scores=scores,
        refused=refused,
        base_loss={name: sums[name] / counts[name][1] for name in sorted(sums)},
        records=len(records),
        tokens=int(held_out.tokens.sum()),
        seconds=time.monotonic() - began,
        bootstrap=bootstrap,
    )


def _bootstrap(
    base: Losses, adapters: list[Losses], labels: list[str], weights: dict[str, float], records: int
) -> Bootstrap:
    """Spread of the adapters' scores between samples of ``records`` records."""
    if not adapters:
        raise DataError("no adapter scores above the floor, so none can be resampled: give trained adapters")
    spread = score_spread(base, adapters, labels, weights, stratified_sizes(weights, records))
    return Bootstrap(
        samples=spread.samples,
        records=spread.records,
        spread=spread.spread,
        spreads=list(spread.spreads),
        h=spread.h,
        tau=spread.tau,
    )
