"""`covey task`."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from tests.support.cli.command_line import Covey
from tests.support.network import tiny_spec

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
    monkeypatch.setattr("covey.client.posting.check_spec", lambda *_: "folder")
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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target_modules": ["all-linear"]}, "adapter.target_modules: all-linear cannot be adapted"),
        ({"max_bytes": 1}, "adapter.max_bytes: an adapter of max_rank 4 has"),
        ({"shared_a": "00" * 32}, "adapter.shared_a: "),
    ],
)
def test_spec_that_cannot_be_met_is_refused_before_connecting(
    covey: Covey, network: Any, changes: dict[str, Any], message: str
) -> None:
    spec = tiny_spec().model_dump(exclude_none=True)
    Path("spec.json").write_text(json.dumps({**spec, "adapter": {**spec["adapter"], **changes}}))
    done = covey("task", "create", "spec.json")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"covey: the spec cannot be met: {message}")
    assert not network.method_calls


def test_base_of_a_spec_must_be_on_this_machine(covey: Covey, network: Any) -> None:
    spec = tiny_spec().model_dump(exclude_none=True)
    Path("spec.json").write_text(json.dumps({**spec, "base": {**spec["base"], "digest": "00" * 32}}))
    done = covey("task", "create", "spec.json", "--bases", "tiny")
    assert (done.code, "name its folder with --bases" in done.err) == (2, True)
    assert not network.method_calls
