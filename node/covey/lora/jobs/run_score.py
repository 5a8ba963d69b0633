"""Runs a scoring job: one row of scores on a fresh subsample of held-out records."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from covey.lora.adapters import similarity
from covey.lora.adapters.format import Adapter
from covey.lora.adapters.loader import check_manifest, load_adapter
from covey.lora.adapters.model import AdaptedModel
from covey.lora.adapters.refusal import UnsafeAdapterError
from covey.lora.bases.resolve import BaseFolder
from covey.lora.data.records import read_records
from covey.lora.jobs.held_out import add_tokens, draw_sample, prepare, stratum_weights
from covey.lora.jobs.job import ScoredAdapter, ScoreJob
from covey.lora.jobs.result import Improvement, ScoreResult
from covey.lora.jobs.runtime import BaseCache, adapter_limits, compute_dtype, profile
from covey.lora.scoring.score import HeldOut, base_nll, improvement, record_nll
from covey.lora.types import Losses, Progress
from covey.protocol import quantise
from covey.protocol.document import PER, decimal_text
from covey.protocol.sheet import LaneScore, Sample, Verdict

NOT_FINITE = "not_finite: its weights give a loss that is not a number"


def run_score(bases: BaseCache, job: ScoreJob, progress: Progress) -> ScoreResult:
    """Score every entry on one fresh subsample, base and adapter on the same records.

    Only a fault of an entry's files gives it a score of 0. Every failure of this machine is raised.
    """
    began = time.monotonic()
    records = read_records(Path(job.records))
    sample = draw_sample(records, job.spec, job.seed)
    sample = add_tokens(sample, records, job, bases.folder(job.base, job.revision, job.spec.base.digest))
    folder, model, held_out = prepare(bases, job, sample)
    scorer = _Scorer(job, folder, model, held_out)
    for number, adapter in enumerate(job.adapters):
        scorer.score(adapter)
        progress("score", number + 1, len(job.adapters))
    return ScoreResult(
        entries=sorted(scorer.entries, key=lambda entry: entry.lane),
        strata=_samples(job, held_out, scorer.base),
        profile=profile(job.device, compute_dtype(job.spec)),
        seconds=time.monotonic() - began,
        private=scorer.private,
    )


def _samples(job: ScoreJob, held_out: HeldOut, base: Losses) -> list[Sample]:
    """Size of each stratum's sample, with the base's loss in a sealed task."""
    counts, sums = held_out.counts(), held_out.sums(base)
    sealed = job.spec.evaluation.source == "sealed"
    return [
        Sample(
            name=stratum.name,
            records=counts[stratum.name][0],
            tokens=counts[stratum.name][1],
            base_nll=decimal_text(sums[stratum.name]) if sealed else None,
        )
        for stratum in job.spec.strata
    ]


class _Scorer:
    """Scores the entries in order of commitment."""

    def __init__(self, job: ScoreJob, folder: BaseFolder, model: AdaptedModel, held_out: HeldOut) -> None:
        self.job, self.folder, self.model, self.held_out = job, folder, model, held_out
        self.weights = stratum_weights(job.spec)
        self.base = base_nll(model, held_out)  # (records,)
        self.entries: list[LaneScore] = []
        self.private: dict[int, Improvement] = {}
        self._earlier: list[tuple[str, Adapter, Losses | None]] = []
        for path in job.earlier:
            try:
                self._earlier.append((f"earlier entry {Path(path).name}", self._load(path), None))
            except UnsafeAdapterError:
                continue  # an entry that was refused then cannot have been copied

    def score(self, entry: ScoredAdapter) -> None:
        """Append the entry's score."""
        if entry.folder is None:
            self._append(entry, 0, "unavailable", "no source had the files")
            return
        try:
            if self.job.task is not None:
                check_manifest(Path(entry.folder), self.job.task, self.folder.digest, entry.operator)
            adapter = self._load(entry.folder)
        except UnsafeAdapterError as error:
            self._append(entry, 0, "invalid", str(error))
            return
        losses = record_nll(self.model, adapter, self.held_out)  # (records,)
        if not np.isfinite(losses).all():  # the base's losses on these records are finite: the file is at fault
            self._append(entry, 0, "invalid", NOT_FINITE)
            return
        overall, strata = improvement(self.base, losses, self.held_out, self.weights)
        self.private[entry.lane] = Improvement(improvement=overall, strata=strata)
        original = self._find_original(adapter, losses)
        self._earlier.append((f"lane {entry.lane}", adapter, losses))
        if original is not None:
            self._append(entry, quantise.NO_GAIN, "near-copy", f"near-copy of {original}")
            return
        score = quantise.score(overall)
        if self.job.spec.evaluation.source == "local":
            self._append(entry, quantise.round_score(score, self.job.spec.rounding_step), "scored")
        else:
            sums = self.held_out.sums(losses)
            adapter_nll = [decimal_text(sums[stratum.name]) for stratum in self.job.spec.strata]
            self._append(entry, score, "scored", adapter_nll=adapter_nll)

    def _append(
        self,
        entry: ScoredAdapter,
        score: int,
        verdict: Verdict,
        reason: str | None = None,
        adapter_nll: list[str] | None = None,
    ) -> None:
        if reason is not None:
            reason = "".join(char if char.isprintable() else "?" for char in reason)[:500]
        self.entries.append(
            LaneScore(lane=entry.lane, score=score, verdict=verdict, reason=reason, adapter_nll=adapter_nll)
        )

    def _load(self, folder: str) -> Adapter:
        return load_adapter(Path(folder), self.folder.config, adapter_limits(self.job.spec))

    def _find_original(self, adapter: Adapter, losses: Losses) -> str | None:
        """Name of the first earlier adapter that exceeds both near-copy thresholds of the spec, if any."""
        thresholds = self.job.spec.near_copy
        tokens = self.held_out.tokens  # (records,)
        for name, earlier, known_losses in self._earlier:
            if similarity.cosine(adapter, earlier) * PER < thresholds.cosine:
                continue
            earlier_losses = record_nll(self.model, earlier, self.held_out) if known_losses is None else known_losses
            correlation = similarity.change_correlation(self.base / tokens, losses / tokens, earlier_losses / tokens)
            if correlation * PER >= thresholds.correlation:
                return name
        return None
