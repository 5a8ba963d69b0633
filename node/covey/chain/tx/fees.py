"""What a transaction offers for gas (EIP-1559). All prices are wei a unit of gas."""

from __future__ import annotations

from dataclasses import dataclass

GWEI = 10**9


@dataclass(frozen=True, slots=True)
class Fees:
    """``max_fee`` and the priority fee within it."""

    max_fee: int
    priority_fee: int


@dataclass(frozen=True, slots=True)
class FeePolicy:
    """How much to offer.

    Attributes:
        cap: most a unit of gas may cost; an attempt never offers more.
        min_priority: least priority fee, also where a node suggests less.
        max_priority: most priority fee, also where a node suggests more.
        patience: blocks that an attempt waits before it is replaced.
    """

    cap: int = 300 * GWEI
    min_priority: int = GWEI // 100
    max_priority: int = 50 * GWEI
    patience: int = 3

    def first(self, base_fee: int, suggested_priority: int) -> Fees:
        """The first offer: room for the base fee to double, plus the suggested priority fee."""
        priority = min(max(suggested_priority, self.min_priority), self.max_priority, self.cap)
        return Fees(min(2 * base_fee + priority, self.cap), priority)

    def replacement(self, old: Fees, base_fee: int, suggested_priority: int) -> Fees | None:
        """An offer that nodes accept in place of ``old`` (geth asks +10%, we give +12.5%); None above the cap."""
        fresh = self.first(base_fee, suggested_priority)
        priority = max(fresh.priority_fee, _raised(old.priority_fee))
        max_fee = max(fresh.max_fee, _raised(old.max_fee))
        return None if max_fee > self.cap else Fees(max_fee, min(priority, max_fee))

    def affordable(self, base_fee: int) -> bool:
        """False while the base fee alone is above the cap."""
        return base_fee <= self.cap


def _raised(price: int) -> int:
    """+12.5%, rounded up, at least +1."""
    return price + max(1, -(-price // 8))
