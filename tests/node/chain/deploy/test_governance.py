"""Governance roles: set-up, verification, and the powers of each holder."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.chain.anvil import Chain

from covey.chain import artifacts
from covey.chain.contracts import Call, Contracts, Manager
from covey.chain.contracts.manager import ADMIN_ROLE, GOVERNOR_ROLE, GUARDIAN_ROLE, MINTER_ROLE, selector
from covey.chain.deploy.deploy import DAY, DeployConfig, deploy, verify_wiring
from covey.chain.deploy.governance import GOVERNED, ROLES, Governors, verify_roles
from covey.chain.errors import ContractReverted, WrongDeployment
from covey.chain.signing.keystore import LocalSigner
from covey.chain.tx.oneshot import send
from covey.chain.units import CVY
from covey.protocol.emissions import ONE, EmissionsConfig

pytestmark = pytest.mark.daemon

ROOT = Path(__file__).resolve().parents[4]
NOBODY = "0x" + "12" * 20


class Public:
    """A deployment of the public configuration, with three accounts as deployer, governance and guardian."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.deployer, self.governance, self.guardian = (chain.account(number) for number in (1, 2, 3))
        self.config = replace(DeployConfig.public(), governance=self.governance.address, guardian=self.guardian.address)
        self.contracts = Contracts(chain.rpc, deploy(chain.rpc, self.deployer, self.config))
        self.deployment = self.contracts.deployment
        self.manager = Manager(chain.rpc, self.deployment.address("AccessManager"))
        self.governors = self.config.governors(self.deployer.address)

    def send(self, signer: LocalSigner, call: Call) -> None:
        send(self.chain.rpc, signer, call)

    def govern(self, call: Call) -> None:
        """Schedule a call, wait for the delay, execute it."""
        self.send(self.governance, self.manager.schedule(call))
        self.chain.jump(self.chain.rpc.block().timestamp + self.config.governance_delay)
        self.send(self.governance, self.manager.execute(call))

    def refused(self, signer: LocalSigner, call: Call) -> str:
        with pytest.raises(ContractReverted) as caught:
            self.send(signer, call)
        assert caught.value.name is not None
        return caught.value.name


@pytest.fixture
def public(chain: Chain) -> Public:
    return Public(chain)


def test_every_restricted_function_has_a_role() -> None:
    """The functions in the source text, those in the artifacts and those in `GOVERNED` must agree."""
    found: dict[str, set[str]] = {}
    for file in (ROOT / "contracts").glob("*.sol"):
        names = re.findall(r"function (\w+)\([^)]*\)[^{;]*\brestricted\b", file.read_text())
        if names:
            found[file.stem] = set(names)
    assert found == {name: set(functions) for name, functions in GOVERNED.items()}
    restricted = {name: set(artifacts.load(name).restricted) for name in artifacts.CONTRACTS}
    assert found == {name: functions for name, functions in restricted.items() if functions}


def test_roles_match_the_documentation() -> None:
    text = (ROOT / "docs" / "governance.md").read_text().split("## Functions")[1].split("##")[0]
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| (\w+) \|$", text, re.MULTILINE)
    assert {(contract, function, role) for contract, function, role in rows} == {
        (contract, function, ROLES[role])
        for contract, functions in GOVERNED.items()
        for function, role in functions.items()
    }


def test_functions_stopped_by_a_pause_match_the_documentation() -> None:
    text = (ROOT / "docs" / "governance.md").read_text().split("## A pause")[1].split("##")[0]
    documented = {
        name: set(re.findall(r"`(\w+)`", cell)) for name, cell in re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.M)
    }
    found: dict[str, set[str]] = {}
    for file in (ROOT / "contracts").glob("*.sol"):
        source = file.read_text()
        stopped = set(re.findall(r"function (\w+)\([^)]*\)[^{;]*\bwhenNotPaused\b", source))
        functions = re.findall(r"function (\w+)(.*?)\n    }\n", source, re.S)
        while (
            calling := {
                name
                for name, body in functions
                if any(re.search(rf"[^.\w]{inner}\(", body) for inner in stopped - {name})
            }
            - stopped
        ):
            stopped |= calling  # a guarded part of several functions
        if stopped:
            found[file.stem] = stopped - {name for name in stopped if name.startswith("_")}
    assert found == documented


def test_roles_are_held_as_configured_and_not_by_the_deployer(public: Public) -> None:
    for role in ROLES:
        assert public.manager.has_role(role, public.deployer.address) == (False, 0)
    governance, guardian = public.governance.address, public.guardian.address
    assert public.manager.has_role(ADMIN_ROLE, governance) == (True, 2 * DAY)
    assert public.manager.has_role(GOVERNOR_ROLE, governance) == (True, 2 * DAY)
    assert public.manager.has_role(GUARDIAN_ROLE, governance) == (True, 2 * DAY)
    assert public.manager.has_role(GUARDIAN_ROLE, guardian) == (True, 0)
    assert public.manager.has_role(GOVERNOR_ROLE, guardian) == (False, 0)
    assert public.manager.has_role(MINTER_ROLE, governance) == (False, 0)
    assert public.manager.has_role(MINTER_ROLE, public.contracts.emissions.address) == (True, 0)
    assert public.contracts.token.balance_of(governance) == public.config.supply
    assert public.contracts.staking._read("treasury") == governance
    verify_wiring(public.contracts, public.config, public.deployer.address)


def test_governance_acts_only_after_its_delay(public: Public) -> None:
    call = public.contracts.staking.set_duty(NOBODY, True)
    assert public.refused(public.governance, call) == "AccessManagerNotScheduled"
    public.send(public.governance, public.manager.schedule(call))
    assert public.refused(public.governance, public.manager.execute(call)) == "AccessManagerNotReady"
    public.chain.jump(public.chain.rpc.block().timestamp + 2 * DAY)
    public.send(public.governance, public.manager.execute(call))
    assert public.contracts.staking.is_duty(NOBODY)
    # The delay applies to grants of roles too.
    grant = public.manager.grant_role(MINTER_ROLE, public.governance.address, 0)
    assert public.refused(public.governance, grant) == "AccessManagerNotScheduled"


def test_guardian_vetoes_a_scheduled_call(public: Public) -> None:
    governance = public.governance.address
    call = public.contracts.staking.set_duty(NOBODY, True)
    public.send(public.governance, public.manager.schedule(call))
    veto = public.manager.cancel(governance, call)
    assert public.refused(public.chain.account(9), veto) == "AccessManagerUnauthorizedCancel"
    public.send(public.guardian, veto)
    public.chain.jump(public.chain.rpc.block().timestamp + 2 * DAY)
    assert public.refused(public.governance, public.manager.execute(call)) == "AccessManagerNotScheduled"
    assert not public.contracts.staking.is_duty(NOBODY)
    # Not changes of roles: governance can replace a guardian that vetoes everything.
    revoke = public.manager._write("", "revokeRole", GUARDIAN_ROLE, public.guardian.address)
    public.send(public.governance, public.manager.schedule(revoke))
    against = public.manager.cancel(governance, revoke)
    assert public.refused(public.guardian, against) == "AccessManagerUnauthorizedCancel"
    public.chain.jump(public.chain.rpc.block().timestamp + 2 * DAY)
    public.send(public.governance, public.manager.execute(revoke))
    assert public.manager.has_role(GUARDIAN_ROLE, public.guardian.address) == (False, 0)


def test_guardian_can_only_pause_and_veto(public: Public) -> None:
    contracts = public.contracts
    for governed in (contracts.staking, contracts.registry):
        public.send(public.guardian, governed.set_paused(True))
        assert governed.paused()
        for stranger in (public.deployer, public.chain.account(9)):
            assert public.refused(stranger, governed.set_paused(False)) == "AccessManagedUnauthorized"
        public.govern(governed.set_paused(False))  # overrides the guardian
        assert not governed.paused()
    mint = contracts.token._write("mint", "mint", public.guardian.address, 1)
    for signer in (public.guardian, public.governance, public.deployer):
        assert public.refused(signer, mint) == "AccessManagedUnauthorized"
    assert public.refused(public.guardian, contracts.staking.set_duty(NOBODY, True)) == "AccessManagedUnauthorized"
    grant = public.manager.grant_role(MINTER_ROLE, public.guardian.address, 0)
    assert public.refused(public.guardian, grant) == "AccessManagerUnauthorizedAccount"


Change = Callable[[Public], Call]

CHANGES: list[tuple[str, Change]] = [
    ("holds role 2 .MINTER. but must not", lambda p: p.manager.grant_role(MINTER_ROLE, NOBODY, 0)),
    ("holds role 77 .unknown. but must not", lambda p: p.manager.grant_role(77, NOBODY, 0)),
    ("does not hold role 1 .GUARDIAN.", lambda p: p.manager._write("", "revokeRole", 1, p.guardian.address)),
    ("acts as GUARDIAN after 60 s, not 0 s", lambda p: p.manager.grant_role(GUARDIAN_ROLE, p.guardian.address, 60)),
    (
        "role 1 may call mint of CoveyToken, not MINTER",
        lambda p: p.manager.set_function_role(p.contracts.token.address, [selector("mint(address,uint256)")], 1),
    ),
    ("a role other than ADMIN grants MINTER", lambda p: p.manager._write("", "setRoleAdmin", MINTER_ROLE, 1)),
    ("role 0 cancels what GOVERNOR schedules, not GUARDIAN", lambda p: p.manager.set_role_guardian(GOVERNOR_ROLE, 0)),
    ("role 1 cancels what MINTER schedules, not ADMIN", lambda p: p.manager.set_role_guardian(MINTER_ROLE, 1)),
    ("has closed Staking", lambda p: p.manager._write("", "setTargetClosed", p.contracts.staking.address, True)),
    (
        "changes to the roles of Staking take 9 s",
        lambda p: p.manager.set_target_admin_delay(p.contracts.staking.address, 9),
    ),
    (
        "Staking is governed by 0x1212",
        lambda p: p.manager._write("", "updateAuthority", p.contracts.staking.address, "0x" + "12" * 20),
    ),
]


@pytest.mark.parametrize(("message", "change"), CHANGES, ids=[message for message, _ in CHANGES])
def test_verification_detects_a_changed_role(public: Public, message: str, change: Change) -> None:
    if "0x1212" in message:  # the manager requires a contract there
        public.chain.ask("anvil_setCode", NOBODY, "0x00")
    public.govern(change(public))
    with pytest.raises(WrongDeployment, match=message):
        verify_wiring(public.contracts, public.config, public.deployer.address)


def test_emissions_start_only_after_governance_configures_them(public: Public) -> None:
    emissions = public.contracts.emissions
    assert emissions.stream().daily == 0
    config = EmissionsConfig(per_day=5_000 * CVY, decay=ONE, cap=10**6 * CVY, task_cap=10**5 * CVY, quorum=0)
    assert public.refused(public.guardian, emissions.configure(config)) == "AccessManagedUnauthorized"
    assert public.refused(public.governance, emissions.configure(config)) == "AccessManagerNotScheduled"
    public.govern(emissions.configure(config))
    assert emissions.stream().daily == 5_000 * CVY
    too_much = emissions.configure(replace(config, per_day=50_001 * CVY))
    public.send(public.governance, public.manager.schedule(too_much))
    public.chain.jump(public.chain.rpc.block().timestamp + public.config.governance_delay)
    assert public.refused(public.governance, public.manager.execute(too_much)) == "EmissionsBadConfig"


def test_restricted_function_without_a_role_fails_verification(public: Public, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GOVERNED, "Staking", {"setPaused": GUARDIAN_ROLE})
    with pytest.raises(WrongDeployment, match=r"GOVERNED and Staking differ in setDuty: assign a role"):
        verify_roles(public.manager, public.deployment)


def test_local_deployer_holds_all_roles_but_minter(chain: Chain, contracts: Contracts, deployer: LocalSigner) -> None:
    manager = Manager(chain.rpc, contracts.deployment.address("AccessManager"))
    verify_roles(manager, contracts.deployment, Governors(deployer.address))
    send(chain.rpc, deployer, contracts.staking.set_paused(True))
    assert contracts.staking.paused()
    with pytest.raises(ContractReverted) as caught:
        send(chain.rpc, deployer, contracts.token._write("mint", "mint", deployer.address, 1))
    assert caught.value.name == "AccessManagedUnauthorized"


def test_public_deployment_requires_governance_guardian_and_delay(chain: Chain) -> None:
    deployer = chain.account(1)
    other, guardian = chain.account(2).address, chain.account(3).address
    complete = replace(DeployConfig.public(), governance=other, guardian=guardian)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"governance": None}, "needs a governance address"),
        ({"governance": deployer.address}, "other than the deployer"),
        ({"guardian": None}, "needs a guardian address"),
        ({"guardian": deployer.address.lower()}, "other than the deployer"),
        ({"governance_delay": 0}, "needs a governance delay"),
    ]
    for change, message in wrong:
        with pytest.raises(ValueError, match=message):
            deploy(chain.rpc, deployer, replace(complete, **change))
    assert chain.rpc.nonce(deployer.address) == 0
