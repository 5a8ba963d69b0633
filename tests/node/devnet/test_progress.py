"""Progress sums the steps that health servers report."""

from __future__ import annotations

import pytest

from covey.devnet.progress import Progress


def test_share_sums_the_steps_of_all_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    progress = Progress({"a": 1, "b": 2, "c": 3})
    responses: dict[int, dict[str, object] | None] = {1: {"jobs": {"enter/1": "train 10/40"}}, 2: {"jobs": {}}, 3: None}
    monkeypatch.setattr(progress, "_health", lambda port: responses[port])
    monkeypatch.setattr("covey.devnet.progress._POLL_S", 0.0)
    assert progress.share() == 10 / 40
    responses[2] = {"jobs": {"enter/1": "train 30/60"}}
    assert progress.share() == 40 / 100
    responses[1] = {"jobs": {}}
    assert progress.share() == 70 / 100, "a job that is no longer reported is complete"
    responses[2] = {"jobs": {"enter/1": "starting"}}
    assert progress.share() == 1.0
    progress.begin()
    responses[2] = {"jobs": {"score/1": "score 0/5"}}
    assert progress.share() == 0.0
