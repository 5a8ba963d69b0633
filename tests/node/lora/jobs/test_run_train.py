"""Training jobs: settings and manifests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.lora.fixtures import OPERATORS, MakeTrainJob

from covey.lora.errors import JobError
from covey.lora.jobs.dispatch import Runner
from covey.lora.jobs.feasible import training_settings
from covey.lora.jobs.job import TrainJob
from covey.lora.training.settings import TrainSettings
from covey.protocol.entry import Manifest
from covey.protocol.spec import TaskSpec


def test_manifest_states_only_what_scoring_needs(runner: Runner, train_job: MakeTrainJob, tmp_path: Path) -> None:
    job = train_job(
        tmp_path / "out", steps=None, epochs="0.1", learning_rate="0.001", rank=4, target_modules=["q_proj"]
    )
    result = runner.run(job)
    manifest = Manifest.from_bytes((tmp_path / "out" / "manifest.json").read_bytes())
    assert result.settings is not None
    assert result.settings.steps == len(result.losses) == 2  # a tenth of 200 records, 16 per step
    assert (result.settings.rank, result.settings.alpha, result.settings.learning_rate) == (4, 8, "0.001")
    assert manifest == Manifest(task=job.task, operator=OPERATORS[0], base_digest=job.spec.base.digest)
    assert set(json.loads(manifest.canonical_bytes())) == {"version", "task", "operator", "base_digest"}


def settings_of(job: TrainJob) -> TrainSettings:
    return training_settings(job.spec, job.training, 100, job.seed)


def test_options_take_precedence_over_the_specs_hints(spec: dict[str, Any], train_job: MakeTrainJob) -> None:
    hinted = {"spec": TaskSpec.parse(spec | {"training": {"steps": 7, "rank": 2, "learning_rate": "0.5"}})}
    settings = settings_of(train_job(Path("x"), steps=None).model_copy(update=hinted))
    assert (settings.steps, settings.rank, settings.alpha, settings.learning_rate) == (7, 2, 4, 0.5)
    settings = settings_of(train_job(Path("x"), steps=3).model_copy(update=hinted))
    assert settings.steps == 3


def test_defaults_apply_without_options_and_hints(train_job: MakeTrainJob) -> None:
    settings = settings_of(train_job(Path("x"), steps=None, batch_records=None))
    assert (settings.steps, settings.batch_records, settings.rank, settings.alpha) == (48, 16, 8, 16)
    assert (settings.learning_rate, settings.warmup_steps, settings.weight_decay) == (6e-3, 4, 0.0)
    settings = settings_of(train_job(Path("x"), warmup_steps=0, weight_decay="0.5"))
    assert (settings.warmup_steps, settings.weight_decay) == (0, 0.5)


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"rank": 16}, "above the 8 that the task allows"),
        ({"rank": 2, "alpha": 129}, "129 is more than 64 times the rank 2"),
        ({"target_modules": ["lm_head"]}, "does not allow lm_head"),
        ({"steps": 5, "epochs": "1"}, "give steps or epochs, not both"),
        ({"learning_rate": "2"}, "not between 0 and 1"),
        ({"learning_rate": 0.1}, "learning_rate: Input should be a valid string"),
    ],
)
def test_forbidden_settings_are_refused(
    training: dict[str, Any], message: str, runner: Runner, train_job: MakeTrainJob, tmp_path: Path
) -> None:
    with pytest.raises(JobError, match=message):
        runner.run(train_job(tmp_path / "out", **training))
    assert not (tmp_path / "out").exists()
