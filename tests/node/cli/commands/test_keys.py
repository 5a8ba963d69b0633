"""`covey keys`: keystores made, imported, listed, exported; a signer replaced on the chain; rules for Clef."""

from __future__ import annotations

import io
import json
import os
import pty
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from tests.support.chain.anvil import CHAIN_ID, Chain
from tests.support.chain.web3signer import Web3SignerServer

from covey.chain.contracts import Contracts
from covey.chain.deployment import Deployment
from covey.chain.signing.keystore import LocalSigner, create_keystore, load_keystore
from covey.chain.tx.oneshot import send
from covey.cli.main import main

KEY = "0x" + "51" * 32
ADDRESS = LocalSigner.from_key(KEY).address


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("COVEY_") and name != "COVEY_REQUIRE_ANVIL"]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "password").write_text("a password\n")
    return tmp_path


def covey(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any, str]:
    code = main(list(arguments))
    said = capsys.readouterr()
    return code, json.loads(said.out) if said.out.startswith(("{", "[")) else said.out, said.err.strip()


def test_a_key_is_made_listed_and_exported(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, made, _ = covey(capsys, "keys", "new", "keys/a.json", "--password-file", "password", "--json")
    assert (code, made["keystore"]) == (0, "keys/a.json")
    path = here / "keys/a.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o077 == 0
    assert load_keystore(path, "a password").address == made["address"]

    (here / "keys/notes.txt").write_text("not a key")
    (here / "keys/open.json").write_bytes(path.read_bytes())
    (here / "keys/open.json").chmod(0o644)
    code, listed, _ = covey(capsys, "keys", "list", "keys", "--json")
    assert code == 0
    assert [(Path(one["where"]).name, one["private"]) for one in listed] == [("a.json", True), ("open.json", False)]
    assert {one["address"] for one in listed} == {made["address"]}
    code, out, _ = covey(capsys, "keys", "list", "keys")
    assert (code, "readable by others" in out) == (0, True)

    code, out, _ = covey(capsys, "keys", "export", "keys/a.json", "--password-file", "password", "--out", "hex")
    assert (code, stat.S_IMODE((here / "hex").stat().st_mode)) == (0, 0o600)
    text = (here / "hex").read_text().strip()
    assert Account.from_key(text).address == made["address"]
    assert text not in out
    code, out, _ = covey(capsys, "keys", "export", "keys/a.json", "--password-file", "password", "--out", "-")
    assert (code, out.strip()) == (0, text)


def test_a_key_is_imported_from_hex_and_from_a_keystore(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "hex").write_text(KEY + "\n")
    code, made, _ = covey(capsys, "keys", "import", "hex", "a.json", "--password-file", "password", "--json")
    assert (code, made["address"]) == (0, ADDRESS)
    (here / "old").write_text("another one")
    create_keystore(here / "geth.json", "another one", key=bytes.fromhex(KEY[2:]), iterations=1 << 10)
    again = ("keys", "import", "geth.json", "b.json", "--source-password-file", "old", "--password-file", "password")
    code, made, _ = covey(capsys, *again, "--json")
    assert (code, made["address"]) == (0, ADDRESS)
    assert load_keystore(here / "b.json", "a password").address == ADDRESS
    monkeypatch.setenv("COVEY_PASSWORD", "from the environment")
    monkeypatch.setattr("sys.stdin", io.StringIO(KEY + "\n"))
    code, made, _ = covey(capsys, "keys", "import", "-", "c.json", "--json")
    assert load_keystore(here / "c.json", "from the environment").address == made["address"] == ADDRESS


def test_a_password_is_typed_twice_at_a_terminal(here: Path) -> None:
    """On a real terminal: a slip of the hand must not lock the key away."""

    def typed(*lines: str) -> tuple[int, str]:
        master, slave = pty.openpty()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "HOME": str(here)}
        code = "import sys; from covey.cli.main import main; sys.exit(main(['keys', 'new', 'key.json']))"
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=slave, stdout=slave, stderr=subprocess.PIPE, env=environment, cwd=here,
            start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        assert process.stderr is not None
        error = b""
        for line in lines:  # not before it is asked for: what was typed ahead is thrown away
            while not error.endswith(b": ") and (piece := os.read(process.stderr.fileno(), 1)):
                error += piece
            error += b"\n"
            os.write(master, f"{line}\n".encode())
        error += process.stderr.read()
        process.wait(240)
        os.close(master)
        process.stderr.close()
        return process.returncode, error.decode()

    code, error = typed("a password", "a passwort")
    assert (code, "the two passwords differ" in error) == (2, True), error
    assert not (here / "key.json").exists()
    code, error = typed("a password", "a password")
    assert code == 0, error
    assert load_keystore(here / "key.json", "a password").address


def test_a_systemd_credential_serves_as_password(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "credentials").mkdir()
    (here / "credentials/keystore-password").write_text("from systemd\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(here / "credentials"))
    code, made, _ = covey(capsys, "keys", "new", "a.json", "--json")
    assert code == 0
    assert load_keystore(here / "a.json", "from systemd").address == made["address"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("keys new here.json", "no password"),
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
def test_bad_input(here: Path, capsys: pytest.CaptureFixture[str], arguments: str, said: str) -> None:
    (here / "short").write_text("12345")
    before = sorted(path.name for path in here.iterdir())
    code, out, error = covey(capsys, *arguments.split())
    assert (code, out) == (2, "")
    assert said in error
    assert len(error.splitlines()) == 1
    assert sorted(path.name for path in here.iterdir()) == before


# ---------------------------------------------------------------------- on the chain


@pytest.fixture
def owner(here: Path, chain: Chain, contracts: Contracts, deployment: Deployment) -> LocalSigner:
    """An operator with a signer, and the settings of its node."""
    owner, signer = chain.account(0x61), chain.account(0x62)
    send(chain.rpc, owner, contracts.staking.register_operator(signer.address, owner.address, 0))
    for name, key in (("owner", owner.key), ("signer", signer.key)):
        create_keystore(here / f"{name}.json", "a password", key=key, iterations=1 << 10)
    records = deployment.save(here / "deployments")
    (here / "covey.toml").write_text(
        f'rpc_urls = ["{chain.url}"]\ndeployment = "{records}"\nkeystore = "signer.json"\npassword_file = "password"\n'
    )
    return owner


@pytest.mark.daemon
def test_a_signer_is_rotated_by_the_owner(
    here: Path, owner: LocalSigner, contracts: Contracts, capsys: pytest.CaptureFixture[str]
) -> None:
    old = contracts.staking.signer_of(owner.address)
    mine = ("--owner-keystore", "owner.json", "--owner-password-file", "password")
    code, told, error = covey(capsys, "keys", "rotate", "next.json", *mine, "--json")
    assert (code, error) == (0, "")
    fresh = load_keystore(here / "next.json", "a password").address
    assert contracts.staking.signer_of(owner.address) == told["signer"] == fresh != old
    assert (told["operator"], told["former"]) == (owner.address, old)
    assert any(f'keystore = "{here / "next.json"}"' in line for line in told["next"])
    code, listed, _ = covey(capsys, "keys", "list", "--keystore", "next.json", "--json")
    roles = {Path(one["where"]).name: one["roles"] for one in listed}
    assert code == 0
    assert roles["next.json"] == [f"signer of {owner.address}"]
    assert roles["owner.json"] == [f"operator with the signer {fresh}"]
    assert roles["signer.json"] == []
    code, _, error = covey(capsys, "keys", "rotate", "next.json", *mine, "--operator", owner.address)
    assert (code, f"{fresh} is the signer of {owner.address} already" in error) == (2, True)
    code, _, error = covey(capsys, "keys", "rotate", "more.json", "--owner-keystore", "next.json",
                           "--owner-password-file", "password", "--operator", owner.address)  # fmt: skip
    assert (code, f"only {owner.address} itself can set its signer" in error) == (2, True)
    assert not (here / "more.json").exists()


@pytest.mark.daemon
def test_a_signer_is_rotated_by_an_owner_that_is_elsewhere(
    here: Path, owner: LocalSigner, chain: Chain, contracts: Contracts, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is printed is what a hardware wallet has to send."""
    with Web3SignerServer([b"\x63" * 32], CHAIN_ID) as server:
        (remote,) = (LocalSigner.from_key(b"\x63" * 32).address,)
        code, told, _ = covey(capsys, "keys", "rotate", "--to", remote, "--json")
        assert (code, told["transaction"], told["keystore"]) == (0, None, None)
        assert contracts.staking.signer_of(owner.address) != remote
        fields = {"from": owner.address, "to": told["to"], "data": told["data"]}
        chain.ask("anvil_impersonateAccount", owner.address)
        sent = chain.ask("eth_sendTransaction", fields)
        while chain.rpc.receipt(sent) is None:
            pass
        chain.ask("anvil_stopImpersonatingAccount", owner.address)
        assert contracts.staking.signer_of(owner.address) == remote
        code, out, _ = covey(capsys, "keys", "rotate", "--to", "0x" + "77" * 20, "--operator", owner.address)
        assert (code, "to be set by the owner" in out) == (0, True)

        settings = (here / "covey.toml").read_text().replace('keystore = "signer.json"\n', "")
        (here / "covey.toml").write_text(settings + f'remote_signer = "web3signer:{server.url}"\n')
        code, (listed,), _ = covey(capsys, "keys", "list", "--json")
        assert (code, listed["address"], listed["roles"]) == (0, remote, [f"signer of {owner.address}"])
        chain.ask("anvil_setBalance", remote, hex(10**18))
        code, found, _ = covey(capsys, "check", "--json")
        told = {one["check"]: (one["state"], one["message"]) for one in found}
        assert told["remote signer"] == ("ok", f"{remote}, held by web3signer at {server.url}")
    code, found, _ = covey(capsys, "check", "--json")
    state, why = {one["check"]: (one["state"], one["message"]) for one in found}["remote signer"]
    assert (state, "does not answer" in why) == ("failed", True)


@pytest.mark.daemon
def test_rules_for_clef_name_this_networks_contracts(
    owner: LocalSigner, contracts: Contracts, deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = covey(capsys, "keys", "clef-rules", "--max-gas-price", "25 gwei")
    assert code == 0
    for name, record in deployment.contracts.items():
        assert (record.address.lower() in out) == (name != "AccessManager")
    assert f'var SIGNER = "{contracts.staking.signer_of(owner.address).lower()}";' in out
    assert "var MAX_WEI_PER_GAS = 25000000000;" in out
