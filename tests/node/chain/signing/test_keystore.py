"""Keystores: file mode, compatibility with other wallets, one-line errors."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from eth_account import Account

from covey.chain.errors import FatalError
from covey.chain.signing.keystore import LocalSigner, NoAddress, create_keystore, keystore_address, load_keystore

COST = 1 << 10
KEY = b"\x11" * 32


def test_keystore_opens_only_with_its_password(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "key.json"
    signer = create_keystore(path, "right", iterations=COST)
    assert load_keystore(path, "right").key == signer.key
    assert keystore_address(path) == signer.address
    with pytest.raises(FatalError, match="wrong password for"):
        load_keystore(path, "wrong")


def test_keystore_is_private_before_its_first_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key.json"
    modes: list[tuple[int, int]] = []
    original = json.dump

    def recording(*arguments: object) -> None:
        modes.append((stat.S_IMODE(path.stat().st_mode), path.stat().st_size))
        original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("covey.chain.signing.keystore.json.dump", recording)
    before = os.umask(0)
    try:
        create_keystore(path, "right", iterations=COST)
    finally:
        os.umask(before)
    assert modes == [(0o600, 0)]
    assert stat.S_IMODE((tmp_path / "key.json").stat().st_mode) == 0o600


def test_eth_account_reads_the_keystore(tmp_path: Path) -> None:
    create_keystore(tmp_path / "key.json", "right", key=KEY, iterations=COST)
    assert bytes(Account.decrypt((tmp_path / "key.json").read_text(), "right")) == KEY


def test_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    first = create_keystore(path, "right", iterations=COST)
    with pytest.raises(FatalError, match="never overwritten"):
        create_keystore(path, "right", iterations=COST)
    assert load_keystore(path, "right").key == first.key


def test_malformed_keystore_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    with pytest.raises(FatalError, match="cannot read the keystore"):
        load_keystore(path, "x")
    for text in ("", "{}", "[]", '{"version": 3}', '{"version": 9, "crypto": {}}', "\x00"):
        path.write_text(text)
        with pytest.raises(FatalError, match="is not a keystore"):
            load_keystore(path, "x")
        with pytest.raises(FatalError, match="is not a keystore"):
            keystore_address(path)
    with pytest.raises(FatalError, match="cannot write"):
        create_keystore(path / "below" / "a-file", "x", iterations=COST)


@pytest.mark.parametrize("bad", ["", "0x12", "zz" * 32, b"\0" * 32, b"\xff" * 32])
def test_malformed_private_key_is_refused(bad: str | bytes) -> None:
    with pytest.raises(FatalError, match="not a private key"):
        LocalSigner.from_key(bad)


def test_repr_does_not_contain_the_key() -> None:
    signer = LocalSigner.from_key(KEY)
    assert KEY.hex() not in repr(signer)
    assert signer.address in repr(signer)


def test_signature_recovers_to_the_address() -> None:
    signer = LocalSigner.from_key(KEY)
    fields = {"type": 2, "chainId": 1, "nonce": 0, "to": "0x" + "22" * 20, "value": 1, "gas": 21_000, "data": b""}
    signed = signer.sign_transaction(fields | {"maxFeePerGas": 2, "maxPriorityFeePerGas": 1})
    assert Account.recover_transaction(signed.raw) == signer.address
    assert len(signed.hash) == 66


def keystore_document(tmp_path: Path, **changes: object) -> tuple[Path, dict[str, object]]:
    """A keystore of `KEY` with some fields of the document or of its ``crypto`` changed; None removes one."""
    path = tmp_path / "changed.json"
    document = Account.encrypt(KEY, "right", kdf="scrypt", iterations=COST)
    for name, value in changes.items():
        place = document if name in ("address", "crypto") else document["crypto"]
        place[name] = value
        if value is None:
            del place[name]
    path.write_text(json.dumps(document), encoding="utf-8")
    return path, document


ADDRESS = Account.from_key(KEY).address


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("address", [None, "", ADDRESS, ADDRESS.lower(), ADDRESS[2:].upper()])
def test_keystores_of_other_wallets_open(tmp_path: Path, mark: str, address: str | None) -> None:
    path, _ = keystore_document(tmp_path, address=address)
    path.write_text(mark + path.read_text(encoding="utf-8"), encoding="utf-8")
    assert load_keystore(path, "right").address == ADDRESS
    if address:
        assert keystore_address(path) == ADDRESS
    else:
        with pytest.raises(NoAddress, match="must be opened"):
            keystore_address(path)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"address": "0x" + "12" * 20}, "states the address 0x1212.*but its key is of"),
        ({"address": "0x12"}, "its address is malformed"),
        ({"cipher": "aes-128-cbc"}, "its cipher is aes-128-cbc, not aes-128-ctr"),
        ({"cipher": "aes-256-ctr"}, "not aes-128-ctr"),
        ({"cipher": None}, "is not a keystore: it names no cipher"),
        ({"crypto": None}, "no field 'crypto'"),
        ({"crypto": []}, "'crypto' has no ciphertext"),
        ({"kdfparams": {"n": 1 << 30, "r": 8, "p": 1, "dklen": 32, "salt": "00"}}, "hours or gigabytes"),
        ({"kdfparams": {"n": 1 << 18, "r": 8, "p": 5000, "dklen": 32, "salt": "00"}}, "hours or gigabytes"),
        ({"kdf": "pbkdf2", "kdfparams": {"c": 10**10, "prf": "hmac-sha256", "dklen": 32, "salt": "00"}}, "hours"),
        ({"kdfparams": {"n": -1, "r": 8, "p": 1, "dklen": 32, "salt": "00"}}, "no positive numbers"),
        ({"kdfparams": {"n": "many", "r": 8, "p": 1, "dklen": 32, "salt": "00"}}, "no positive numbers"),
        ({"kdfparams": 7}, "not a keystore"),
        ({"kdf": "argon2"}, "not a keystore"),
        ({"mac": None}, "not a keystore"),
    ],
)
def test_unsafe_or_broken_keystore_is_refused(tmp_path: Path, changes: dict[str, object], reason: str) -> None:
    path, _ = keystore_document(tmp_path, **changes)
    with pytest.raises(FatalError, match=reason):
        load_keystore(path, "right")


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"7", b"{}", b"\xff\xfe{", b"[" * 60_000, b" " * 70_000, '{"crypto"'.encode("utf-16")]
)
def test_file_that_is_no_keystore_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    for read in (keystore_address, lambda file: load_keystore(file, "right")):
        with pytest.raises(FatalError, match="not a keystore"):
            read(path)
