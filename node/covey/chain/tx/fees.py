"""Fees that a transaction offers (EIP-1559). All prices are wei per gas."""

from __future__ import annotations

from dataclasses import dataclass

GWEI = 10**9


@dataclass(frozen=True, slots=True)
class Fees:
    """The maximum fee per gas, and the maximum priority fee per gas within it."""

    max_fee: int
    priority_fee: int


@dataclass(frozen=True, slots=True)
class FeePolicy:
    """Limits on what the sender offers.

    Attributes:
        cap: maximum fee per gas of any attempt.
        min_priority: minimum priority fee, even if a node suggests less.
        max_priority: maximum priority fee, even if a node suggests more.
        patience: blocks that an attempt waits before it is replaced.
    """

    cap: int = 300 * GWEI
    min_priority: int = GWEI // 100
    max_priority: int = 50 * GWEI
    patience: int = 3

    def first(self, base_fee: int, suggested_priority: int) -> Fees:
        """Fees of a first attempt: twice the base fee, plus the suggested priority fee, within the limits."""
        priority = min(max(suggested_priority, self.min_priority), self.max_priority, self.cap)
        return Fees(min(2 * base_fee + priority, self.cap), priority)

    def replacement(self, old: Fees, base_fee: int, suggested_priority: int) -> Fees | None:
        """Fees that nodes accept in place of ``old``: +12.5%, where geth requires +10%. None above the cap."""
        fresh = self.first(base_fee, suggested_priority)
        priority = max(fresh.priority_fee, _raised(old.priority_fee))
        max_fee = max(fresh.max_fee, _raised(old.max_fee))
        return None if max_fee > self.cap else Fees(max_fee, min(priority, max_fee))

    def affordable(self, base_fee: int) -> bool:
        """False while the base fee alone is above the cap."""
        return base_fee <= self.cap


def _raised(price: int) -> int:
    """Add 12.5%, rounded up, and at least 1."""
    return price + max(1, -(-price // 8))
