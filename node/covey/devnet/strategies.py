"""Strategies of the demo's dishonest participants. The rest of their nodes is the real daemon."""

from __future__ import annotations

from typing import Any

from covey.daemon.strategy import Strategy
from covey.devnet.scenario import LAZY_SCORE, PASSES, Behaviour


class Seeded(Strategy):
    """Honest, with a fixed training seed and number of epochs, so that runs are comparable."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def training_job(self, job: dict[str, Any]) -> dict[str, Any]:
        """See `Strategy.training_job`."""
        return {**job, "seed": self._seed, "training": {"epochs": PASSES}}


class RandomWeights(Seeded):
    """Submits small random weights instead of training."""

    def training_job(self, job: dict[str, Any]) -> dict[str, Any]:
        """See `Strategy.training_job`."""
        return {**super().training_job(job), "attack": "random_small"}


class ConstantScores(Strategy):
    """Gives every entry the same score, without running the model."""

    def scoring_result(self, job: dict[str, Any]) -> dict[str, Any] | None:
        """See `Strategy.scoring_result`."""
        return constant_result(job, LAZY_SCORE)


def strategy_of(behaviour: Behaviour, seed: int) -> Strategy:
    """The strategy for a behaviour; `seed` is the training seed."""
    if behaviour == Behaviour.RANDOM_WEIGHTS:
        return RandomWeights(seed)
    if behaviour == Behaviour.CONSTANT_SCORES:
        return ConstantScores()
    return Seeded(seed)


def constant_result(job: dict[str, Any], score: int) -> dict[str, Any]:
    """The result of a scoring job in which every entry has `score`, without running a model."""
    strata = job["spec"]["strata"]
    return {
        "entries": [{"lane": adapter["lane"], "score": score, "verdict": "scored"} for adapter in job["adapters"]],
        "strata": [
            {"name": stratum["name"], "records": stratum["min_records"], "tokens": stratum["min_tokens"]}
            for stratum in strata
        ],
        "profile": {"device": "none", "dtype": "float32", "threads": 1, "software": {}},
    }
