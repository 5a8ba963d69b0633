"""Starting a node: an error that the operator must fix ends it with one line, an unreachable endpoint does not."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from covey.chain import artifacts
from covey.chain.deployment import ContractRecord, Deployment
from covey.chain.errors import SignerUnreachable
from covey.chain.signing.keystore import create_keystore
from covey.config.credentials import unlock
from covey.config.errors import ConfigError
from covey.config.node import NodeConfig
from covey.daemon.run import FAILED, MISCONFIGURED, STOPPED, run
from covey.daemon.storage.data_dir import lock_data_dir, refuse_if_running

SOURCE = str(Path(__file__).resolve().parents[3] / "node")


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    """Restore the logging configuration, which `run` replaces."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], level = before
    root.setLevel(level)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.delenv("COVEY_PASSWORD", raising=False)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    create_keystore(tmp_path / "keystore.json", "secret", iterations=1 << 10)
    (tmp_path / "password").write_text("secret\n", encoding="utf-8")
    record = {
        name: ContractRecord(name, f"0x{number:040x}", [], "0x", 1, "0x", "0x")
        for number, name in enumerate(artifacts.CONTRACTS, 1)
    }
    folder = Deployment(31337, record).save(tmp_path / "deployments")
    return {
        "roles": ["validator"],
        "keystore": str(tmp_path / "keystore.json"),
        "password_file": str(tmp_path / "password"),
        "rpc_urls": ["http://127.0.0.1:1"],
        "deployment": str(folder),
        "data_dir": str(tmp_path / "data"),
        "heldout_records": str(tmp_path / "records.jsonl"),
        "gateway_listen": None,
        "health_listen": None,
    }


def outcome(settings: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = run(NodeConfig.model_validate(settings))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return code, lines[0]


def test_a_wrong_password_ends_the_start(
    settings: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "password").write_text("wrong", encoding="utf-8")
    code, line = outcome(settings, capsys)
    assert (code, "wrong password" in line) == (FAILED, True)


def test_a_missing_password_ends_the_start(settings: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    code, line = outcome({**settings, "password_file": None}, capsys)
    assert code == MISCONFIGURED
    assert "no password for the keystore: give password_file or COVEY_PASSWORD" in line


def test_a_missing_deployment_ends_the_start(
    settings: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, line = outcome({**settings, "deployment": str(tmp_path / "nowhere")}, capsys)
    assert (code, "no deployment records" in line) == (FAILED, True)


def test_a_second_daemon_is_refused(settings: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    descriptor = lock_data_dir(Path(settings["data_dir"]))
    code, line = outcome(settings, capsys)
    assert (code, "is in use by another daemon" in line) == (MISCONFIGURED, True)
    assert f"this node is already running (pid {os.getpid()}): data_dir" in line
    os.close(descriptor)


@pytest.mark.daemon
def test_a_second_start_is_told_so_before_its_health_address(
    settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    descriptor = lock_data_dir(Path(settings["data_dir"]))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, line = outcome({**settings, "health_listen": f"127.0.0.1:{taken.getsockname()[1]}"}, capsys)
    assert (code, "already running (pid" in line) == (MISCONFIGURED, True)
    os.close(descriptor)


def test_a_lock_without_a_process_id_is_understood(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    for text in (b"", b"\xff\xfe", b"not a number\n"):
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text, 0)
        for refuse in (lock_data_dir, refuse_if_running):
            with pytest.raises(ConfigError, match="this node is already running: data_dir"):
                refuse(tmp_path)
    os.close(descriptor)
    refuse_if_running(tmp_path)


@pytest.mark.daemon
def test_an_unreachable_endpoint_is_retried(settings: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    stop = threading.Event()
    codes: list[int] = []
    config = NodeConfig.model_validate(settings)
    thread = threading.Thread(target=lambda: codes.append(run(config, stop=stop)))
    thread.start()
    output, end = "", time.monotonic() + 120
    while "not started yet" not in output:
        assert time.monotonic() < end, output
        output += capsys.readouterr().err
        time.sleep(0.05)
    stop.set()
    thread.join(120)
    assert codes == [STOPPED]
    assert "no RPC endpoint answered" in output


@pytest.mark.daemon
def test_an_unreachable_remote_signer_is_retried(
    settings: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()
    attempts: list[str] = []

    def unlock_and_count(config: NodeConfig) -> Any:
        try:
            return unlock(config)
        except SignerUnreachable as error:
            attempts.append(str(error))
            if len(attempts) == 2:
                stop.set()
            raise

    monkeypatch.setattr("covey.daemon.run.unlock", unlock_and_count)
    del settings["keystore"], settings["password_file"]
    config = NodeConfig.model_validate({**settings, "remote_signer": "clef:/nonexistent/clef.ipc"})
    assert (run(config, stop=stop), len(attempts)) == (STOPPED, 2)
    assert "not started yet" in capsys.readouterr().err


@contextmanager
def started(
    settings: dict[str, Any], tmp_path: Path, *, prefix: str = ""
) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A node in a process of its own, and its log."""
    path, file = tmp_path / "run.log", tmp_path / "settings.json"
    file.write_text(json.dumps(settings), encoding="utf-8")
    code = (
        "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # the tests may run under nohup
        f"{prefix}import json, sys; from covey.config.node import NodeConfig; from covey.daemon.run import run\n"
        f"sys.exit(run(NodeConfig.model_validate(json.load(open({str(file)!r})))))"
    )
    with path.open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", code], stderr=log, text=True, env={"PYTHONPATH": SOURCE, "HOME": str(tmp_path)}
        )
    try:
        yield process, path
    finally:
        process.kill()
        process.wait()


def wait_for_text(path: Path, text: str) -> None:
    end = time.monotonic() + 120
    while text not in path.read_text(encoding="utf-8"):
        assert time.monotonic() < end, path.read_text(encoding="utf-8")
        time.sleep(0.05)


@pytest.mark.daemon
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_stops_the_node_cleanly(settings: dict[str, Any], tmp_path: Path, number: signal.Signals) -> None:
    with started(settings, tmp_path) as (process, log):
        wait_for_text(log, "not started yet")
        process.send_signal(number)
        assert process.wait(120) == STOPPED
        text = log.read_text(encoding="utf-8")
    assert f"stopping  signal={number.name}" in text
    assert text.rstrip().endswith("stopped")


@pytest.mark.daemon
def test_hangup_that_nohup_ignores_stays_ignored(settings: dict[str, Any], tmp_path: Path) -> None:
    ignore = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    with started(settings, tmp_path, prefix=ignore) as (process, log):
        wait_for_text(log, "not started yet")
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == STOPPED
        assert "SIGHUP" not in log.read_text(encoding="utf-8")


@pytest.mark.daemon
def test_stop_does_not_wait_for_a_signer_that_hangs(settings: dict[str, Any], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it accepts connections and never answers
        del settings["keystore"], settings["password_file"]
        settings["remote_signer"] = f"web3signer:http://127.0.0.1:{silent.getsockname()[1]}"
        with started(settings, tmp_path) as (process, log):
            connection, _ = silent.accept()
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) == STOPPED
            text = log.read_text(encoding="utf-8")
            connection.close()
    assert "stopped in the middle of a call that does not end" in text  # the call itself has a deadline of a minute
    assert "not started yet" not in text


@pytest.mark.daemon
def test_health_port_in_use_ends_with_the_code_of_a_restart(settings: dict[str, Any], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings["health_listen"] = f"127.0.0.1:{taken.getsockname()[1]}"
        with started(settings, tmp_path) as (process, log):
            assert process.wait(120) == FAILED
            assert "(health_listen): Address already in use" in log.read_text(encoding="utf-8")


def test_the_daemon_imports_no_machine_learning() -> None:
    heavy = ("torch", "transformers", "tokenizers", "numpy", "safetensors", "peft")
    code = f"import sys; import covey.daemon.run; print([name for name in {heavy} if name in sys.modules])"
    output = subprocess.check_output([sys.executable, "-c", code], env={"PYTHONPATH": SOURCE}, text=True)
    assert output.strip() == "[]"
