"""Governance roles: which role may call which function, their set-up in the access manager, and verification.

docs/governance.md describes the roles. The restricted functions are read from the compiled contracts, so a new
restricted function without a role here is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from covey.chain import artifacts
from covey.chain.abi.reverts import signature
from covey.chain.contracts.manager import (
    ADMIN_ROLE,
    GOVERNOR_ROLE,
    GUARDIAN_ROLE,
    MINTER_ROLE,
    Manager,
    selector,
)
from covey.chain.errors import WrongDeployment

if TYPE_CHECKING:
    from covey.chain.contracts import Call
    from covey.chain.deployment import Deployment

ROLES = {ADMIN_ROLE: "ADMIN", GUARDIAN_ROLE: "GUARDIAN", MINTER_ROLE: "MINTER", GOVERNOR_ROLE: "GOVERNOR"}

GOVERNED: dict[str, dict[str, int]] = {
    "CoveyToken": {"mint": MINTER_ROLE},
    "Emissions": {"configure": GOVERNOR_ROLE},
    "Staking": {"setDuty": GOVERNOR_ROLE, "setPaused": GUARDIAN_ROLE},
    "TaskBounds": {"setConfig": GOVERNOR_ROLE},
    "TaskRegistry": {"setPaused": GUARDIAN_ROLE},
}
"""The role that may call each restricted function, by contract and function."""

GUARDIANS = {ADMIN_ROLE: ADMIN_ROLE, GUARDIAN_ROLE: ADMIN_ROLE, MINTER_ROLE: ADMIN_ROLE, GOVERNOR_ROLE: GUARDIAN_ROLE}
"""The role that may cancel what holders of each role have scheduled. The manager fixes that of ADMIN."""

MINTERS = ("Emissions",)
"""Contracts that may mint tokens."""


@dataclass(frozen=True, slots=True)
class Governors:
    """The accounts that hold the roles.

    Attributes:
        governance: administers roles and parameters.
        delay: delay of every action of governance, seconds.
        guardian: may pause entry without delay and veto scheduled calls; None: only governance may.
    """

    governance: str
    delay: int = 0
    guardian: str | None = None

    def members(self, at: dict[str, str]) -> dict[tuple[int, str], int]:
        """Delay by (role, account in lower case), for contracts at the addresses ``at``."""
        held = {(role, self.governance.lower()): self.delay for role in (ADMIN_ROLE, GUARDIAN_ROLE, GOVERNOR_ROLE)}
        if self.guardian is not None:
            held[GUARDIAN_ROLE, self.guardian.lower()] = 0
        return held | {(MINTER_ROLE, at[name].lower()): 0 for name in MINTERS}


def wiring(manager: Manager, deployment: Deployment, governors: Governors, deployer: str) -> Iterator[Call]:
    """The calls by which the deployer of a new manager hands it over; the last call gives up the deployer's role."""
    at = deployment.addresses
    for role, label in ROLES.items():
        if role != ADMIN_ROLE:  # the manager itself labels it
            yield manager.label_role(role, label)
            if GUARDIANS[role] != ADMIN_ROLE:
                yield manager.set_role_guardian(role, GUARDIANS[role])
    for name, functions in GOVERNED.items():
        for role in ROLES:
            selectors = [_selector(name, function) for function, held_by in functions.items() if held_by == role]
            if selectors and role != ADMIN_ROLE:  # functions without another role belong to ADMIN
                yield manager.set_function_role(at[name], selectors, role)
        if governors.delay:
            yield manager.set_target_admin_delay(at[name], governors.delay)
    deployer_role = (ADMIN_ROLE, deployer.lower())
    members = governors.members(at)
    for (role, account), delay in members.items():
        if (role, account) != deployer_role:
            yield manager.grant_role(role, account, delay)
    if deployer_role not in members:
        yield manager.renounce_role(ADMIN_ROLE, deployer)


def verify_roles(manager: Manager, deployment: Deployment, governors: Governors | None = None) -> None:
    """Compare the roles on the chain with `GOVERNED`.

    Args:
        governors: also check that exactly these accounts hold the roles, with their delays; reads the manager's events.

    Raises:
        WrongDeployment: the first difference.
    """
    at = deployment.addresses
    for name in artifacts.CONTRACTS:
        known, restricted = set(GOVERNED.get(name, ())), set(artifacts.load(name).restricted)
        if known != restricted:
            raise WrongDeployment(
                f"GOVERNED and {name} differ in {', '.join(sorted(known ^ restricted))}: assign a role to each function"
            )
    for name, functions in GOVERNED.items():
        if manager.is_closed(at[name]):
            raise WrongDeployment(f"the manager has closed {name}: its restricted functions cannot be called")
        for function, role in functions.items():
            found = manager.function_role(at[name], _selector(name, function))
            if found != role:
                raise WrongDeployment(f"role {found} may call {function} of {name}, not {ROLES[role]}")
    for role, label in ROLES.items():
        if manager.role_admin(role) != ADMIN_ROLE:
            raise WrongDeployment(f"a role other than ADMIN grants {label}")
        if (found := manager.role_guardian(role)) != GUARDIANS[role]:
            raise WrongDeployment(f"role {found} cancels what {label} schedules, not {ROLES[GUARDIANS[role]]}")
    if governors is not None:
        _verify_members(manager, deployment, governors)


def _verify_members(manager: Manager, deployment: Deployment, governors: Governors) -> None:
    """Compare all members and delays. The manager cannot list them, so its events since the deployment are read."""
    since = deployment.contracts[Manager.artifact].block
    events = manager.role_events(since, manager.rpc.block_number())
    expected = governors.members(deployment.addresses)
    for role, account in sorted(events.members - expected.keys()):
        raise WrongDeployment(f"{account} holds role {role} ({ROLES.get(role, 'unknown')}) but must not")
    for (role, account), delay in expected.items():
        member, found = manager.has_role(role, account)
        if not member:
            raise WrongDeployment(f"{account} does not hold role {role} ({ROLES[role]})")
        if found != delay:
            raise WrongDeployment(f"{account} acts as {ROLES[role]} after {found} s, not {delay} s")
    for name in GOVERNED:
        found = events.admin_delays.get(deployment.address(name).lower(), 0)
        if found != governors.delay:
            raise WrongDeployment(f"changes to the roles of {name} take {found} s, not {governors.delay} s")


def _selector(name: str, function: str) -> bytes:
    """The selector of a function whose name is unique in its contract."""
    [found] = [item for item in artifacts.load(name).abi if item["type"] == "function" and item["name"] == function]
    return selector(signature(found))
