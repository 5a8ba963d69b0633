"""The scoring and evaluation jobs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from covey.lora.adapters import similarity
from covey.lora.adapters.loader import Adapter, UnsafeAdapterError, check_manifest, load_adapter
from covey.lora.adapters.model import AdaptedModel
from covey.lora.bases.resolve import BaseFolder
from covey.lora.data.records import Record, read_records, stratified_sizes, subsample
from covey.lora.errors import DataError
from covey.lora.jobs.dispatch import Progress, Runner, dtype_of, encoder, profile
from covey.lora.jobs.job import EvaluateJob, ScoredAdapter, ScoreJob
from covey.lora.jobs.result import Bootstrap, EvaluateResult, Improvement, ScoreResult
from covey.lora.scoring.bootstrap import score_spread
from covey.lora.scoring.score import HeldOut, Losses, base_nll, improvement, record_nll
from covey.lora.training.run_train import limits
from covey.protocol import quantise
from covey.protocol.document import PER, decimal_text
from covey.protocol.sheet import LaneScore, Sample, Verdict
from covey.protocol.spec import TaskSpec


def run_score(runner: Runner, job: ScoreJob, progress: Progress) -> ScoreResult:
    """Score every entry on one fresh subsample, base and adapter on the same records.

    Only an entry's own fault gives it a score of 0; every failure of this machine is raised.
    """
    began = time.monotonic()
    spec = job.spec
    records = draw(read_records(Path(job.records)), spec, job.seed)
    folder, model, held_out = _prepare(runner, job, records)
    counts = held_out.counts()
    for stratum in spec.strata:
        if (tokens := counts[stratum.name][1]) < stratum.min_tokens:
            raise DataError(f"stratum {stratum.name!r} has {tokens} tokens, needs {stratum.min_tokens}: add records")
    scorer = _Scorer(job, folder, model, held_out)
    scorer.base = base_nll(model, held_out)
    for number, adapter in enumerate(job.adapters):
        scorer.score(adapter)
        progress("score", number + 1, len(job.adapters))
    sealed = spec.evaluation.source == "sealed"
    sums = held_out.sums(scorer.base)
    return ScoreResult(
        entries=sorted(scorer.entries, key=lambda entry: entry.lane),
        strata=[
            Sample(
                name=stratum.name,
                records=counts[stratum.name][0],
                tokens=counts[stratum.name][1],
                base_nll=decimal_text(sums[stratum.name]) if sealed else None,
            )
            for stratum in spec.strata
        ],
        profile=profile(job.device, dtype_of(spec)),
        seconds=time.monotonic() - began,
        private=scorer.private,
    )


def draw(records: Sequence[Record], spec: TaskSpec, seed: str) -> list[Record]:
    """What to score: everything of a sealed set, a fresh stratified subsample of a local one.

    Raises DataError if the records are fewer than the spec demands.
    """
    named = {stratum.name for stratum in spec.strata}
    if spec.evaluation.source == "sealed":
        return [record for record in records if record.stratum in named]
    weights = {stratum.name: float(stratum.weight) for stratum in spec.strata}
    minimum = {stratum.name: stratum.min_records for stratum in spec.strata}
    chosen = subsample(records, weights, minimum, spec.evaluation.max_records, seed)
    if len(chosen) < spec.evaluation.min_records:
        raise DataError(
            f"{len(chosen)} held-out records in the task's strata, it needs {spec.evaluation.min_records}: add records"
        )
    return chosen


class _Scorer:
    """One pass over the entries in order of commitment."""

    def __init__(self, job: ScoreJob, folder: BaseFolder, model: AdaptedModel, held_out: HeldOut) -> None:
        self.job, self.folder, self.model, self.held_out = job, folder, model, held_out
        self.weights = {stratum.name: float(stratum.weight) for stratum in job.spec.strata}
        self.base: Losses = np.zeros(0)
        self.entries: list[LaneScore] = []
        self.private: dict[int, Improvement] = {}
        self._before: list[tuple[str, Adapter, Losses | None]] = []
        for path in job.earlier:
            try:
                self._before.append((f"earlier entry {Path(path).name}", self._load(path), None))
            except UnsafeAdapterError:
                continue  # what was no adapter then cannot have been copied

    def score(self, entry: ScoredAdapter) -> None:
        """Append the entry's line of the score sheet."""
        if entry.folder is None:
            self._line(entry, 0, "unavailable", "no source had the files")
            return
        try:
            if self.job.task is not None:
                check_manifest(Path(entry.folder), self.job.task, self.folder.digest, entry.operator)
            adapter = self._load(entry.folder)
        except UnsafeAdapterError as error:
            self._line(entry, 0, "invalid", str(error))
            return
        losses = record_nll(self.model, adapter, self.held_out)
        if not np.isfinite(losses).all():  # the base's are finite on the same records, so it is the file
            self._line(entry, 0, "invalid", "not_finite: its weights give a loss that is not a number")
            return
        overall, strata = improvement(self.base, losses, self.held_out, self.weights)
        self.private[entry.lane] = Improvement(improvement=overall, strata=strata)
        original = self._copied(adapter, losses)
        self._before.append((f"lane {entry.lane}", adapter, losses))
        if original is not None:
            self._line(entry, quantise.NO_GAIN, "near-copy", f"near-copy of {original}")
            return
        value = quantise.score(overall)
        sums = None
        if self.job.spec.evaluation.source == "local":
            value = quantise.round_score(value, self.job.spec.rounding_step)
        else:
            of_adapter = self.held_out.sums(losses)
            sums = [decimal_text(of_adapter[stratum.name]) for stratum in self.job.spec.strata]
        self._line(entry, value, "scored", None, sums)

    def _line(
        self, entry: ScoredAdapter, score: int, verdict: Verdict, reason: str | None, sums: list[str] | None = None
    ) -> None:
        if reason is not None:
            reason = "".join(c if c.isprintable() else "?" for c in reason)[:500]
        self.entries.append(LaneScore(lane=entry.lane, score=score, verdict=verdict, reason=reason, adapter_nll=sums))

    def _load(self, folder: str) -> Adapter:
        return load_adapter(Path(folder), self.folder.config, limits(self.job.spec))

    def _copied(self, adapter: Adapter, losses: Losses) -> str | None:
        """Name of the first earlier adapter that this one copies by the spec's two thresholds."""
        rule = self.job.spec.near_copy
        tokens = self.held_out.tokens
        for name, earlier, known in self._before:
            if similarity.cosine(adapter, earlier) * PER < rule.cosine:
                continue
            theirs = record_nll(self.model, earlier, self.held_out) if known is None else known
            correlation = similarity.change_correlation(self.base / tokens, losses / tokens, theirs / tokens)
            if correlation * PER >= rule.correlation:
                return name
        return None


def run_evaluate(runner: Runner, job: EvaluateJob, progress: Progress) -> EvaluateResult:
    """Evaluate adapters on all records, and resample the records where the job asks for it."""
    began = time.monotonic()
    weights = {stratum.name: float(stratum.weight) for stratum in job.spec.strata}
    records = [record for record in read_records(Path(job.records)) if record.stratum in weights]
    if missing := sorted(weights.keys() - {record.stratum for record in records}):
        raise DataError(f"{job.records} has no record of stratum {missing[0]!r}: give a set with all strata")
    folder, model, held_out = _prepare(runner, job, records)
    base = base_nll(model, held_out)
    overall: dict[str, float] = {}
    strata: dict[str, dict[str, float]] = {}
    refused: dict[str, str] = {}
    kept: list[tuple[str, Losses]] = []
    for number, entry in enumerate(job.adapters):
        try:
            adapter = load_adapter(Path(entry.folder), folder.config, limits(job.spec))
        except UnsafeAdapterError as error:
            refused[entry.name] = str(error)
            continue
        losses = record_nll(model, adapter, held_out)
        if np.isfinite(losses).all():
            overall[entry.name], strata[entry.name] = improvement(base, losses, held_out, weights)
            kept.append((entry.name, losses))
        else:
            refused[entry.name] = "not_finite: its weights give a loss that is not a number"
        progress("evaluate", number + 1, len(job.adapters))
    sums, counts = held_out.sums(base), held_out.counts()
    bootstrap = None
    if job.bootstrap_records is not None:
        useful = [losses for name, losses in kept if quantise.score(overall[name]) >= job.spec.scoring.floor]
        if not useful:
            raise DataError("no adapter above the floor to resample: give trained adapters")
        labels = [record.stratum for record in records]
        bootstrap = score_spread(base, useful, labels, weights, stratified_sizes(weights, job.bootstrap_records))
    return EvaluateResult(
        improvement=overall,
        strata=strata,
        scores={name: quantise.score(value) for name, value in overall.items()},
        refused=refused,
        base_loss={name: sums[name] / counts[name][1] for name in sorted(sums)},
        records=len(records),
        tokens=int(held_out.tokens.sum()),
        seconds=time.monotonic() - began,
        bootstrap=None
        if bootstrap is None
        else Bootstrap(
            samples=bootstrap.samples,
            records=bootstrap.records,
            spread=bootstrap.spread,
            spreads=list(bootstrap.spreads),
            h=bootstrap.h,
            tau=bootstrap.tau,
        ),
    )


def _prepare(
    runner: Runner, job: ScoreJob | EvaluateJob, records: Sequence[Record]
) -> tuple[BaseFolder, AdaptedModel, HeldOut]:
    folder = runner.folder(job.base, job.revision, job.spec.base.digest)
    model = runner.model(folder, dtype_of(job.spec), job.device)
    sequences = encoder(folder, job.spec).encode([record.text for record in records])
    held_out = HeldOut(sequences, [record.stratum for record in records], model.base.device)
    return folder, model, held_out
