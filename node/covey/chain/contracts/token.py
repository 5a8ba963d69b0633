"""CoveyToken: the ERC-20 token for stakes, payments and rewards."""

from __future__ import annotations

from covey.chain.contracts.base import Binding, Call
from covey.chain.units import cvy

UNLIMITED = (1 << 256) - 1


class Token(Binding):
    """Reads and writes of CVY. Amounts are wei."""

    artifact = "CoveyToken"

    def balance_of(self, account: str) -> int:
        """Balance of ``account``."""
        return int(self._read("balanceOf", account))

    def allowance(self, owner: str, spender: str) -> int:
        """Amount that ``spender`` may still transfer from ``owner``."""
        return int(self._read("allowance", owner, spender))

    def total_supply(self) -> int:
        """Total supply."""
        return int(self._read("totalSupply"))

    def approve(self, spender: str, amount: int) -> Call:
        """Allow ``spender`` to transfer up to ``amount``."""
        limit = "any amount" if amount == UNLIMITED else cvy(amount)
        return self._write(f"allow {spender} to transfer {limit}", "approve", spender, amount)

    def transfer(self, to: str, amount: int) -> Call:
        """Transfer ``amount`` to ``to``."""
        return self._write(f"transfer {cvy(amount)} to {to}", "transfer", to, amount)
