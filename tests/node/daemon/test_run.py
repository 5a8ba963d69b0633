"""Starting a node: an error that the operator must fix ends it with one line, an unreachable endpoint does not."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from covey.chain import artifacts
from covey.chain.deployment import ContractRecord, Deployment
from covey.chain.signing.keystore import create_keystore
from covey.config.credentials import password_of, token_of
from covey.config.node import ConfigError, NodeConfig
from covey.daemon.run import FAILED, MISCONFIGURED, STOPPED, run
from covey.daemon.storage.data_dir import lock_data_dir

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
    assert descriptor > 0


@pytest.mark.daemon
def test_an_unreachable_endpoint_is_retried(settings: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    stop = threading.Event()
    codes: list[int] = []
    config = NodeConfig.model_validate(settings)
    thread = threading.Thread(target=lambda: codes.append(run(config, stop=stop)))
    thread.start()
    output, end = "", time.monotonic() + 20
    while "not started yet" not in output:
        assert time.monotonic() < end, output
        output += capsys.readouterr().err
        time.sleep(0.05)
    stop.set()
    thread.join(20)
    assert codes == [STOPPED]
    assert "no RPC endpoint answered" in output


def test_the_daemon_imports_no_machine_learning() -> None:
    heavy = ("torch", "transformers", "tokenizers", "numpy", "safetensors", "peft")
    code = f"import sys; import covey.daemon.run; print([name for name in {heavy} if name in sys.modules])"
    output = subprocess.check_output([sys.executable, "-c", code], env={"PYTHONPATH": SOURCE}, text=True)
    assert output.strip() == "[]"


class TestPassword:
    def test_the_file_takes_precedence_over_the_environment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "secret").write_text("from file\n", encoding="utf-8")
        monkeypatch.setenv("COVEY_PASSWORD", "from environment")
        assert password_of(tmp_path / "secret") == "from file"
        assert password_of(None) == "from environment"

    def test_a_systemd_credential_is_used(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "keystore-password").write_text("from systemd", encoding="utf-8")
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
        assert password_of(None) == "from systemd"

    def test_a_missing_file_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="No such file"):
            password_of(tmp_path / "none")


class TestToken:
    def test_the_token_is_the_word_in_its_file(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text("secret-word\n", encoding="utf-8")
        assert token_of("store_token_file", tmp_path / "secret") == "secret-word"
        assert token_of("store_token_file", None) is None

    @pytest.mark.parametrize("content", [b"", b" \n", b"two words", b"word\nX-Other: 1", "wörd".encode(), b"\xff"])
    def test_any_other_content_is_refused_in_one_line(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "secret").write_bytes(content)
        with pytest.raises(ConfigError, match=r"^pinning_token_file .*/secret: ") as caught:
            token_of("pinning_token_file", tmp_path / "secret")
        assert "\n" not in str(caught.value)

    def test_a_missing_file_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="No such file"):
            token_of("store_token_file", tmp_path / "none")
