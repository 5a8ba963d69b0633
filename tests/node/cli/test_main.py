"""Exit codes and error lines of the command."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from covey.chain.errors import FatalError, RpcResponseError, Unreachable, WrongChain
from covey.cli import main as entry
from covey.cli.errors import CliError, InputError
from covey.client.errors import InvalidInput, NetworkError
from covey.config.errors import ConfigError
from covey.ipfs.errors import SourceError
from covey.lora.errors import LoraError


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


class _UnlistedError(LoraError):
    """Stands for any error class of the package, of whatever part."""


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (Unreachable("no RPC endpoint answered eth_call"), 1, "no RPC endpoint answered eth_call"),
        (WrongChain("serves chain 5"), 1, "serves chain 5"),
        (FatalError("no deployment records"), 1, "no deployment records"),
        (
            RpcResponseError("eth_call", -32000, "quota [/v3/abc] used up"),
            1,
            "eth_call: quota [/v3/abc] used up (-32000)",
        ),
        (ConfigError("--store: no"), 2, "--store: no"),
        (SourceError("peer [/red] answered 500"), 1, "peer [/red] answered 500"),
        (_UnlistedError("unlisted"), 1, "unlisted"),
        (RecursionError("maximum recursion depth exceeded"), 1, "nested too deep"),
        (FileNotFoundError(2, "No such file or directory", "/a/[b]"), 1, "/a/[b]: No such file or directory"),
        (OSError("no strerror"), 1, "no strerror"),
        (sqlite3.DatabaseError("file is not a database"), 1, "the node's journal: file is not a database"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), 1, "text that is not UTF-8"),
        (json.JSONDecodeError("Expecting value", "x", 0), 1, "not JSON"),
        (CliError("escape \x1b[31m and \u202ereversed"), 1, "escape \ufffd[31m and \ufffdreversed"),
    ],
)
def test_outside_cause_is_one_line_without_a_traceback(
    error: Exception, code: int, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: Any) -> None:
        raise error

    monkeypatch.setattr(entry, "app", fail)
    assert entry.main([]) == code
    shown = capsys.readouterr().err
    assert shown.startswith("covey: ")
    assert line in shown
    assert shown.count("\n") == 1


def run_covey(arguments: str, *, prefix: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command line in a shell, so that streams can be closed; `prefix` comes before the command."""
    covey = f"{sys.executable} -c 'from covey.cli.main import run; run()'"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COVEY_")}
    return subprocess.run(
        ["sh", "-c", f"{prefix} {covey} {arguments}"],
        env=kept | environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def test_terminal_that_shows_ascii_only_gets_replaced_characters() -> None:
    done = run_covey("init --help", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    done = run_covey("keys show 'ü…'", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_cause_no_traceback(tmp_path: Path, closed: str) -> None:
    done = run_covey(f"keys import - {tmp_path}/k.json {closed}", HOME=str(tmp_path))
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stdout + done.stderr


def test_unknown_home_is_no_error_where_none_is_needed(tmp_path: Path) -> None:
    code = (
        "import pathlib\n"
        "def none(self): raise RuntimeError('Could not determine home directory.')\n"
        "pathlib.Path.expanduser = none\n"
        "from covey.cli.main import main; import sys\n"
        "sys.exit(main(['task', 'list']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "no deployment" in done.stderr or "no chain" in done.stderr
