"""Help screens: every command and option is described, in the same style."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from covey.cli.main import app, main

MAX_SUMMARY = 90


def walk(path: tuple[str, ...], command: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from walk((*path, name), child)


COMMANDS = [
    pytest.param(path, command, id=" ".join(path) or "covey") for path, command in walk((), typer.main.get_command(app))
]


@pytest.mark.parametrize(("path", "command"), COMMANDS)
def test_command_has_a_short_summary(path: tuple[str, ...], command: Any) -> None:
    summary = (command.help or "").split("\n\n")[0]
    assert summary.endswith(".")
    assert len(summary) <= MAX_SUMMARY
    assert summary[0].isupper()


@pytest.mark.parametrize(("path", "command"), COMMANDS)
def test_every_argument_and_option_is_described(path: tuple[str, ...], command: Any) -> None:
    for parameter in command.params:
        assert parameter.help, parameter.name
        assert parameter.help[0].isupper(), parameter.help
        assert parameter.help.endswith((".", "]")), parameter.help


@pytest.mark.parametrize(("path", "command"), COMMANDS)
def test_help_screen_is_printed(path: tuple[str, ...], command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*path, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"Usage: covey {' '.join(path)}".strip() in shown


def test_option_shows_its_variable_and_default(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    main(["run", "--help"])
    lines = capsys.readouterr().out.splitlines()
    line = next(line for line in lines if "--max-gas-price" in line)
    assert "GWEI" in line
    assert "Maximum fee per gas. [env: COVEY_MAX_GAS_PRICE] [default: 300 gwei]" in line
    assert any("--config" in line and "[env: COVEY_CONFIG]" in line for line in lines)
