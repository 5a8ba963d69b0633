"""Progress sums the steps that health ports tell of."""

from __future__ import annotations

import pytest

from covey.devnet.progress import Progress


def test_steps_of_all_jobs_are_summed(monkeypatch: pytest.MonkeyPatch) -> None:
    progress = Progress({"a": 1, "b": 2, "c": 3})
    answers: dict[int, dict[str, object] | None] = {1: {"jobs": {"enter/1": "train 10/40"}}, 2: {"jobs": {}}, 3: None}
    monkeypatch.setattr(progress, "_health", lambda port: answers[port])
    monkeypatch.setattr("covey.devnet.progress._EVERY_S", 0.0)
    assert progress.share() == 10 / 40
    answers[2] = {"jobs": {"enter/1": "train 30/60"}}
    assert progress.share() == 40 / 100
    answers[1] = {"jobs": {}}
    assert progress.share() == 70 / 100, "a job that is no longer told of is over"
    answers[2] = {"jobs": {"enter/1": "starting"}}
    assert progress.share() == 1.0
    progress.begin()
    answers[2] = {"jobs": {"score/1": "score 0/5"}}
    assert progress.share() == 0.0
