"""Strategies of the demo's dishonest participants."""

from __future__ import annotations

from covey.devnet import scenario
from covey.devnet.icd10 import STRATA
from covey.devnet.scenario import Behaviour
from covey.devnet.strategies import strategy_of
from covey.lora.bases.resolve import resolve
from covey.lora.jobs.job import ScoredAdapter, ScoreJob, TrainJob, parse_job
from covey.protocol.entry import TaskReference

TASK = TaskReference(chain_id=1, registry="0x" + "aa" * 20, task_id=1, spec="00" * 32)


def test_dishonest_strategies_return_valid_jobs_and_results() -> None:
    spec = scenario.task_spec(resolve("tiny"), list(STRATA))
    training = TrainJob(spec=spec, records="r", output="o", task=TASK, operator="0x" + "bb" * 20)
    adapters = [ScoredAdapter(lane=1, folder="a"), ScoredAdapter(lane=0, folder=None)]
    scoring = ScoreJob(spec=spec, records="r", adapters=adapters, earlier=[], seed="s")
    honest, random_weights = strategy_of(Behaviour.HONEST, 3), strategy_of(Behaviour.RANDOM_WEIGHTS, 3)
    assert honest.training_job(training).attack is None
    assert honest.training_job(training).seed == 3
    assert honest.scoring_result(scoring) is None
    dishonest = random_weights.training_job(training)
    assert dishonest.attack == "random_small"
    assert parse_job(dishonest.model_dump_json()) == dishonest
    result = strategy_of(Behaviour.CONSTANT_SCORES, 3).scoring_result(scoring)
    assert result is not None
    assert result.scores() == {0: scenario.LAZY_SCORE, 1: scenario.LAZY_SCORE}
