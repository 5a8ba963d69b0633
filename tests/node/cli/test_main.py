"""Exit codes and error lines of the command."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from covey.cli import main as entry
from covey.cli.errors import CliError, InputError
from covey.client.errors import InvalidInput, NetworkError


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (CliError("the node stopped"), 1, "the node stopped"),
        (CliError("the node stopped", 7), 7, "the node stopped"),
        (InputError("no key"), 2, "no key"),
        (NetworkError("no endpoint answered"), 1, "no endpoint answered"),
        (InvalidInput("is too low", parameter="bounty"), 2, "bounty: is too low"),
        (CliError("two\n  lines"), 1, "two lines"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_error_becomes_one_line_and_an_exit_code(
    error: BaseException, code: int, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: Any) -> None:
        raise error

    monkeypatch.setattr(entry, "app", fail)
    assert entry.main([]) == code
    assert capsys.readouterr().err == f"covey: {line}\n"


def test_unexpected_error_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(entry, "app", fail)
    with pytest.raises(ZeroDivisionError):
        entry.main([])


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("covey ")


@pytest.mark.parametrize("arguments", [[], ["task"], ["keys"]])
def test_group_without_a_command_shows_its_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert entry.main(arguments) == 2
    shown = capsys.readouterr()
    assert "Usage: " in shown.out + shown.err


def test_closed_output_pipe_ends_the_command_quietly() -> None:
    command = f"{sys.executable} -c 'from covey.cli.main import run; run()' run --help | head -c 1"
    done = subprocess.run(["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"], capture_output=True, check=False)
    assert done.returncode in (0, 1)
    assert b"Traceback" not in done.stderr


def test_start_up_imports_no_heavy_library() -> None:
    heavy = ("torch", "web3", "transformers", "rich.table")
    code = f"import sys, covey.cli.main; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
