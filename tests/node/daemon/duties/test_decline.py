"""A strategy that declines a task keeps the node from entering and from enrolling."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.network import tiny_params, tiny_spec

from covey.daemon.duties import enrol, enter
from covey.daemon.duties.outcomes import Ended
from covey.daemon.strategy import Strategy
from covey.protocol.spec import TaskSpec
from covey.protocol.types import TaskParams


class DeclineAll(Strategy):
    def decline(self, spec: TaskSpec, params: TaskParams) -> str | None:
        return f"declined by a test, bounty {params.bounty}"


def test_declined_task_is_neither_entered_nor_validated(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = tiny_spec()
    task: Any = SimpleNamespace(id=1, entries=[], params=tiny_params(spec, bytes(32)))
    registry = SimpleNamespace(entry_fee_at=lambda task_id, index: 1)
    context: Any = SimpleNamespace(
        strategy=DeclineAll(),
        config=SimpleNamespace(policy=None, heldout_records=Path("held.jsonl")),
        contracts=SimpleNamespace(registry=registry),
        readiness=SimpleNamespace(reason_to_wait=lambda: None, counts=lambda path: {}),
    )
    for name in ("transaction_progress", "revert_reason"):
        monkeypatch.setattr(enrol, name, lambda *_: None)
    monkeypatch.setattr(enrol, "spec_of", lambda *_: spec)
    monkeypatch.setattr(enrol, "reason_not_to_score", lambda *_: None)
    monkeypatch.setattr(enter, "reason_not_to_enter", lambda *_: None)
    duty: Any = SimpleNamespace(key="duty")
    for step in (enter._train(context, task, duty, spec), enrol.advance(context, task, duty)):
        assert isinstance(step, Ended)
        assert f"declined by a test, bounty {task.params.bounty}" in str(step)
