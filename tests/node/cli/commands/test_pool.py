"""`covey pool` on a chain: terms of a pool, with the owner's key."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.chain.anvil import Chain
from tests.support.chain.registration import registration
from tests.support.cli.command_line import Covey

from covey.chain.contracts import Contracts
from covey.chain.deployment import Deployment
from covey.chain.signing.keystore import LocalSigner, create_keystore
from covey.chain.tx.oneshot import send

pytestmark = pytest.mark.daemon

PASSWORD = "a password"
OWNER = ("--owner-keystore", "owner.json", "--owner-password-file", "password")


@pytest.fixture
def owner(folder: Path, chain: Chain, contracts: Contracts, deployment: Deployment) -> LocalSigner:
    """An operator without stake; its keystores and the node's settings are in the working folder."""
    owner, signer = chain.account(0x71), chain.account(0x72)
    if not contracts.staking.pool_of(owner.address).registered:
        send(chain.rpc, owner, registration(contracts, owner.address, signer, 500))
    for name, key in (("owner", owner.key), ("signer", signer.key)):
        create_keystore(folder / f"{name}.json", PASSWORD, key=key, iterations=1 << 10)
    (folder / "password").write_text(f"{PASSWORD}\n")
    records = deployment.save(folder / "deployments")
    (folder / "covey.toml").write_text(
        f'rpc_urls = ["{chain.url}"]\ndeployment = "{records}"\nkeystore = "signer.json"\npassword_file = "password"\n'
    )
    return owner


def test_commission_goes_down_at_once_and_up_after_notice(
    owner: LocalSigner, chain: Chain, contracts: Contracts, covey: Covey
) -> None:
    staking = contracts.staking
    lower = covey("pool", "commission", "300", *OWNER)
    assert (lower.code, "set commission to 3%" in lower.out) == (0, True)
    assert staking.pool_of(owner.address).commission_bps == 300
    assert "Nothing to do: the commission is 3% already." in covey("pool", "commission", "300", *OWNER).out

    raised = covey("pool", "commission", "700", *OWNER)
    assert (raised.code, "run the command again after" in raised.out) == (0, True)
    waiting = covey("pool", "commission", "700", *OWNER)
    assert "announced already; it holds from" in waiting.out
    assert "7% commission from" in covey("pool", "show").out
    assert staking.pool_of(owner.address).commission_bps == 300
    chain.ask("evm_increaseTime", hex(3_600))
    chain.ask("evm_mine")
    applied = covey("pool", "commission", "700", *OWNER, "--json").json
    assert (applied["commission_bps"], applied["commission_from"]) == (700, 0)

    refused = covey("pool", "commission", "9000", *OWNER)
    assert (refused.code, "above the network's highest commission of 5000" in refused.err) == (2, True)


def test_the_reward_address_is_changed(owner: LocalSigner, contracts: Contracts, covey: Covey) -> None:
    signer = contracts.staking.signer_of(owner.address)
    done = covey("pool", "reward-address", signer, *OWNER, "--json").json
    assert (done["reward_address"], contracts.staking.pool_of(owner.address).reward_address) == (signer, signer)
    assert f"the reward address is {signer} already" in covey("pool", "reward-address", signer, *OWNER).out
    wrong = covey("pool", "reward-address", "0x" + "aB" * 20, *OWNER)
    assert (wrong.code, "wrong checksum" in wrong.err) == (2, True)


def test_the_pool_is_shown_without_a_password(owner: LocalSigner, covey: Covey) -> None:
    shown = covey("pool", "show")
    assert shown.code == 0
    assert f"{owner.address} (not eligible)" in shown.out
    assert "self-bond 0 CVY (minimum 100 CVY)" in shown.out
    assert covey("pool", "show", "--json").json["operator"] == owner.address


def test_a_key_without_a_pool_is_told_what_to_do(
    folder: Path, owner: LocalSigner, contracts: Contracts, covey: Covey
) -> None:
    as_signer = covey("pool", "commission", "100")
    assert (as_signer.code, f"it is the signer of {owner.address}: give --owner-keystore" in as_signer.err) == (2, True)
    create_keystore(folder / "owner.json.new", PASSWORD, iterations=1 << 10)
    stranger = ("--owner-keystore", "owner.json.new", "--owner-password-file", "password")
    assert "open one: `covey stake`" in covey("pool", "unjail", *stranger).err
    assert "is not jailed" in covey("pool", "unjail", *OWNER).out
