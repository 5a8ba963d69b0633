"""How a node comes to its signer, and where it keeps its secrets when the key is elsewhere."""

from __future__ import annotations

import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.support.chain.web3signer import Web3SignerServer

from covey.chain.errors import FatalError, SignerUnreachable
from covey.chain.signing.keystore import LocalSigner, create_keystore
from covey.chain.signing.remote import RemoteSigner
from covey.config.credentials import unlock
from covey.config.node import NodeConfig
from covey.daemon import run as running
from covey.daemon.storage.journal import Journal
from covey.daemon.storage.secrets import SecretError, SecretFile, derive_key, key_from_file

KEY = b"\x11" * 32
ADDRESS = LocalSigner.from_key(KEY).address


def config(tmp_path: Path, **given: Any) -> NodeConfig:
    return NodeConfig.model_validate(
        {
            "roles": ["validator"],
            "rpc_urls": ["http://127.0.0.1:1"],
            "deployment": str(tmp_path),
            "data_dir": str(tmp_path / "data"),
            "heldout_records": str(tmp_path / "records.jsonl"),
            "gateway_listen": None,
            "health_listen": None,
            **given,
        }
    )


@pytest.mark.daemon
def test_a_remote_signer_takes_the_place_of_a_keystore(tmp_path: Path) -> None:
    with Web3SignerServer([KEY], 31337) as server:
        signer = unlock(config(tmp_path, remote_signer=f"web3signer:{server.url}"))
        assert isinstance(signer, RemoteSigner)
        assert signer.address == ADDRESS
        with pytest.raises(FatalError, match="does not hold the key of"):
            unlock(config(tmp_path, remote_signer=f"web3signer:{server.url}", signer_address="0x" + "22" * 20))
    with pytest.raises(SignerUnreachable):
        unlock(config(tmp_path, remote_signer=f"web3signer:{server.url}"))


@pytest.mark.daemon
def test_a_node_waits_for_a_remote_signer_that_is_not_there_yet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()
    tried: list[str] = []

    def patient(given: NodeConfig) -> Any:
        try:
            return unlock(given)
        except SignerUnreachable as error:
            tried.append(str(error))
            if len(tried) == 2:
                stop.set()
            raise

    monkeypatch.setattr(running, "unlock", patient)
    code = running.run(config(tmp_path, remote_signer="clef:/nonexistent/clef.ipc"), stop=stop)
    assert (code, len(tried)) == (running.STOPPED, 2)
    assert "not started yet" in capsys.readouterr().err


def test_a_systemd_credential_opens_the_keystore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_keystore(tmp_path / "key.json", "secret", key=KEY, iterations=1 << 10)
    monkeypatch.delenv("COVEY_PASSWORD", raising=False)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "keystore-password").write_text("secret\n", encoding="utf-8")
    assert unlock(config(tmp_path, keystore=str(tmp_path / "key.json"))).address == ADDRESS


def test_the_key_of_the_second_copy_is_made_once_and_missed_when_it_is_gone(tmp_path: Path) -> None:
    key, log = tmp_path / "deep" / "secrets.key", tmp_path / "secrets.log"
    made = key_from_file(key, log)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key_from_file(key, log) == made
    assert len(made) == 32
    secrets = SecretFile(log, made)
    secrets.append("a", {"salt": "1"})
    secrets.close()
    key.unlink()
    with pytest.raises(SecretError, match=r"is encrypted under the key in .*, which is missing: restore it"):
        key_from_file(key, log)
    key.write_text("short", encoding="ascii")
    with pytest.raises(SecretError, match="64 hexadecimal digits expected"):
        key_from_file(key, log)


def test_a_new_signer_gets_the_secrets_of_the_old_one(tmp_path: Path) -> None:
    """After a rotation, a lost database must cost no more than before it."""
    old, new = (derive_key(bytes([number]) * 32) for number in (1, 2))
    before = Journal(tmp_path / "journal.sqlite", SecretFile(tmp_path / "secrets-old.log", old))
    before.save_secret("salt", {"salt": "0x01"})
    before.close()
    for _ in range(2):
        Journal(tmp_path / "journal.sqlite", SecretFile(tmp_path / "secrets-new.log", new)).close()
    assert len((tmp_path / "secrets-new.log").read_bytes().splitlines()) == 1
    (tmp_path / "journal.sqlite").unlink()
    after = Journal(tmp_path / "fresh.sqlite", SecretFile(tmp_path / "secrets-new.log", new))
    assert after.secret("salt") == {"salt": "0x01"}
    after.close()
