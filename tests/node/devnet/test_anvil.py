"""Finding, starting and stopping anvil, and the files it leaves."""

from __future__ import annotations

import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from covey.devnet.anvil import Anvil, find_anvil, free_port
from covey.devnet.errors import DevnetError


@pytest.mark.daemon
def test_states_of_old_blocks_are_removed_on_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    with Anvil(tmp_path / "net" / "anvil.log") as anvil:
        for account in range(1, 1_800):  # more states than anvil holds in memory
            anvil.set_balance(f"0x{account:040x}", account)
            anvil.mine()
        kept = [path for path in (tmp_path / "net").rglob("*") if path.is_file() and path.suffix != ".log"]
        assert kept, "anvil wrote no state, so the test shows nothing"
    assert [path.name for path in (tmp_path / "net").rglob("*")] == ["anvil.log"]
    assert not list(home.rglob("*")), "nothing is written to the user's home"


@pytest.mark.daemon
def test_a_free_port_is_kept_for_its_server(tmp_path: Path) -> None:
    """Another process that looks for a port gets another one, until and while the server listens."""
    port = free_port()

    def others() -> set[int]:
        """Ports that another process finds to be free among this one and its neighbour."""
        code = (
            "import secrets, sys; from covey.devnet import anvil\n"
            "choices = iter(range(400))\n"
            "secrets.randbelow = lambda below: (int(sys.argv[1]) - 18_000 + next(choices) // 2) % below\n"
            "print(anvil.free_port())"
        )
        found = subprocess.run([sys.executable, "-c", code, str(port)], capture_output=True, text=True, check=True)
        return {int(found.stdout)}

    assert port not in others()
    with ThreadingHTTPServer(("127.0.0.1", port), BaseHTTPRequestHandler):
        assert port not in others()
    assert len({free_port() for _ in range(300)}) == 300
    with ThreadingHTTPServer(("127.0.0.1", port), BaseHTTPRequestHandler):
        assert port not in others()


def test_anvil_from_the_environment_must_be_executable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COVEY_ANVIL", str(tmp_path / "anvil"))
    with pytest.raises(DevnetError, match="COVEY_ANVIL names"):
        find_anvil()
    (tmp_path / "anvil").write_text("#!/bin/sh\n")
    (tmp_path / "anvil").chmod(0o755)
    assert find_anvil() == tmp_path / "anvil"


def test_missing_anvil_error_names_the_fix(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("COVEY_ANVIL", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DevnetError, match="COVEY_ANVIL"):
        find_anvil(install=False)
    with pytest.raises(DevnetError, match=r"install Node\.js"):
        find_anvil()


def test_npm_error_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error network down' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.delenv("COVEY_ANVIL", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DevnetError, match=r"npm could not install .*network down"):
        find_anvil()


@pytest.mark.daemon
def test_anvil_starts_advances_time_and_stops(tmp_path: Path) -> None:
    with Anvil(tmp_path / "anvil.log") as chain:
        pid, before = chain.pid, chain.time()
        assert 3_599 <= chain.jump_to(before + 3_600) <= 3_600
        assert chain.time() >= before + 3_600
        assert chain.jump_to(before) == 0
        with pytest.raises(DevnetError, match="no_such_method"):
            chain.rpc("no_such_method")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.daemon
def test_anvil_that_exits_at_start_is_reported(tmp_path: Path) -> None:
    program = tmp_path / "anvil"
    program.write_text("#!/bin/sh\necho broken >&2\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(DevnetError, match=r"exited at start \(exit code 3\): broken"):
        Anvil(tmp_path / "anvil.log", program=program).start()
    assert "broken" in (tmp_path / "anvil.log").read_text()


@pytest.mark.daemon
def test_port_in_use_is_reported(tmp_path: Path) -> None:
    with Anvil(tmp_path / "first.log") as chain, pytest.raises(DevnetError, match=r"port \d+ cannot be used"):
        Anvil(tmp_path / "second.log", port=chain.port).start()
