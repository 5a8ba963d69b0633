"""AccessManager (OpenZeppelin): who may call what, and after which delay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eth_abi.abi import decode
from eth_hash.auto import keccak

from covey.chain.contracts.base import Binding, Call

ADMIN_ROLE = 0
"""Gives and takes roles, says which role may call what, admits duty contracts."""
GUARDIAN_ROLE = 1
"""May pause entry."""
MINTER_ROLE = 2
"""May create tokens."""
GOVERNOR_ROLE = 3
"""Sets parameters, within the bounds that the contracts enforce."""


@dataclass(frozen=True, slots=True)
class RoleEvents:
    """What the manager's events of some blocks add up to.

    Attributes:
        members: those granted a role and not revoked, (role, account in lower case).
        admin_delays: last delay set for changes to a target, seconds, by the target's address in lower case.
    """

    members: set[tuple[int, str]]
    admin_delays: dict[str, int]


class Manager(Binding):
    """Roles over the governed functions."""

    artifact = "AccessManager"

    def has_role(self, role: int, account: str) -> tuple[bool, int]:
        """Whether ``account`` holds the role, and its delay in seconds."""
        member, delay = self._read("hasRole", role, account)
        return bool(member), int(delay)

    def function_role(self, target: str, selector: bytes) -> int:
        """The role that may call a function of a contract."""
        return int(self._read("getTargetFunctionRole", target, selector))

    def role_admin(self, role: int) -> int:
        """The role that gives and takes ``role``."""
        return int(self._read("getRoleAdmin", role))

    def role_guardian(self, role: int) -> int:
        """The role that may cancel what holders of ``role`` have scheduled."""
        return int(self._read("getRoleGuardian", role))

    def is_closed(self, target: str) -> bool:
        """Whether nobody may call the restricted functions of a contract."""
        return bool(self._read("isTargetClosed", target))

    def role_events(self, from_block: int, to_block: int) -> RoleEvents:
        """What the events of an inclusive range of blocks say about members and delays."""
        members: set[tuple[int, str]] = set()
        delays: dict[str, int] = {}
        for log in self.rpc.logs([self.address], from_block, to_block):
            topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
            data = bytes.fromhex(log["data"][2:])
            if topics[0] == _GRANTED or topics[0] == _REVOKED:
                member = (int.from_bytes(topics[1], "big"), "0x" + topics[2][-20:].hex())
                (members.add if topics[0] == _GRANTED else members.discard)(member)
            elif topics[0] == _ADMIN_DELAY:
                delays["0x" + topics[1][-20:].hex()] = int(decode(["uint32", "uint48"], data)[0])
        return RoleEvents(members, delays)

    def authority_of(self, name: str, address: str) -> str:
        """The manager that the contract ``name`` at an address obeys."""
        governed = Binding(self.rpc, address, self.block)
        governed.artifact = name
        return governed.authority()

    def grant_role(self, role: int, account: str, delay: int) -> Call:
        """Give a role; what its holder does takes ``delay`` seconds."""
        return self._write(f"give role {role} to {account}", "grantRole", role, account, delay)

    def renounce_role(self, role: int, account: str) -> Call:
        """The sender gives up its own role."""
        return self._write(f"give up role {role}", "renounceRole", role, account)

    def label_role(self, role: int, label: str) -> Call:
        """Name a role in an event, for explorers."""
        return self._write(f"call role {role} {label}", "labelRole", role, label)

    def set_function_role(self, target: str, selectors: Sequence[bytes], role: int) -> Call:
        """Let ``role`` call governed functions."""
        told = f"let role {role} call {', '.join('0x' + selector.hex() for selector in selectors)} of {target}"
        return self._write(told, "setTargetFunctionRole", target, list(selectors), role)

    def set_target_admin_delay(self, target: str, delay: int) -> Call:
        """From five days on, changes to a contract's roles take ``delay`` seconds, whoever makes them."""
        return self._write(f"delay changes to the roles of {target}", "setTargetAdminDelay", target, delay)

    def schedule(self, call: Call) -> Call:
        """Announce a call that takes a delay, for the earliest time that it may be made."""
        return self._write(f"schedule: {call.describe}", "schedule", call.to, call.data, 0)

    def execute(self, call: Call) -> Call:
        """Make a call that was scheduled."""
        return self._write(f"execute: {call.describe}", "execute", call.to, call.data)


def selector(signature: str) -> bytes:
    """The first four bytes of a function's hash."""
    return bytes(keccak(signature.encode())[:4])


_GRANTED = keccak(b"RoleGranted(uint64,address,uint32,uint48,bool)")
_REVOKED = keccak(b"RoleRevoked(uint64,address)")
_ADMIN_DELAY = keccak(b"TargetAdminDelayUpdated(address,uint32,uint48)")
