"""AccessManager (OpenZeppelin): roles, the functions they may call, and their delays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_hash.auto import keccak
from eth_utils.address import to_checksum_address

from covey.chain.contracts.base import Binding, Call
from covey.chain.errors import Unreachable
from covey.chain.rpc.log_ranges import AdaptiveRange, read_logs

_BLOCKS_PER_REQUEST = 20_000

ADMIN_ROLE = 0
"""Grants and revokes roles, assigns functions to roles."""
GUARDIAN_ROLE = 1
"""May pause entry, and veto what holders of `GOVERNOR_ROLE` have scheduled."""
MINTER_ROLE = 2
"""May mint tokens."""
GOVERNOR_ROLE = 3
"""Admits duty contracts, and sets parameters within the bounds that the contracts enforce."""


@dataclass(frozen=True, slots=True)
class RoleEvents:
    """The state that results from the manager's events in a range of blocks.

    Attributes:
        members: granted and not revoked roles, (role, account in lower case).
        admin_delays: last delay set for changes to a target, seconds, by target address in lower case.
    """

    members: set[tuple[int, str]]
    admin_delays: dict[str, int]


@dataclass(frozen=True, slots=True)
class Operation:
    """A call that a role's holder scheduled.

    Attributes:
        id: hash of caller, target and data.
        nonce: counts how often the same call was scheduled.
        ready_at: chain time from which it can be executed.
        ended: "executed" or "cancelled"; empty while it is neither.
    """

    id: bytes
    nonce: int
    ready_at: int
    caller: str
    target: str
    data: bytes
    ended: str = ""


class Manager(Binding):
    """Roles over the governed functions."""

    artifact = "AccessManager"

    def has_role(self, role: int, account: str) -> tuple[bool, int]:
        """(whether ``account`` holds the role, its delay in seconds)."""
        member, delay = self._read("hasRole", role, account)
        return bool(member), int(delay)

    def function_role(self, target: str, selector: bytes) -> int:
        """The role that may call a function of a contract."""
        return int(self._read("getTargetFunctionRole", target, selector))

    def role_admin(self, role: int) -> int:
        """The role that grants and revokes ``role``."""
        return int(self._read("getRoleAdmin", role))

    def role_guardian(self, role: int) -> int:
        """The role that may cancel calls scheduled by holders of ``role``."""
        return int(self._read("getRoleGuardian", role))

    def is_closed(self, target: str) -> bool:
        """True if the restricted functions of a contract cannot be called."""
        return bool(self._read("isTargetClosed", target))

    def role_events(self, from_block: int, to_block: int) -> RoleEvents:
        """Read members and delays from the events in an inclusive range of blocks.

        Raises:
            Unreachable: a log is malformed.
        """
        members: set[tuple[int, str]] = set()
        delays: dict[str, int] = {}
        for log in read_logs(
            self.rpc, [self.address], from_block, to_block, AdaptiveRange(_BLOCKS_PER_REQUEST, _BLOCKS_PER_REQUEST)
        ):
            try:
                topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
                data = bytes.fromhex(log["data"][2:])
                if topics[0] == _GRANTED or topics[0] == _REVOKED:
                    member = (int.from_bytes(topics[1], "big"), "0x" + topics[2][-20:].hex())
                    (members.add if topics[0] == _GRANTED else members.discard)(member)
                elif topics[0] == _ADMIN_DELAY:
                    delays["0x" + topics[1][-20:].hex()] = int(decode(["uint32", "uint48"], data)[0])
            except (LookupError, TypeError, ValueError, DecodingError) as error:
                raise Unreachable(f"a node returned a malformed log of the access manager: {error}") from None
        return RoleEvents(members, delays)

    def operations(self, from_block: int, to_block: int) -> list[Operation]:
        """The calls scheduled in an inclusive range of blocks, oldest first.

        Raises:
            Unreachable: a log is malformed.
        """
        found: dict[tuple[bytes, int], Operation] = {}
        sizes = AdaptiveRange(_BLOCKS_PER_REQUEST, _BLOCKS_PER_REQUEST)
        for log in read_logs(self.rpc, [self.address], from_block, to_block, sizes):
            try:
                topics = [bytes.fromhex(topic[2:]) for topic in log["topics"]]
                if topics[0] == _SCHEDULED:
                    key = topics[1], int.from_bytes(topics[2], "big")
                    values = decode(["uint48", "address", "address", "bytes"], bytes.fromhex(log["data"][2:]))
                    when, caller, target, data = values
                    addresses = to_checksum_address(caller), to_checksum_address(target)
                    found[key] = Operation(*key, int(when), *addresses, bytes(data))
                elif topics[0] in _ENDINGS:
                    key = topics[1], int.from_bytes(topics[2], "big")
                    if key in found:
                        found[key] = replace(found[key], ended=_ENDINGS[topics[0]])
            except (LookupError, TypeError, ValueError, DecodingError) as error:
                raise Unreachable(f"a node returned a malformed log of the access manager: {error}") from None
        return list(found.values())

    def expiration(self) -> int:
        """Seconds for which a scheduled call can be executed once it is ready."""
        return self.read_number("expiration")

    def can_call(self, caller: str, target: str, selector: bytes) -> tuple[bool, int]:
        """(whether ``caller`` may call a function at once, the delay in seconds after which it may; 0: never)."""
        at_once, delay = self._read("canCall", caller, target, selector)
        return bool(at_once), int(delay)

    def authority_of(self, name: str, address: str) -> str:
        """The access manager of the contract ``name`` at an address."""
        governed = Binding(self.rpc, address, self.block)
        governed.artifact = name
        return governed.authority()

    def grant_role(self, role: int, account: str, delay: int) -> Call:
        """Grant a role whose holder's calls take ``delay`` seconds."""
        return self._write(f"grant role {role} to {account}", "grantRole", role, account, delay)

    def renounce_role(self, role: int, account: str) -> Call:
        """Give up a role of the sender."""
        return self._write(f"give up role {role}", "renounceRole", role, account)

    def label_role(self, role: int, label: str) -> Call:
        """Label a role in an event, for explorers."""
        return self._write(f"label role {role} as {label}", "labelRole", role, label)

    def set_role_guardian(self, role: int, guardian: int) -> Call:
        """Let holders of the role ``guardian`` cancel calls scheduled by holders of ``role``."""
        return self._write(f"let role {guardian} veto calls of role {role}", "setRoleGuardian", role, guardian)

    def set_function_role(self, target: str, selectors: Sequence[bytes], role: int) -> Call:
        """Allow ``role`` to call restricted functions."""
        description = (
            f"allow role {role} to call {', '.join('0x' + selector.hex() for selector in selectors)} of {target}"
        )
        return self._write(description, "setTargetFunctionRole", target, list(selectors), role)

    def set_target_admin_delay(self, target: str, delay: int) -> Call:
        """Set the delay of changes to a contract's roles, seconds; takes effect after five days."""
        return self._write(f"delay changes to the roles of {target}", "setTargetAdminDelay", target, delay)

    def schedule(self, call: Call) -> Call:
        """Schedule a delayed call for the earliest possible time."""
        return self._write(f"schedule: {call.describe}", "schedule", call.to, call.data, 0)

    def execute(self, call: Call) -> Call:
        """Execute a scheduled call."""
        return self._write(f"execute: {call.describe}", "execute", call.to, call.data)

    def cancel(self, caller: str, call: Call) -> Call:
        """Cancel a call that ``caller`` has scheduled; by itself, an administrator or the guardian of its role."""
        return self._write(f"cancel: {call.describe}", "cancel", caller, call.to, call.data)


def selector(signature: str) -> bytes:
    """The selector of a function: the first four bytes of its signature's hash."""
    return bytes(keccak(signature.encode())[:4])


_SCHEDULED = keccak(b"OperationScheduled(bytes32,uint32,uint48,address,address,bytes)")
_ENDINGS = {
    bytes(keccak(b"OperationExecuted(bytes32,uint32)")): "executed",
    bytes(keccak(b"OperationCanceled(bytes32,uint32)")): "cancelled",
}
_GRANTED = keccak(b"RoleGranted(uint64,address,uint32,uint48,bool)")
_REVOKED = keccak(b"RoleRevoked(uint64,address)")
_ADMIN_DELAY = keccak(b"TargetAdminDelayUpdated(address,uint32,uint48)")
