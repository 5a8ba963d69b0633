"""The encrypted second copy of salts, its key, and a change of signer."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from covey.daemon.storage.journal import Journal
from covey.daemon.storage.secrets import SecretError, SecretFile, derive_key, key_from_file


def test_key_file_is_created_once_and_private(tmp_path: Path) -> None:
    file, log = tmp_path / "deep" / "secrets.key", tmp_path / "secrets.log"
    key = key_from_file(file, log)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert key_from_file(file, log) == key
    assert len(key) == 32


def test_lost_or_invalid_key_file_is_an_error(tmp_path: Path) -> None:
    file, log = tmp_path / "secrets.key", tmp_path / "secrets.log"
    secrets = SecretFile(log, key_from_file(file, log))
    secrets.append("a", {"salt": "1"})
    secrets.close()
    file.unlink()
    with pytest.raises(SecretError, match=r"is encrypted under the key in .*, which is missing: restore it"):
        key_from_file(file, log)
    file.write_text("short", encoding="ascii")
    with pytest.raises(SecretError, match="64 hexadecimal digits expected"):
        key_from_file(file, log)


def test_new_signer_gets_the_secrets_of_the_former_one(tmp_path: Path) -> None:
    """After a rotation, the second copy must still replace a lost database."""
    former, new = (derive_key(bytes([number]) * 32) for number in (1, 2))
    before = Journal(tmp_path / "journal.sqlite", SecretFile(tmp_path / "secrets-former.log", former))
    before.save_secret("salt", {"salt": "0x01"})
    before.close()
    for _ in range(2):
        Journal(tmp_path / "journal.sqlite", SecretFile(tmp_path / "secrets-new.log", new)).close()
    assert len((tmp_path / "secrets-new.log").read_bytes().splitlines()) == 1
    (tmp_path / "journal.sqlite").unlink()
    after = Journal(tmp_path / "fresh.sqlite", SecretFile(tmp_path / "secrets-new.log", new))
    assert after.secret("salt") == {"salt": "0x01"}
    after.close()
