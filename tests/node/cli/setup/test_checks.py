"""`covey check`: the order, states and exit code of checks."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from tests.support.cli.command_line import Covey, Outcome

from covey.cli.errors import CliError
from covey.cli.setup.findings import CheckFailed, Finding, perform
from covey.client.errors import NetworkError


def by_name(outcome: Outcome, field: str) -> dict[str, str]:
    return {finding["check"]: finding[field] for finding in outcome.json}


def test_message_is_ok_none_is_not_set_and_an_error_is_failed() -> None:
    def fail(error: Exception) -> str:
        raise error

    assert perform("a", lambda: "fine") == Finding("a", "ok", "fine")
    assert perform("a", lambda: None) == Finding("a", "not set", "not configured")
    for error in (CheckFailed("broken"), CliError("broken"), NetworkError("broken")):
        assert perform("a", partial(fail, error)) == Finding("a", "failed", "broken")
    with pytest.raises(ZeroDivisionError):
        perform("a", lambda: str(1 / 0))


def test_check_works_without_settings(covey: Covey) -> None:
    checked = covey("check", "--json")
    states = by_name(checked, "state")
    assert checked.code == 0
    assert states["contracts"] == states["tiny base"] == states["libraries"] == "ok"
    assert states["settings"] == states["chain"] == states["keystore"] == "not set"


def test_failed_checks_are_named_and_counted(covey: Covey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVEY_PASSWORD", "correct horse")
    covey("init", "node", "--heldout-records", "h.jsonl")
    Path("h.jsonl").write_text('{"text": "a", "stratum": "s"}\n{"text": "b"}\n')
    Path("node/signer.json").chmod(0o644)
    checked = covey("check", "--config", "node/covey.toml", "--json")
    messages = by_name(checked, "message")
    failed = {name for name, state in by_name(checked, "state").items() if state == "failed"}
    assert checked.code == 1
    assert failed == {"keystore", "held-out records"}
    assert "chmod 600" in messages["keystore"]
    assert "h.jsonl:2" in messages["held-out records"]
    assert "2 of" in checked.err
    assert "checks failed: keystore, held-out records" in checked.err


@pytest.mark.parametrize(
    ("line", "message"), [('min_free_disk = "lots"', "key min_free_disk"), ("rpc_quorum = -1", "rpc_quorum")]
)
def test_setting_that_a_node_would_refuse_fails(
    covey: Covey, monkeypatch: pytest.MonkeyPatch, line: str, message: str
) -> None:
    monkeypatch.setenv("COVEY_PASSWORD", "correct horse")
    covey("init", "node")
    file = Path("node/covey.toml")
    file.write_text(f"{line}\n{file.read_text()}")
    checked = covey("check", "--config", str(file), "--json")
    assert checked.code == 1
    assert by_name(checked, "state")["settings"] == "failed"
    assert message in by_name(checked, "message")["settings"]


def test_text_output_has_a_line_for_each_check(covey: Covey) -> None:
    lines = covey("check").out.splitlines()
    assert any(line.split()[:2] == ["ok", "python"] for line in lines)
    assert any(line.split()[:3] == ["not", "set", "settings"] for line in lines)
