"""What an operator was paid and what was taken from it, by what settled blocks say. Amounts are wei of CVY."""

from __future__ import annotations

from collections.abc import Iterable

from covey.daemon.state import EventLike

ENTRIES, SCORING, APPEALS, TIPS = "entries", "scoring", "appeals", "tips"
FEES, FEES_BACK, SLASHED = "fees", "fees_back", "slashed"
KINDS = (ENTRIES, SCORING, APPEALS, TIPS, FEES, FEES_BACK, SLASHED)


class Ledger:
    """Sums by kind for one operator. `accounts` are those that tips count for: the operator's and its signer's.

    Rewards (`entries`, `scoring`, `appeals`) are what a task paid into the operator's pool, delegators' share included.
    """

    def __init__(self, operator: str, accounts: Iterable[str] = ()) -> None:
        self._operator = operator
        self._accounts = frozenset((operator, *accounts))
        self.sums = dict.fromkeys(KINDS, 0)

    @property
    def net(self) -> int:
        """All that came less all that went."""
        s = self.sums
        return s[ENTRIES] + s[SCORING] + s[APPEALS] + s[TIPS] + s[FEES_BACK] - s[FEES] - s[SLASHED]

    def clear(self) -> None:
        """Begin again: the events are told from the start."""
        self.sums = dict.fromkeys(KINDS, 0)

    def apply(self, event: EventLike) -> None:
        """Count one event; the order does not matter."""
        found = own(event, self._operator, self._accounts)
        if found is not None:
            kind, amount = found
            self.sums[kind] += amount


def own(event: EventLike, operator: str, accounts: Iterable[str] = ()) -> tuple[str, int] | None:
    """(kind, amount) of an event that moved this operator's money; None for all others."""
    a = event.args
    match event.contract, event.name:
        case "Rewards", "TipPaid":
            return (TIPS, int(a["amount"])) if a["to"] in accounts else None
        case _ if a.get("operator") != operator:
            return None
        case "Rewards", "EntryRewardClaimed":
            return ENTRIES, int(a["amount"])
        case "Rewards", "ScoringRewardClaimed":
            return SCORING, int(a["amount"])
        case "Appeals", "AppealRewardClaimed":
            return APPEALS, int(a["amount"])
        case "Rewards", "FeePaid":
            return FEES, int(a["amount"])
        case "Rewards", "FeeRefunded":
            return FEES_BACK, int(a["amount"])
        case "Staking", "Slashed":
            return SLASHED, int(a["fromActive"]) + int(a["fromUnbonding"])
    return None
