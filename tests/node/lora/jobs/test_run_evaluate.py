"""Evaluation jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.lora.fixtures import Trained, fill_weights

from covey.devnet.icd10 import STRATA, Split
from covey.lora.errors import DataError
from covey.lora.jobs.dispatch import Runner
from covey.lora.jobs.job import EvaluateJob, NamedAdapter
from covey.protocol.spec import TaskSpec


def evaluate_job(spec: dict[str, Any], split: Split, folders: dict[str, Path]) -> EvaluateJob:
    return EvaluateJob(
        spec=TaskSpec.parse(spec),
        records=str(split.common),
        adapters=[NamedAdapter(name=name, folder=str(folder)) for name, folder in folders.items()],
        bootstrap_records=600,
    )


def test_evaluation_reports_improvements_by_stratum_and_the_spread(
    runner: Runner, trained: Trained, spec: dict[str, Any], split: Split, tmp_path: Path
) -> None:
    folders = {name: folder for name, (folder, _) in trained.items()}
    folders["broken"] = fill_weights(folders["first"], tmp_path / "broken", float("nan"))
    result = runner.run(evaluate_job(spec, split, folders))
    assert set(result.improvement) == {"first", "second", "random"}
    assert set(result.strata["first"]) == set(STRATA) == set(result.base_loss)
    assert result.strata["first"]["heart-lung-blood"] > result.strata["second"]["heart-lung-blood"]
    assert abs(result.improvement["random"]) < 0.02
    assert result.refused["broken"].startswith("not_finite")
    assert result.records == 150
    assert result.bootstrap is not None
    assert len(result.bootstrap.spreads) == 2
    assert 0 < result.bootstrap.h < result.bootstrap.tau < 2000


def test_bootstrap_needs_an_adapter_above_the_floor(
    runner: Runner, trained: Trained, spec: dict[str, Any], split: Split
) -> None:
    with pytest.raises(DataError, match="no adapter scores above the floor"):
        runner.run(evaluate_job(spec, split, {"random": trained["random"][0]}))
