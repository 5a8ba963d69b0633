"""`covey task`."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from tests.support.cli.command_line import Covey

from covey.client.errors import InvalidInput


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The network to which commands connect."""
    fake = Mock()
    fake.tasks.return_value = []
    monkeypatch.setattr("covey.cli.access.connect", lambda settings: fake)
    return fake


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        ("entry_commit", "covey: --entry-commit: 5 s is below the minimum\n"),
        (None, "covey: 5 s is below the minimum\n"),
    ],
)
def test_invalid_parameter_is_reported_as_its_option(
    covey: Covey, network: Any, monkeypatch: pytest.MonkeyPatch, parameter: str | None, message: str
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise InvalidInput("5 s is below the minimum", parameter=parameter)

    monkeypatch.setattr("covey.client.posting.read_spec", lambda path: SimpleNamespace())
    monkeypatch.setattr("covey.client.posting.task_params", refuse)
    done = covey("task", "create", "spec.json")
    assert (done.code, done.out, done.err) == (2, "", message)
    network.post_task.assert_not_called()


def test_empty_list_is_reported(covey: Covey, network: Any) -> None:
    assert covey("task", "list").out == "No tasks yet.\n"
    assert covey("task", "list", "--running").out == "No running tasks.\n"
    assert covey("task", "list", "--json").json == []


def test_unreadable_spec_is_reported_before_connecting(covey: Covey) -> None:
    Path("spec.json").mkdir()
    done = covey("task", "create", "spec.json")
    assert (done.code, "cannot read the spec spec.json" in done.err) == (2, True)
