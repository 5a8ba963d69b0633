"""`covey governance` on a chain whose governance has a delay and a guardian, as a public network has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.chain.anvil import Chain
from tests.support.cli.command_line import Covey

from covey.chain.contracts import Contracts
from covey.chain.deploy.deploy import DeployConfig, deploy
from covey.chain.signing.keystore import create_keystore

pytestmark = pytest.mark.daemon

PASSWORD = "a password"
GOVERNANCE = ("--owner-keystore", "governance.json", "--owner-password-file", "password")
GUARDIAN = ("--owner-keystore", "guardian.json", "--owner-password-file", "password")
NOBODY = "0x" + "12" * 20


@pytest.fixture
def contracts(folder: Path, chain: Chain) -> Contracts:
    """The public configuration; keystores of governance and guardian, and the settings, are in the working folder."""
    deployer, governance, guardian = (chain.account(number) for number in (0x11, 0x12, 0x13))
    config = replace(DeployConfig.public(), governance=governance.address, guardian=guardian.address)
    deployment = deploy(chain.rpc, deployer, config)
    for name, key in (("governance", governance.key), ("guardian", guardian.key)):
        create_keystore(folder / f"{name}.json", PASSWORD, key=key, iterations=1 << 10)
    (folder / "password").write_text(f"{PASSWORD}\n")
    records = deployment.save(folder / "deployments")
    (folder / "covey.toml").write_text(f'rpc_urls = ["{chain.url}"]\ndeployment = "{records}"\n')
    return Contracts(chain.rpc, deployment)


def test_a_change_is_announced_then_executed(contracts: Contracts, chain: Chain, covey: Covey) -> None:
    shown = covey("governance", "show")
    assert (shown.code, "No call was ever scheduled." in shown.out) == (0, True)
    holders = covey("governance", "show", "--json").json["holders"]
    assert {(one["role"], one["delay"]) for one in holders} == {
        ("ADMIN", 172_800),
        ("GUARDIAN", 172_800),
        ("GUARDIAN", 0),
        ("MINTER", 0),
        ("GOVERNOR", 172_800),
    }
    proposed = covey("governance", "propose", "Staking.setDuty", NOBODY, "true", *GOVERNANCE)
    assert (proposed.code, f"schedule Staking.setDuty({NOBODY}, true), to execute from" in proposed.out) == (0, True)
    [waiting] = covey("governance", "show", "--json").json["proposals"]
    assert (waiting["state"], waiting["call"]) == ("waiting", f"Staking.setDuty({NOBODY}, true)")
    early = covey("governance", "execute", waiting["id"], *GOVERNANCE)
    assert (early.code, "is waiting until" in early.err) == (2, True)

    chain.jump(waiting["ready_at"])
    executed = covey("governance", "execute", waiting["id"][:10], *GOVERNANCE)
    assert (executed.code, "execute: Staking.setDuty" in executed.out) == (0, True)
    assert contracts.staking.is_duty(NOBODY)
    assert "executed" in covey("governance", "show").out
    over = covey("governance", "veto", waiting["id"], *GUARDIAN)
    assert (over.code, "is executed: there is nothing to cancel" in over.err) == (2, True)


def test_the_guardian_vetoes_and_a_call_expires(contracts: Contracts, chain: Chain, covey: Covey) -> None:
    covey("governance", "propose", "Staking.setDuty", NOBODY, "true", *GOVERNANCE)
    [waiting] = covey("governance", "show", "--json").json["proposals"]
    vetoed = covey("governance", "veto", waiting["id"], *GUARDIAN)
    assert (vetoed.code, "cancel: Staking.setDuty" in vetoed.out) == (0, True)
    again = covey("governance", "propose", "Staking.setDuty", NOBODY, "true", *GOVERNANCE)
    assert again.code == 0
    first, second = covey("governance", "show", "--json").json["proposals"]
    assert (first["state"], second["state"], first["id"]) == ("cancelled", "waiting", second["id"])
    chain.jump(second["expires_at"])
    late = covey("governance", "execute", second["id"], *GOVERNANCE)
    assert (late.code, "is expired: it cannot be executed" in late.err) == (2, True)
    assert not contracts.staking.is_duty(NOBODY)


def test_a_role_without_a_delay_acts_at_once(contracts: Contracts, covey: Covey) -> None:
    paused = covey("governance", "propose", "Staking.setPaused", "true", *GUARDIAN)
    assert (paused.code, "Staking.setPaused(true): block" in paused.out) == (0, True)
    assert contracts.staking.paused()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("Staking.delegate", "1"), "'Staking.delegate' is not a governed function; there are CoveyToken.mint"),
        (("nonsense",), "'nonsense' is not a governed function"),
        (("Staking.setPaused",), "Staking.setPaused(bool) takes 1 arguments, not 0"),
        (("Staking.setPaused", "perhaps"), "the arguments do not fit Staking.setPaused(bool): "),
        (("TaskBounds.setConfig", '{"minWindows": 1}'), "the arguments do not fit TaskBounds.setConfig("),
        (("TaskBounds.setConfig", "[[1, 2], 3]"), "the arguments do not fit TaskBounds.setConfig("),
        (("TaskBounds.setConfig", "[" * 100_000), "the arguments do not fit TaskBounds.setConfig("),
        (("TaskBounds.setConfig", "null"), "the arguments do not fit TaskBounds.setConfig("),
        (("Emissions.configure", "[-1, 1.5, true, {}, []]"), "the arguments do not fit Emissions.configure("),
        (("CoveyToken.mint", NOBODY, str(2**300)), "the arguments do not fit CoveyToken.mint(address,uint256): "),
        (("Staking.setDuty", "0x12", "true"), "the arguments do not fit Staking.setDuty(address,bool): "),
        (("Staking.setDuty", NOBODY, "true"), "has no role that may call Staking.setDuty"),
    ],
)
def test_bad_proposals_are_refused(
    contracts: Contracts, covey: Covey, arguments: tuple[str, ...], message: str
) -> None:
    refused = covey("governance", "propose", *arguments, *GUARDIAN)
    assert (refused.code, message in refused.err) == (2, True), refused.err
    unknown = covey("governance", "execute", "0xabc", *GUARDIAN)
    assert (unknown.code, "no scheduled call has the id 0xabc" in unknown.err) == (2, True)
