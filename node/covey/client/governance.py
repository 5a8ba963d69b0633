"""Governance: who holds which role, which calls are scheduled, and the calls to propose, execute and veto one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from covey.audit.chain import Chain
from covey.chain import artifacts
from covey.chain.abi.reverts import signature
from covey.chain.contracts import Call, Manager
from covey.chain.contracts.base import Binding
from covey.chain.contracts.manager import Operation, selector
from covey.chain.deploy.governance import GOVERNED, ROLES
from covey.chain.units import format_time
from covey.client.errors import InvalidInput

MANAGER = "AccessManager"


@dataclass(frozen=True, slots=True)
class Holder:
    """An account with a role. `delay` is the time between scheduling a call and executing it, seconds."""

    role: str
    account: str
    delay: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """A scheduled call. `text` is the call in words; `state` is waiting, ready, expired, executed or cancelled."""

    operation: Operation
    text: str
    expires_at: int
    state: str

    @property
    def id(self) -> str:
        """The operation's hash, as commands take it."""
        return "0x" + self.operation.id.hex()


@dataclass(frozen=True, slots=True)
class GovernanceView:
    """Holders of the roles, and all calls ever scheduled, oldest first."""

    holders: list[Holder]
    proposals: list[Proposal]


def manager_of(chain: Chain) -> Manager:
    """The access manager of the deployment."""
    return Manager(chain.rpc, chain.deployment.address(MANAGER))


def read_governance(chain: Chain) -> GovernanceView:
    """Read the holders of roles and the scheduled calls from the manager's events."""
    manager, last = manager_of(chain), chain.rpc.block_number()
    holders = []
    for role, account in sorted(manager.role_events(chain.deployment.start_block, last).members):
        member, delay = manager.has_role(role, account)
        if member:
            holders.append(Holder(ROLES.get(role, str(role)), Binding(chain.rpc, account).address, delay))
    return GovernanceView(holders, _proposals(chain, manager, last))


def governed_call(chain: Chain, function: str, arguments: Sequence[str]) -> Call:
    """The call CONTRACT.FUNCTION of a governed function. Arguments are JSON; an address may be written without quotes.

    Raises:
        InvalidInput: the function is not governed, or the arguments do not fit it.
    """
    contract, _, name = function.partition(".")
    if name not in GOVERNED.get(contract, {}):
        known = ", ".join(f"{one}.{other}" for one, functions in GOVERNED.items() for other in functions)
        raise InvalidInput(f"{function!r} is not a governed function; there are {known}")
    binding = Binding(chain.rpc, chain.deployment.address(contract))
    binding.artifact = contract
    item = _function(contract, name)
    wanted = signature(item)
    if len(arguments) != len(item["inputs"]):
        raise InvalidInput(f"{contract}.{wanted} takes {len(item['inputs'])} arguments, not {len(arguments)}")
    values = [_value(argument) for argument in arguments]
    try:
        return binding.write(f"{contract}.{name}({', '.join(arguments)})", name, *values)
    except ValueError as error:
        raise InvalidInput(f"the arguments do not fit {contract}.{wanted}: {error}") from None


def propose_call(chain: Chain, account: str, call: Call) -> Call:
    """What `account` sends for a governed call: the call itself if it may make it at once, else its scheduling.

    Raises:
        InvalidInput: the account holds no role that may make this call.
    """
    if call.to is None:
        raise InvalidInput("a call that creates a contract is not governed")
    manager = manager_of(chain)
    at_once, delay = manager.can_call(account, call.to, call.data[:4])
    if at_once:
        return call
    if not delay:
        raise InvalidInput(f"{account} has no role that may call {call.describe}: see `covey governance show`")
    ready = format_time(chain.now() + delay)
    return manager.schedule(call).named(f"schedule {call.describe}, to execute from {ready} UTC on")


def execute_call(chain: Chain, proposal: Proposal) -> Call:
    """Execute a scheduled call; its proposer sends it.

    Raises:
        InvalidInput: it is not ready, has expired, or is over.
    """
    if proposal.state != "ready":
        when = f" until {format_time(proposal.operation.ready_at)} UTC" if proposal.state == "waiting" else ""
        raise InvalidInput(f"{proposal.id} ({proposal.text}) is {proposal.state}{when}: it cannot be executed")
    return manager_of(chain).execute(_call(proposal))


def veto_call(chain: Chain, proposal: Proposal) -> Call:
    """Cancel a scheduled call; its proposer, an administrator or the guardian of its role sends it.

    Raises:
        InvalidInput: it is over.
    """
    if proposal.state in ("executed", "cancelled", "expired"):
        raise InvalidInput(f"{proposal.id} ({proposal.text}) is {proposal.state}: there is nothing to cancel")
    return manager_of(chain).cancel(proposal.operation.caller, _call(proposal))


def find_proposal(chain: Chain, id: str) -> Proposal:
    """The newest scheduled call whose id begins with `id`.

    Raises:
        InvalidInput: there is none, or there are several.
    """
    found = {one.id: one for one in read_governance(chain).proposals if one.id.startswith(id.lower())}
    if not found:
        raise InvalidInput(f"no scheduled call has the id {id}: `covey governance show` lists them")
    if len(found) > 1:
        raise InvalidInput(f"{len(found)} scheduled calls have ids that begin with {id}: give more digits")
    return next(iter(found.values()))


def _proposals(chain: Chain, manager: Manager, last: int) -> list[Proposal]:
    operations = manager.operations(chain.deployment.start_block, last)
    if not operations:
        return []
    now, lifetime = chain.now(), manager.expiration()
    return [_proposal(chain, one, now, lifetime) for one in operations]


def _proposal(chain: Chain, operation: Operation, now: int, lifetime: int) -> Proposal:
    expires = operation.ready_at + lifetime
    state = operation.ended or ("waiting" if now < operation.ready_at else "expired" if now >= expires else "ready")
    return Proposal(operation, describe_call(chain, operation.target, operation.data), expires, state)


def describe_call(chain: Chain, target: str, data: bytes) -> str:
    """A call of one of the deployment's contracts as CONTRACT.FUNCTION(ARGUMENTS); else its address and data."""
    from eth_abi.abi import decode
    from eth_abi.exceptions import DecodingError

    from covey.chain.abi.layout import canonical_type

    names = {address.lower(): name for name, address in chain.deployment.addresses.items()}
    name = names.get(target.lower())
    if name is not None:
        for item in artifacts.load(name).abi:
            if item["type"] == "function" and selector(signature(item)) == data[:4]:
                try:
                    values = decode([canonical_type(one) for one in item["inputs"]], data[4:])
                except DecodingError:
                    break
                return f"{name}.{item['name']}({', '.join(_text(value) for value in values)})"
    return f"{name or target}: 0x{data.hex()}"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, tuple | list):
        return f"[{', '.join(_text(one) for one in value)}]"
    return str(value)


def _value(text: str) -> Any:
    """An argument: JSON, or text that is not JSON as it is."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _function(contract: str, name: str) -> dict[str, Any]:
    return next(one for one in artifacts.load(contract).abi if one["type"] == "function" and one["name"] == name)


def _call(proposal: Proposal) -> Call:
    return Call(proposal.operation.target, proposal.operation.data, proposal.text)
