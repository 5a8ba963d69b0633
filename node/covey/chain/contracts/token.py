"""CoveyToken: the ERC-20 that is staked, paid and earned."""

from __future__ import annotations

from covey.chain.contracts.base import Binding, Call
from covey.chain.units import cvy

UNLIMITED = (1 << 256) - 1


class Token(Binding):
    """Reads and writes of CVY. Amounts are wei."""

    artifact = "CoveyToken"

    def balance_of(self, account: str) -> int:
        """Tokens that ``account`` holds."""
        return int(self._read("balanceOf", account))

    def allowance(self, owner: str, spender: str) -> int:
        """What ``spender`` may still take from ``owner``."""
        return int(self._read("allowance", owner, spender))

    def total_supply(self) -> int:
        """All tokens there are."""
        return int(self._read("totalSupply"))

    def approve(self, spender: str, amount: int) -> Call:
        """Allow ``spender`` to take up to ``amount``."""
        told = "any amount" if amount == UNLIMITED else cvy(amount)
        return self._write(f"allow {spender} to take {told}", "approve", spender, amount)

    def transfer(self, to: str, amount: int) -> Call:
        """Give ``amount`` to ``to``."""
        return self._write(f"transfer {cvy(amount)} to {to}", "transfer", to, amount)
