"""`covey keys` without a chain: create, import, list and export keystores; bad input."""

from __future__ import annotations

import io
import os
import pty
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from eth_account import Account
from tests.support.cli.command_line import Covey

from covey.chain.signing.keystore import LocalSigner, create_keystore, load_keystore

KEY = "0x" + "51" * 32
ADDRESS = LocalSigner.from_key(KEY).address
PASSWORD = "a password"
PASSWORD_FILE = ("--password-file", "password")


@pytest.fixture(autouse=True)
def _password(folder: Path) -> None:
    (folder / "password").write_text(f"{PASSWORD}\n")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_new_keystore_is_private_and_opens(folder: Path, covey: Covey) -> None:
    created = covey("keys", "new", "keys/a.json", *PASSWORD_FILE, "--json").json
    path = folder / "keys/a.json"
    assert created["keystore"] == "keys/a.json"
    assert mode(path) == 0o600
    assert mode(path.parent) & 0o077 == 0
    assert load_keystore(path, PASSWORD).address == created["address"]


def test_list_skips_other_files_and_marks_readable_ones(folder: Path, covey: Covey) -> None:
    address = covey("keys", "new", "keys/a.json", *PASSWORD_FILE, "--json").json["address"]
    (folder / "keys/notes.txt").write_text("not a key")
    (folder / "keys/open.json").write_bytes((folder / "keys/a.json").read_bytes())
    (folder / "keys/open.json").chmod(0o644)
    keys = covey("keys", "list", "keys", "--json").json
    assert [(Path(key["where"]).name, key["private"]) for key in keys] == [("a.json", True), ("open.json", False)]
    assert {key["address"] for key in keys} == {address}
    assert "readable by others: chmod 600 it" in covey("keys", "list", "keys").out


def test_export_writes_a_private_file_or_prints(folder: Path, covey: Covey) -> None:
    address = covey("keys", "new", "a.json", *PASSWORD_FILE, "--json").json["address"]
    exported = covey("keys", "export", "a.json", *PASSWORD_FILE, "--out", "hex")
    text = (folder / "hex").read_text().strip()
    assert (exported.code, mode(folder / "hex")) == (0, 0o600)
    assert Account.from_key(text).address == address
    assert text not in exported.out
    assert covey("keys", "export", "a.json", *PASSWORD_FILE, "--out", "-").out.strip() == text
    again = covey("keys", "export", "a.json", *PASSWORD_FILE, "--out", "hex")
    assert (again.code, "hex exists and is not overwritten" in again.err) == (2, True)


def test_import_from_a_hexadecimal_file(folder: Path, covey: Covey) -> None:
    (folder / "hex").write_text(f"{KEY}\n")
    assert covey("keys", "import", "hex", "a.json", *PASSWORD_FILE, "--json").json["address"] == ADDRESS
    assert load_keystore(folder / "a.json", PASSWORD).address == ADDRESS


def test_import_from_a_keystore_with_its_own_password(folder: Path, covey: Covey) -> None:
    (folder / "old").write_text("another one")
    create_keystore(folder / "geth.json", "another one", key=bytes.fromhex(KEY[2:]), iterations=1 << 10)
    source = ("keys", "import", "geth.json", "b.json", "--source-password-file", "old")
    assert covey(*source, *PASSWORD_FILE, "--json").json["address"] == ADDRESS
    assert load_keystore(folder / "b.json", PASSWORD).address == ADDRESS


def test_import_from_standard_input(folder: Path, covey: Covey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COVEY_PASSWORD", "from the environment")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{KEY}\n"))
    assert covey("keys", "import", "-", "c.json", "--json").json["address"] == ADDRESS
    assert load_keystore(folder / "c.json", "from the environment").address == ADDRESS


def run_on_terminal(folder: Path, *answers: str) -> tuple[int, str]:
    """Run `covey keys new key.json` on a pseudo-terminal and answer each prompt; returns code and standard error."""
    master, slave = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(folder)}
    code = "import sys; from covey.cli.main import main; sys.exit(main(['keys', 'new', 'key.json']))"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=slave,
        stdout=slave,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=folder,
        start_new_session=True,
    )
    os.close(slave)
    assert process.stderr is not None
    error = b""
    for answer in answers:  # after each prompt: getpass discards input that was typed before
        while not error.endswith(b": ") and (piece := os.read(process.stderr.fileno(), 1)):
            error += piece
        error += b"\n"
        os.write(master, f"{answer}\n".encode())
    error += process.stderr.read()
    process.wait(240)
    os.close(master)
    process.stderr.close()
    return process.returncode, error.decode()


def test_typed_password_must_be_repeated(folder: Path) -> None:
    code, error = run_on_terminal(folder, PASSWORD, "a passwort")
    assert (code, "the two passwords differ" in error) == (2, True), error
    assert not (folder / "key.json").exists()
    code, error = run_on_terminal(folder, PASSWORD, PASSWORD)
    assert code == 0, error
    assert load_keystore(folder / "key.json", PASSWORD).address


def test_systemd_credential_is_the_password(folder: Path, covey: Covey, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "credentials").mkdir()
    (folder / "credentials/keystore-password").write_text("from systemd\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder / "credentials"))
    created = covey("keys", "new", "a.json", "--json").json
    assert load_keystore(folder / "a.json", "from systemd").address == created["address"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("keys new new.json", "no password"),
        ("keys new password --password-file password", "password exists; a key is never overwritten"),
        ("keys new a.json --password-file short", "the password has 5 characters, at least 8 are needed"),
        ("keys new a.json --password-file missing", "password_file missing: No such file"),
        ("keys import missing a.json --password-file password", "cannot read the key missing"),
        ("keys import short a.json --password-file password", "short: not a private key"),
        ("keys export missing.json --out x", "missing.json: no such keystore"),
        ("keys export missing.json", "Missing option '--out'"),
        ("keys list missing", "missing: no such folder"),
        ("keys list", "no keys: give a folder, or --keystore"),
        ("keys rotate", "give a path for the new signer's keystore, or --to with its address"),
        ("keys rotate new.json --to 0x12", "or --to with its address"),
        ("keys rotate new.json", "no deployment"),
        ("keys clef-rules", "no deployment"),
    ],
)
def test_bad_input_writes_nothing(folder: Path, covey: Covey, arguments: str, message: str) -> None:
    (folder / "short").write_text("12345")
    before = sorted(path.name for path in folder.iterdir())
    done = covey(*arguments.split())
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert done.err.count("\n") == 1
    assert sorted(path.name for path in folder.iterdir()) == before


def test_keystores_are_listed_in_natural_order(covey: Covey, folder: Path) -> None:
    names = [f"account-{number}.json" for number in (10, 2, 1)]
    for number, name in enumerate(names, 1):
        create_keystore(folder / name, PASSWORD, key=number.to_bytes(32, "big"), iterations=1 << 10)
    shown = covey("keys", "list", str(folder)).out
    assert sorted(names, key=shown.index) == ["account-1.json", "account-2.json", "account-10.json"]
