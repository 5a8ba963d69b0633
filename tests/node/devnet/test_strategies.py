"""Strategies of the demo's dishonest participants."""

from __future__ import annotations

from covey.devnet import scenario
from covey.devnet.icd10 import STRATA
from covey.devnet.scenario import Behaviour
from covey.devnet.strategies import strategy_of
from covey.lora.bases.resolve import resolve
from covey.protocol.sheet import EntryScore, Profile, Sample


def test_dishonest_strategies_return_valid_jobs_and_results() -> None:
    spec = scenario.task_spec(resolve("tiny"), list(STRATA)).model_dump(mode="json")
    job = {"spec": spec, "adapters": [{"lane": 1, "folder": "a"}, {"lane": 0, "folder": None}], "seed": 5}
    honest, random_weights = strategy_of(Behaviour.HONEST, 3), strategy_of(Behaviour.RANDOM_WEIGHTS, 3)
    assert "attack" not in honest.training_job(job)
    assert honest.scoring_result(job) is None
    assert random_weights.training_job(job)["attack"] == "random_small"
    lazy = strategy_of(Behaviour.CONSTANT_SCORES, 3).scoring_result(job)
    assert lazy is not None
    assert [line["score"] for line in lazy["entries"]] == [scenario.LAZY_SCORE] * 2
    for line in lazy["entries"]:
        EntryScore.model_validate({**line, "digest": "ab" * 32})
    for line in lazy["strata"]:
        Sample.model_validate(line)
    Profile.model_validate(lazy["profile"])
