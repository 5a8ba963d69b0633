"""How the demonstration's cheats cheat. Everything else about their nodes is the real daemon."""

from __future__ import annotations

from typing import Any

from covey.daemon.strategy import Strategy
from covey.devnet.scenario import LAZY_SCORE, PASSES, Behaviour


class Seeded(Strategy):
    """Honest, with a training seed and length of the demonstration's choice, so that runs can be compared."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def training_job(self, job: dict[str, Any]) -> dict[str, Any]:
        """See `Strategy.training_job`."""
        return {**job, "seed": self._seed, "training": {"epochs": PASSES}}


class RandomWeights(Seeded):
    """Does not train: submits small random weights."""

    def training_job(self, job: dict[str, Any]) -> dict[str, Any]:
        """See `Strategy.training_job`."""
        return {**super().training_job(job), "attack": "random_small"}


class ConstantScores(Strategy):
    """Does not score: gives every entry the same."""

    def scoring_result(self, job: dict[str, Any]) -> dict[str, Any] | None:
        """See `Strategy.scoring_result`."""
        return constant_result(job, LAZY_SCORE)


def strategy_of(behaviour: Behaviour, seed: int) -> Strategy:
    """The strategy of a participant; `seed` is for its training."""
    if behaviour == Behaviour.RANDOM_WEIGHTS:
        return RandomWeights(seed)
    if behaviour == Behaviour.CONSTANT_SCORES:
        return ConstantScores()
    return Seeded(seed)


def constant_result(job: dict[str, Any], score: int) -> dict[str, Any]:
    """What a scoring job would answer if every entry had `score`, without running a model."""
    strata = job["spec"]["strata"]
    return {
        "entries": [{"lane": adapter["lane"], "score": score, "verdict": "scored"} for adapter in job["adapters"]],
        "strata": [{"name": one["name"], "records": one["min_records"], "tokens": one["min_tokens"]} for one in strata],
        "profile": {"device": "none", "dtype": "float32", "threads": 1, "software": {}},
    }
