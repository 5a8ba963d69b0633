"""Strategies of the demo's dishonest participants. The rest of their nodes is the real daemon."""

from __future__ import annotations

from covey.daemon.strategy import Strategy
from covey.devnet.scenario import LAZY_SCORE, PASSES, Behaviour
from covey.lora.jobs.job import ScoreJob, TrainingOptions, TrainJob
from covey.lora.jobs.result import ScoreResult
from covey.protocol.sheet import LaneScore, Profile, Sample


class Seeded(Strategy):
    """Honest, with a fixed training seed and number of epochs, so that runs are comparable."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def training_job(self, job: TrainJob) -> TrainJob:
        """See `Strategy.training_job`."""
        return job.model_copy(update={"seed": self._seed, "training": TrainingOptions(epochs=PASSES)})


class RandomWeights(Seeded):
    """Submits small random weights instead of training."""

    def training_job(self, job: TrainJob) -> TrainJob:
        """See `Strategy.training_job`."""
        return super().training_job(job).model_copy(update={"attack": "random_small"})


class ConstantScores(Strategy):
    """Gives every entry the same score, without running the model."""

    def scoring_result(self, job: ScoreJob) -> ScoreResult | None:
        """See `Strategy.scoring_result`."""
        return constant_result(job, LAZY_SCORE)


def strategy_of(behaviour: Behaviour, seed: int) -> Strategy:
    """The strategy for a behaviour; `seed` is the training seed."""
    if behaviour == Behaviour.RANDOM_WEIGHTS:
        return RandomWeights(seed)
    if behaviour == Behaviour.CONSTANT_SCORES:
        return ConstantScores()
    return Seeded(seed)


def constant_result(job: ScoreJob, score: int) -> ScoreResult:
    """The result of a scoring job in which every entry has `score`, without running a model."""
    lanes = sorted(adapter.lane for adapter in job.adapters)
    return ScoreResult(
        entries=[LaneScore(lane=lane, score=score, verdict="scored") for lane in lanes],
        strata=[
            Sample(name=stratum.name, records=stratum.min_records, tokens=stratum.min_tokens)
            for stratum in job.spec.strata
        ],
        profile=Profile(device="none", dtype="float32"),
    )
