"""`covey keys` on a chain: signer rotation, roles of keys, rules for Clef."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.chain.anvil import CHAIN_ID, Chain
from tests.support.chain.registration import registration
from tests.support.chain.web3signer import Web3SignerServer
from tests.support.cli.command_line import Covey

from covey.chain.contracts import Contracts
from covey.chain.deployment import Deployment
from covey.chain.signing.consent import sign_consent
from covey.chain.signing.keystore import LocalSigner, create_keystore, load_keystore
from covey.chain.tx.oneshot import send

pytestmark = pytest.mark.daemon

PASSWORD = "a password"
OWNER_KEY = ("--owner-keystore", "owner.json", "--owner-password-file", "password")


@pytest.fixture
def owner(folder: Path, chain: Chain, contracts: Contracts, deployment: Deployment) -> LocalSigner:
    """An operator with a registered signer; their keystores and the node's settings are in the working folder."""
    owner, signer = chain.account(0x61), chain.account(0x62)
    send(chain.rpc, owner, registration(contracts, owner.address, signer))
    for name, key in (("owner", owner.key), ("signer", signer.key)):
        create_keystore(folder / f"{name}.json", PASSWORD, key=key, iterations=1 << 10)
    (folder / "password").write_text(f"{PASSWORD}\n")
    records = deployment.save(folder / "deployments")
    (folder / "covey.toml").write_text(
        f'rpc_urls = ["{chain.url}"]\ndeployment = "{records}"\nkeystore = "signer.json"\npassword_file = "password"\n'
    )
    return owner


def consent_to(contracts: Contracts, owner: LocalSigner, signer: LocalSigner) -> str:
    return "0x" + sign_consent(signer, contracts.staking.consent_of(owner.address)).hex()


def test_owner_key_sets_the_new_signer(folder: Path, owner: LocalSigner, contracts: Contracts, covey: Covey) -> None:
    former = contracts.staking.signer_of(owner.address)
    done = covey("keys", "rotate", "next.json", *OWNER_KEY, "--json")
    assert (done.code, done.err) == (0, "")
    signer = load_keystore(folder / "next.json", PASSWORD).address
    assert contracts.staking.signer_of(owner.address) == done.json["signer"] == signer != former
    assert (done.json["operator"], done.json["former"]) == (owner.address, former)
    assert any(f'keystore = "{folder / "next.json"}"' in step for step in done.json["next"])

    keys = covey("keys", "list", "--keystore", "next.json", "--json").json
    roles = {Path(key["where"]).name: key["roles"] for key in keys}
    assert roles["next.json"] == [f"signer of {owner.address}"]
    assert roles["owner.json"] == [f"operator with the signer {signer}"]
    assert roles["signer.json"] == []

    again = covey("keys", "rotate", "next.json", *OWNER_KEY, "--operator", owner.address)
    assert (again.code, f"{signer} is the signer of {owner.address} already" in again.err) == (2, True)


def test_the_owners_keystore_says_who_the_operator_is(
    folder: Path, owner: LocalSigner, contracts: Contracts, covey: Covey
) -> None:
    """Also where the settings' signer is not registered any more, as after a rotation."""
    local = LocalSigner.from_key(b"\x64" * 32).address
    for number in (0x65, 0x64):
        key = LocalSigner.from_key(bytes([number]) * 32)
        done = covey("keys", "rotate", "--to", key.address, "--consent", consent_to(contracts, owner, key), *OWNER_KEY)
        assert done.code == 0
    assert (done.code, done.err) == (0, "")
    assert contracts.staking.signer_of(owner.address) == local
    assert f"set keystore to the one of {local} (or remote_signer" in done.out


def test_key_of_another_owner_is_rejected_before_a_key_is_created(
    folder: Path, owner: LocalSigner, covey: Covey
) -> None:
    wrong = ("--owner-keystore", "signer.json", "--owner-password-file", "password", "--operator", owner.address)
    done = covey("keys", "rotate", "more.json", *wrong)
    assert (done.code, f"only {owner.address} itself can set its signer" in done.err) == (2, True)
    assert not (folder / "more.json").exists()


def test_without_the_owner_key_the_transaction_is_printed(
    owner: LocalSigner, chain: Chain, contracts: Contracts, covey: Covey
) -> None:
    """The printed call, sent from the owner's account by another wallet, sets the signer."""
    key = LocalSigner.from_key(b"\x63" * 32)
    remote, consent = key.address, consent_to(contracts, owner, key)
    missing = covey("keys", "rotate", "--to", remote)
    assert (missing.code, f"there is no consent of {remote} to act for {owner.address}" in missing.err) == (2, True)
    broken = covey("keys", "rotate", "--to", remote, "--consent", "0x12")
    assert (broken.code, "--consent is not a signature" in broken.err) == (2, True)
    rotation = covey("keys", "rotate", "--to", remote, "--consent", consent, "--json").json
    assert (rotation["transaction"], rotation["keystore"]) == (None, None)
    assert contracts.staking.signer_of(owner.address) != remote
    chain.ask("anvil_impersonateAccount", owner.address)
    sent = chain.ask("eth_sendTransaction", {"from": owner.address, "to": rotation["to"], "data": rotation["data"]})
    while chain.rpc.receipt(sent) is None:
        pass
    chain.ask("anvil_stopImpersonatingAccount", owner.address)
    assert contracts.staking.signer_of(owner.address) == remote
    other = LocalSigner.from_key(b"\x64" * 32)
    given = ("--to", other.address, "--consent", consent_to(contracts, owner, other))
    shown = covey("keys", "rotate", *given, "--operator", owner.address)
    assert (shown.code, f"to be set by the owner {owner.address}" in shown.out) == (0, True)


def test_remote_signer_is_listed_and_checked(
    folder: Path, owner: LocalSigner, chain: Chain, contracts: Contracts, covey: Covey
) -> None:
    with Web3SignerServer([b"\x63" * 32], CHAIN_ID) as server:
        remote = LocalSigner.from_key(b"\x63" * 32).address
        before = (folder / "covey.toml").read_text()
        settings = before.replace('keystore = "signer.json"\n', "") + f'remote_signer = "web3signer:{server.url}"\n'
        (folder / "covey.toml").write_text(settings)
        consent = covey("keys", "consent", owner.address).out.strip()
        assert consent == consent_to(contracts, owner, LocalSigner.from_key(b"\x63" * 32))
        (folder / "covey.toml").write_text(before)
        assert covey("keys", "rotate", "--to", remote, "--consent", consent, *OWNER_KEY).code == 0
        (folder / "covey.toml").write_text(settings)
        (key,) = covey("keys", "list", "--json").json
        assert (key["address"], key["roles"]) == (remote, [f"signer of {owner.address}"])
        chain.ask("anvil_setBalance", remote, hex(10**18))
        findings = {finding["check"]: finding for finding in covey("check", "--json").json}
        assert findings["remote signer"]["state"] == "ok"
        assert findings["remote signer"]["message"] == f"{remote}, held by web3signer at {server.url}"
    findings = {finding["check"]: finding for finding in covey("check", "--json").json}
    assert findings["remote signer"]["state"] == "failed"
    assert "does not answer" in findings["remote signer"]["message"]


def test_clef_rules_name_this_networks_contracts(
    owner: LocalSigner, contracts: Contracts, deployment: Deployment, covey: Covey
) -> None:
    rules = covey("keys", "clef-rules", "--max-gas-price", "25 gwei").out
    for name, record in deployment.contracts.items():
        assert (record.address.lower() in rules) == (name != "AccessManager")
    assert f'var SIGNER = "{contracts.staking.signer_of(owner.address).lower()}";' in rules
    assert "var MAX_WEI_PER_GAS = 25000000000;" in rules
