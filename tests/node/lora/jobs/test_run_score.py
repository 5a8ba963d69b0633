"""Scoring jobs: verdicts, score sheets, near-copies, subsamples, and failures of this machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.lora.fixtures import OPERATORS, TASK, Trained, fill_weights

from covey.devnet.icd10 import STRATA, Split
from covey.lora.errors import BaseModelError, DataError
from covey.lora.jobs import run_score
from covey.lora.jobs.dispatch import Runner
from covey.lora.jobs.job import ScoredAdapter, ScoreJob
from covey.protocol.entry import TaskReference
from covey.protocol.sheet import EntryScore, ScoreSheet
from covey.protocol.spec import TaskSpec

MakeScoreJob = Callable[..., ScoreJob]


@pytest.fixture
def score_job(spec: dict[str, Any], split: Split) -> MakeScoreJob:
    """Makes a job that scores the adapters in these folders, in this order of lanes and of commitment."""

    def make(folders: list[Path | None], spec: dict[str, Any] = spec, **fields: Any) -> ScoreJob:
        adapters = [
            ScoredAdapter(lane=lane, folder=None if folder is None else str(folder))
            for lane, folder in enumerate(folders)
        ]
        defaults = {"records": str(split.validators[0]), "adapters": adapters, "seed": "s"}
        return ScoreJob(spec=TaskSpec.parse(spec), **(defaults | fields))

    return make


def test_verdicts_and_scores_of_a_row(
    runner: Runner, score_job: MakeScoreJob, trained: Trained, tmp_path: Path
) -> None:
    first, second, random = (trained[name][0] for name in ("first", "second", "random"))
    nan = fill_weights(first, tmp_path / "nan", float("nan"))
    huge = fill_weights(first, tmp_path / "huge", 3e38)
    result = runner.run(score_job([first, nan, random, None, second, huge, first]))
    scores = result.scores()
    verdicts = [entry.verdict for entry in result.entries]
    assert verdicts == ["scored", "invalid", "scored", "unavailable", "scored", "invalid", "near-copy"]
    assert scores[0] > 2000 < scores[4]
    assert (scores[1], scores[3], scores[5], scores[6]) == (0, 0, 0, 1)
    assert scores[2] < 655
    assert all((score - 1) % 64 == 0 for score in scores.values() if score)
    assert result.reasons()[1].startswith("not_finite")
    assert result.reasons()[6] == "near-copy of lane 0"
    assert [(sample.name, sample.records) for sample in result.strata] == [(name, 20) for name in STRATA]


@pytest.mark.parametrize("source", ["local", "sealed"])
def test_result_makes_a_score_sheet_and_contains_no_record(
    source: Any, runner: Runner, score_job: MakeScoreJob, trained: Trained, spec: dict[str, Any], split: Split
) -> None:
    changed = spec | {"evaluation": spec["evaluation"] | {"source": source}}
    result = runner.run(score_job([trained["first"][0], None], spec=changed))
    sheet = ScoreSheet(
        task=TaskReference.model_validate(TASK),
        operator=OPERATORS[0],
        base_digest=spec["base"]["digest"],
        source=source,
        profile=result.profile,
        strata=result.strata,
        entries=[EntryScore(**entry.model_dump(), digest="33" * 32) for entry in result.entries],
    )
    assert sheet.scores() == [result.scores()[0], 0]
    text = result.model_dump_json()
    assert not any(json.loads(line)["text"] in text for line in split.validators[0].read_text().splitlines())


def test_near_copy_is_the_later_commitment(runner: Runner, score_job: MakeScoreJob, trained: Trained) -> None:
    job = score_job([trained["first"][0], trained["first"][0]])
    job = job.model_copy(update={"adapters": job.adapters[::-1]})
    assert [entry.verdict for entry in runner.run(job).entries] == ["near-copy", "scored"]


def test_copy_of_an_earlier_tasks_entry_is_a_near_copy(
    runner: Runner, score_job: MakeScoreJob, trained: Trained, tmp_path: Path
) -> None:
    first, second = trained["first"][0], trained["second"][0]
    broken = fill_weights(first, tmp_path / "broken", float("nan"))
    result = runner.run(score_job([first, second], earlier=[str(broken), str(first)]))
    assert [entry.verdict for entry in result.entries] == ["near-copy", "scored"]
    assert result.reasons()[0] == "near-copy of earlier entry first"


def test_manifest_of_another_operator_is_invalid(runner: Runner, score_job: MakeScoreJob, trained: Trained) -> None:
    adapters = [
        ScoredAdapter(lane=lane, folder=str(trained[name][0]), operator=OPERATORS[0])
        for lane, name in enumerate(("first", "second"))
    ]
    result = runner.run(score_job([], adapters=adapters, task=TaskReference.model_validate(TASK)))
    assert [entry.verdict for entry in result.entries] == ["scored", "invalid"]
    assert result.reasons()[1] == "wrong_manifest: it names another operator"


def test_seed_determines_the_sample(runner: Runner, score_job: MakeScoreJob, trained: Trained) -> None:
    rows = [runner.run(score_job([trained["first"][0]], seed=seed)) for seed in ("a", "a", "b")]
    improvements = [row.private[0].improvement for row in rows]
    assert improvements[0] == improvements[1] != improvements[2]


@pytest.mark.parametrize("error", [MemoryError("no memory"), RuntimeError("CUDA error: device-side assert")])
def test_failure_of_this_machine_is_raised_and_is_not_a_score(
    error: Exception,
    runner: Runner,
    score_job: MakeScoreJob,
    trained: Trained,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(run_score, "record_nll", fail)
    with pytest.raises(type(error)):
        runner.run(score_job([trained["first"][0]]))
    monkeypatch.undo()
    with pytest.raises(FileNotFoundError):
        runner.run(score_job([trained["first"][0] / "absent"]))


def test_too_few_held_out_records_or_tokens_are_an_error(
    runner: Runner, score_job: MakeScoreJob, spec: dict[str, Any]
) -> None:
    strata = [stratum | {"min_records": 31} for stratum in spec["strata"]]
    large = spec["evaluation"] | {"min_records": 155, "max_records": 500}
    with pytest.raises(DataError, match="needs 31 held-out records, there are 30"):
        runner.run(score_job([None], spec=spec | {"strata": strata, "evaluation": large}))
    with pytest.raises(DataError, match="150 held-out records in the task's strata, it needs 155"):
        runner.run(score_job([None], spec=spec | {"evaluation": large}))
    strata = [stratum | {"min_tokens": 10**6} for stratum in spec["strata"]]
    with pytest.raises(DataError, match="tokens, needs 1000000"):
        runner.run(score_job([None], spec=spec | {"strata": strata}))


def test_base_with_another_digest_is_refused(runner: Runner, score_job: MakeScoreJob, spec: dict[str, Any]) -> None:
    with pytest.raises(BaseModelError, match="get the exact revision"):
        runner.run(score_job([None], spec=spec | {"base": spec["base"] | {"digest": "00" * 32}}))
