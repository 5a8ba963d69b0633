"""Jobs and results for tests that run no model."""

from __future__ import annotations

from tests.support.daemon.context import SPEC

from covey.lora.jobs.job import ScoredAdapter, ScoreJob
from covey.lora.jobs.result import ScoreResult
from covey.protocol.sheet import LaneScore, Profile, Sample


def score_job(seed: str = "seed") -> ScoreJob:
    """A scoring job. A fake worker may read its instructions from `seed`."""
    return ScoreJob(
        spec=SPEC, records="records.jsonl", adapters=[ScoredAdapter(lane=0, folder=None)], earlier=[], seed=seed
    )


def score_result(score: int = 7) -> ScoreResult:
    """A result that gives lane 0 `score`."""
    return ScoreResult(
        entries=[LaneScore(lane=0, score=score, verdict="scored")],
        strata=[Sample(name="a", records=8, tokens=80)],
        profile=Profile(device="none", dtype="float32"),
    )
