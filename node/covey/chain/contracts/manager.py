"""AccessManager (OpenZeppelin): who may call what, and after which delay."""

from __future__ import annotations

from eth_hash.auto import keccak

from covey.chain.contracts.base import Binding, Call

ADMIN_ROLE = 0
GUARDIAN_ROLE = 1
"""May pause entry."""


class Manager(Binding):
    """Roles over the governed functions."""

    artifact = "AccessManager"

    def has_role(self, role: int, account: str) -> tuple[bool, int]:
        """Whether ``account`` holds the role, and its delay in seconds."""
        member, delay = self._read("hasRole", role, account)
        return bool(member), int(delay)

    def grant_role(self, role: int, account: str, delay: int) -> Call:
        """Give a role; what its holder does takes ``delay`` seconds."""
        return self._write(f"give role {role} to {account}", "grantRole", role, account, delay)

    def renounce_role(self, role: int, account: str) -> Call:
        """The sender gives up its own role."""
        return self._write(f"give up role {role}", "renounceRole", role, account)

    def set_function_role(self, target: str, signature: str, role: int) -> Call:
        """Let ``role`` call a governed function."""
        selector = keccak(signature.encode())[:4]
        told = f"let role {role} call {signature} of {target}"
        return self._write(told, "setTargetFunctionRole", target, [selector], role)
