"""Passwords, tokens and the node's signer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.chain.web3signer import Web3SignerServer

from covey.chain.errors import FatalError, SignerUnreachable
from covey.chain.signing.keystore import LocalSigner, create_keystore
from covey.chain.signing.remote import RemoteSigner
from covey.config.credentials import password_of, signer_address, token_of, unlock, webhook_of
from covey.config.errors import ConfigError
from covey.config.shared import SignerSettings

KEY = b"\x11" * 32
ADDRESS = LocalSigner.from_key(KEY).address
OTHER = "0x" + "22" * 20


@pytest.fixture(autouse=True)
def _no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COVEY_PASSWORD", raising=False)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


def signer_settings(**values: Any) -> SignerSettings:
    return SignerSettings.model_validate(values)


def test_password_sources_by_precedence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="no password for the keystore: give password_file or COVEY_PASSWORD"):
        password_of(None)
    monkeypatch.setenv("COVEY_PASSWORD", "from environment")
    assert password_of(None) == "from environment"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert password_of(None) == "from environment"
    (tmp_path / "keystore-password").write_text("from systemd", encoding="utf-8")
    assert password_of(None) == "from systemd"
    (tmp_path / "secret").write_text("from file\r\n", encoding="utf-8")
    assert password_of(tmp_path / "secret") == "from file"


def test_password_keeps_spaces(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(" with spaces \n", encoding="utf-8")
    assert password_of(tmp_path / "secret") == " with spaces "


def test_unreadable_password_file_names_its_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^owner_password_file .*/none: No such file"):
        password_of(tmp_path / "none", setting="owner_password_file")
    (tmp_path / "binary").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match=r"^password_file .*/binary: not a text file in UTF-8$"):
        password_of(tmp_path / "binary")


def test_token_is_the_word_in_its_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret-word\n", encoding="utf-8")
    assert token_of("store_token_file", tmp_path / "token") == "secret-word"
    assert token_of("store_token_file", None) is None


@pytest.mark.parametrize("content", [b"", b" \n", b"two words", b"word\nX-Other: 1", "wörd".encode(), b"\xff"])
def test_other_content_is_no_token(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(ConfigError, match=r"^pinning_token_file .*/token: ") as caught:
        token_of("pinning_token_file", tmp_path / "token")
    assert "\n" not in str(caught.value)


def test_missing_token_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        token_of("store_token_file", tmp_path / "none")


def test_webhook_file_contains_a_url(tmp_path: Path) -> None:
    (tmp_path / "webhook").write_text("https://hooks.example/secret-part\n", encoding="utf-8")
    assert webhook_of(tmp_path / "webhook") == "https://hooks.example/secret-part"
    assert webhook_of(None) is None


def test_webhook_error_does_not_quote_the_file(tmp_path: Path) -> None:
    (tmp_path / "webhook").write_text("hooks.example/secret-part\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="must contain a URL") as caught:
        webhook_of(tmp_path / "webhook")
    assert "secret-part" not in str(caught.value)


def test_keystore_opens_with_its_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_keystore(tmp_path / "key.json", "secret", key=KEY, iterations=1 << 10)
    settings = signer_settings(keystore=str(tmp_path / "key.json"))
    assert signer_address(settings) == ADDRESS
    monkeypatch.setenv("COVEY_PASSWORD", "wrong")
    with pytest.raises(FatalError):
        unlock(settings)
    monkeypatch.setenv("COVEY_PASSWORD", "secret")
    assert unlock(settings).address == ADDRESS


@pytest.mark.daemon
def test_remote_signer_replaces_a_keystore() -> None:
    with Web3SignerServer([KEY], 31337) as server:
        location = f"web3signer:{server.url}"
        signer = unlock(signer_settings(remote_signer=location))
        assert isinstance(signer, RemoteSigner)
        assert signer.address == signer_address(signer_settings(remote_signer=location)) == ADDRESS
        with pytest.raises(FatalError, match="does not hold the key of"):
            unlock(signer_settings(remote_signer=location, signer_address=OTHER))
    with pytest.raises(SignerUnreachable):
        unlock(signer_settings(remote_signer=location))
    assert signer_address(signer_settings(remote_signer=location, signer_address=OTHER)) == OTHER


def test_settings_without_a_signer_are_an_error() -> None:
    with pytest.raises(ConfigError, match="no signer: give keystore or remote_signer"):
        unlock(signer_settings())
