"""The jobs that the daemon gives, whole."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tests.support.lora.fixtures import OPERATORS, TASK, Trained  # type: ignore[import-not-found]

from covey.devnet.icd10 import STRATA, Split
from covey.lora.adapters.format import WEIGHTS
from covey.lora.errors import BaseModelError, DataError, JobError
from covey.lora.jobs import run_score
from covey.lora.jobs.dispatch import Runner
from covey.lora.jobs.job import EvaluateJob, NamedAdapter, ScoreJob, parse_job
from covey.protocol.entry import Manifest, TaskReference
from covey.protocol.sheet import EntryScore, ScoreSheet
from covey.protocol.spec import TaskSpec

MakeJob = Callable[..., ScoreJob]


def job_of(fields: dict[str, Any]) -> Any:
    return parse_job(json.dumps(fields))


@pytest.fixture
def score_fields(spec: dict[str, Any], split: Split, trained: Trained) -> Callable[..., dict[str, Any]]:
    def make(folders: list[Path | None], **fields: Any) -> dict[str, Any]:
        adapters = [{"lane": lane, "folder": folder and str(folder)} for lane, folder in enumerate(folders)]
        records = str(split.validators[0])
        return {"kind": "score", "spec": spec, "records": records, "adapters": adapters, "seed": "s"} | fields

    return make


@pytest.fixture
def score_job(score_fields: Callable[..., dict[str, Any]]) -> MakeJob:
    return lambda folders, **fields: job_of(score_fields(folders, **fields))


def edited(trained: Trained, folder: Path, value: float) -> Path:
    shutil.copytree(trained["first"][0], folder)
    arrays = {name: np.full_like(array, value) for name, array in load_file(folder / WEIGHTS).items()}
    save_file(arrays, folder / WEIGHTS)
    return folder


def test_a_row_of_scores(runner: Runner, score_job: MakeJob, trained: Trained, tmp_path: Path) -> None:
    nan = edited(trained, tmp_path / "nan", float("nan"))
    huge = edited(trained, tmp_path / "huge", 3e38)
    folders = [trained["first"][0], nan, trained["random"][0], None, trained["second"][0], huge, trained["first"][0]]
    result = runner.run(score_job(folders))
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


def test_the_result_is_a_score_sheet_and_holds_no_record(
    runner: Runner, score_job: MakeJob, trained: Trained, spec: dict[str, Any], split: Split
) -> None:
    for source in ("local", "sealed"):
        wanted = spec | {"evaluation": spec["evaluation"] | {"source": source}}
        result = runner.run(score_job([trained["first"][0], None], spec=wanted))
        sheet = ScoreSheet(
            task=TaskReference.model_validate(TASK),
            operator=OPERATORS[0],
            base_digest=spec["base"]["digest"],
            source=source,  # type: ignore[arg-type]
            profile=result.profile,
            strata=result.strata,
            entries=[EntryScore(**entry.model_dump(), digest="33" * 32) for entry in result.entries],
        )
        assert sheet.scores() == [result.scores()[0], 0]
        text = result.model_dump_json()
        assert not any(json.loads(line)["text"] in text for line in split.validators[0].read_text().splitlines())


def test_copies_are_found_by_order_of_commitment(runner: Runner, score_job: MakeJob, trained: Trained) -> None:
    job = score_job([trained["first"][0], trained["first"][0]])
    job = job.model_copy(update={"adapters": job.adapters[::-1]})
    assert [entry.verdict for entry in runner.run(job).entries] == ["near-copy", "scored"]


def test_last_months_winner_cannot_be_sold_again(
    runner: Runner, score_job: MakeJob, trained: Trained, tmp_path: Path
) -> None:
    broken = edited(trained, tmp_path / "broken", float("nan"))
    job = score_job([trained["first"][0], trained["second"][0]], earlier=[str(broken), str(trained["first"][0])])
    result = runner.run(job)
    assert [entry.verdict for entry in result.entries] == ["near-copy", "scored"]
    assert result.reasons()[0] == "near-copy of earlier entry first"


def test_a_manifest_of_somebody_else_is_invalid(
    runner: Runner, score_fields: Callable[..., dict[str, Any]], trained: Trained
) -> None:
    fields = score_fields([trained["first"][0], trained["second"][0]], task=TASK)
    fields["adapters"] = [adapter | {"operator": OPERATORS[0]} for adapter in fields["adapters"]]
    result = runner.run(job_of(fields))
    assert [entry.verdict for entry in result.entries] == ["scored", "invalid"]
    assert result.reasons()[1] == "wrong_manifest: it names another operator"


def test_a_fresh_seed_draws_other_records_and_the_same_one_repeats(
    runner: Runner, score_job: MakeJob, trained: Trained
) -> None:
    rows = [runner.run(score_job([trained["first"][0]], seed=seed)) for seed in ("a", "a", "b")]
    improvements = [row.private[0].improvement for row in rows]
    assert improvements[0] == improvements[1] != improvements[2]


@pytest.mark.parametrize("error", [MemoryError("no memory"), RuntimeError("CUDA error: device-side assert")])
def test_this_machines_trouble_is_raised_and_is_nobodys_zero(
    error: Exception, runner: Runner, score_job: MakeJob, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(run_score, "record_nll", fail)
    with pytest.raises(type(error)):
        runner.run(score_job([trained["first"][0]]))
    monkeypatch.undo()
    with pytest.raises(FileNotFoundError):
        runner.run(score_job([trained["first"][0] / "gone"]))


def test_too_little_held_out_data_is_an_error(
    runner: Runner, score_job: MakeJob, trained: Trained, spec: dict[str, Any]
) -> None:
    strata = [stratum | {"min_records": 31} for stratum in spec["strata"]]
    large = {"min_records": 155, "max_records": 500}
    with pytest.raises(DataError, match="needs 31 held-out records, there are 30"):
        runner.run(score_job([None], spec=spec | {"strata": strata, "evaluation": spec["evaluation"] | large}))
    with pytest.raises(DataError, match="150 held-out records in the task's strata, it needs 155"):
        runner.run(score_job([None], spec=spec | {"evaluation": spec["evaluation"] | large}))
    strata = [stratum | {"min_tokens": 10**6} for stratum in spec["strata"]]
    with pytest.raises(DataError, match="tokens, needs 1000000"):
        runner.run(score_job([None], spec=spec | {"strata": strata}))


def test_evaluation_gives_the_matrix_and_the_spread(
    runner: Runner, trained: Trained, spec: dict[str, Any], split: Split, tmp_path: Path
) -> None:
    broken = edited(trained, tmp_path / "broken", float("nan"))
    folders = {name: str(folder) for name, (folder, _) in trained.items()} | {"broken": str(broken)}
    job = EvaluateJob(
        spec=TaskSpec.parse(spec),
        records=str(split.common),
        adapters=[NamedAdapter(name=name, folder=folder) for name, folder in folders.items()],
        bootstrap_records=600,
    )
    result = runner.run(job)
    assert set(result.improvement) == {"first", "second", "random"}
    assert set(result.strata["first"]) == set(STRATA) == set(result.base_loss)
    assert result.strata["first"]["heart-lung-blood"] > result.strata["second"]["heart-lung-blood"]
    assert abs(result.improvement["random"]) < 0.02
    assert result.refused["broken"].startswith("not_finite")
    assert result.records == 150
    bootstrap = result.bootstrap
    assert bootstrap is not None
    assert len(bootstrap.spreads) == 2
    assert 0 < bootstrap.h < bootstrap.tau < 2000


def test_the_manifest_tells_how_it_was_trained(runner: Runner, train_job: Any, tmp_path: Path) -> None:
    job = train_job(
        tmp_path / "out", steps=None, epochs="0.1", learning_rate="0.001", rank=4, target_modules=["q_proj"]
    )
    result = runner.run(job)
    manifest = Manifest.from_bytes((tmp_path / "out" / "manifest.json").read_bytes())
    assert manifest.training.steps == len(result.losses) == 2  # 200 records / 16, a tenth of it
    assert (manifest.training.rank, manifest.training.alpha, manifest.training.learning_rate) == (4, 8, "0.001")
    assert manifest.operator == OPERATORS[0]


def test_hints_of_the_spec_are_followed_and_options_go_first(spec: dict[str, Any], train_job: Any) -> None:
    from covey.lora.jobs.run_train import training_settings

    hinted = spec | {"training": {"steps": 7, "rank": 2, "learning_rate": "0.5"}}
    hint = {"spec": TaskSpec.parse(hinted)}
    settings = training_settings(train_job(Path("x"), steps=None).model_copy(update=hint), 100)
    assert (settings.steps, settings.rank, settings.alpha, settings.learning_rate) == (7, 2, 4, 0.5)
    settings = training_settings(train_job(Path("x"), steps=3).model_copy(update=hint), 100)
    assert settings.steps == 3


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"rank": 16}, "above the 8 that the task allows"),
        ({"target_modules": ["lm_head"]}, "does not allow lm_head"),
        ({"steps": 5, "epochs": "1"}, "give steps or epochs, not both"),
        ({"learning_rate": "2"}, "not between 0 and 1"),
        ({"learning_rate": 0.1}, "learning_rate: Input should be a valid string"),
    ],
)
def test_forbidden_settings_are_refused(
    runner: Runner, train_job: Any, tmp_path: Path, training: Any, message: str
) -> None:
    with pytest.raises(JobError, match=message):
        runner.run(train_job(tmp_path / "out", **training))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "mine"}, "kind|tag"),
        ({"surprise": 1}, "surprise: Extra inputs"),
        ({"adapters": []}, "adapters: List should have at least 1"),
        ({"adapters": [{"lane": 1, "folder": None}, {"lane": 1, "folder": None}]}, "two adapters have the same lane"),
        ({"threads": 0}, "threads"),
        ({"spec": {}}, "spec"),
    ],
)
def test_a_bad_job_is_refused_in_one_line(
    score_fields: Callable[..., dict[str, Any]], fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(JobError, match=message) as caught:
        job_of(score_fields([None]) | fields)
    assert "\n" not in str(caught.value)


def test_the_wrong_base_is_refused(runner: Runner, score_job: MakeJob, spec: dict[str, Any]) -> None:
    with pytest.raises(BaseModelError, match="get the exact revision"):
        runner.run(score_job([None], spec=spec | {"base": spec["base"] | {"digest": "00" * 32}}))
