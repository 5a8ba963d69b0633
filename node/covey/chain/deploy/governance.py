"""Who governs what: the map of roles, its wiring into the access manager, and a check of what the chain has.

The map is told in words in docs/governance.md. Which functions there are to govern is read from the compiled contracts,
so that a new one without a role is an error and not a door.
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
    "Staking": {"setDuty": ADMIN_ROLE, "setPaused": GUARDIAN_ROLE},
    "TaskBounds": {"setConfig": GOVERNOR_ROLE},
    "TaskRegistry": {"setPaused": GUARDIAN_ROLE},
}
"""Contract, restricted function, and the role that may call it."""

MINTERS = ("Emissions",)
"""Contracts that may create tokens."""


@dataclass(frozen=True, slots=True)
class Governors:
    """Who holds the roles.

    Attributes:
        governance: administers roles and parameters.
        delay: what governance does takes as long, seconds.
        guardian: may pause entry at once; None: governance alone may pause.
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
    """The calls by which a deployer, who administers a fresh manager, hands it over; the last takes its own role."""
    at = deployment.addresses
    for role, label in ROLES.items():
        if role != ADMIN_ROLE:  # which the manager itself names
            yield manager.label_role(role, label)
    for name, functions in GOVERNED.items():
        for role in ROLES:
            chosen = [_selector(name, function) for function, held_by in functions.items() if held_by == role]
            if chosen and role != ADMIN_ROLE:  # whose every function is that has no other role
                yield manager.set_function_role(at[name], chosen, role)
        if governors.delay:
            yield manager.set_target_admin_delay(at[name], governors.delay)
    mine = (ADMIN_ROLE, deployer.lower())
    members = governors.members(at)
    for (role, account), delay in members.items():
        if (role, account) != mine:
            yield manager.grant_role(role, account, delay)
    if mine not in members:
        yield manager.renounce_role(ADMIN_ROLE, deployer)


def verify_roles(manager: Manager, deployment: Deployment, governors: Governors | None = None) -> None:
    """Read the roles back from the chain and compare them with the map.

    Args:
        governors: also check that exactly these hold the roles, with their delays; reads the manager's events.

    Raises:
        WrongDeployment: the first thing that is not as it should be.
    """
    at = deployment.addresses
    for name in artifacts.CONTRACTS:
        known, restricted = set(GOVERNED.get(name, ())), set(artifacts.load(name).restricted)
        if known != restricted:
            raise WrongDeployment(
                f"the map of roles and {name} differ in {', '.join(sorted(known ^ restricted))}: say who may call it"
            )
    for name, functions in GOVERNED.items():
        if manager.is_closed(at[name]):
            raise WrongDeployment(f"nobody may call the restricted functions of {name}: the manager has closed it")
        for function, role in functions.items():
            found = manager.function_role(at[name], _selector(name, function))
            if found != role:
                raise WrongDeployment(f"role {found} may call {function} of {name}, not {ROLES[role]}")
    for role, label in ROLES.items():
        if manager.role_admin(role) != ADMIN_ROLE or manager.role_guardian(role) != ADMIN_ROLE:
            raise WrongDeployment(f"another role than ADMIN gives {label} or cancels what it schedules")
    if governors is not None:
        _verify_members(manager, deployment, governors)


def _verify_members(manager: Manager, deployment: Deployment, governors: Governors) -> None:
    """Compare members and delays, all of them: the manager lists none, so its events since it began are read."""
    since = deployment.contracts[Manager.artifact].block
    told = manager.role_events(since, manager.rpc.block_number())
    meant = governors.members(deployment.addresses)
    for role, account in sorted(told.members - meant.keys()):
        raise WrongDeployment(f"{account} holds role {role} ({ROLES.get(role, 'unknown')}) and should not")
    for (role, account), delay in meant.items():
        member, found = manager.has_role(role, account)
        if not member:
            raise WrongDeployment(f"{account} does not hold role {role} ({ROLES[role]})")
        if found != delay:
            raise WrongDeployment(f"{account} acts as {ROLES[role]} after {found} s, not {delay} s")
    for name in GOVERNED:
        found = told.admin_delays.get(deployment.address(name).lower(), 0)
        if found != governors.delay:
            raise WrongDeployment(f"changes to the roles of {name} take {found} s, not {governors.delay} s")


def _selector(name: str, function: str) -> bytes:
    """The selector of a contract's only function of that name."""
    [found] = [item for item in artifacts.load(name).abi if item["type"] == "function" and item["name"] == function]
    return selector(signature(found))
