"""Jobs as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.lora.fixtures import TASK, MakeTrainJob

from covey.lora.errors import JobError
from covey.lora.jobs.job import ProbeJob, parse_job


def score_fields(spec: dict[str, Any]) -> dict[str, Any]:
    adapters = [{"lane": 0, "folder": None}, {"lane": 1, "folder": "/entry", "operator": "0x" + "11" * 20}]
    return {"kind": "score", "spec": spec, "records": "/records", "adapters": adapters, "task": TASK, "seed": "s"}


def test_jobs_survive_json(spec: dict[str, Any], train_job: MakeTrainJob) -> None:
    named = {"kind": "evaluate", "adapters": [{"name": "a", "folder": "/a"}], "spec": spec, "records": "/records"}
    score, evaluate = (parse_job(json.dumps(fields)) for fields in (score_fields(spec), named))
    for job in (score, evaluate, train_job(Path("/entry")), ProbeJob()):
        assert parse_job(job.model_dump_json()) == job


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "other"}, "kind|tag"),
        ({"surprise": 1}, "surprise: Extra inputs"),
        ({"adapters": []}, "adapters: List should have at least 1"),
        ({"adapters": [{"lane": 1, "folder": None}, {"lane": 1, "folder": None}]}, "two adapters have the same lane"),
        ({"threads": 0}, "threads"),
        ({"spec": {}}, "spec"),
    ],
)
def test_bad_job_is_refused_in_one_line(spec: dict[str, Any], fields: dict[str, Any], message: str) -> None:
    with pytest.raises(JobError, match=message) as caught:
        parse_job(json.dumps(score_fields(spec) | fields))
    assert "\n" not in str(caught.value)
