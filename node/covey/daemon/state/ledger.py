"""What an operator was paid and what was taken from it, by what settled blocks say. Amounts are wei of CVY."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from covey.daemon.state.world import EventLike

ENTRIES, SCORING, APPEALS, TIPS, REPORTS = "entries", "scoring", "appeals", "tips", "reports"
FEES, FEES_BACK, SLASHED = "fees", "fees_back", "slashed"
KINDS = (ENTRIES, SCORING, APPEALS, TIPS, REPORTS, FEES, FEES_BACK, SLASHED)


class Ledger:
    """Sums by kind for one operator. `accounts`, the operator's and its signer's, are whose tips and reports count.

    Reports of faults pay a share of what a slash takes. Rewards (`entries`, `scoring`, `appeals`) are what a task paid
    into the operator's pool, delegators' share included.
    """

    def __init__(self, operator: str, accounts: Iterable[str] = ()) -> None:
        self._operator = operator
        self._accounts = frozenset((operator, *accounts))
        self.sums = dict.fromkeys(KINDS, 0)

    @property
    def net(self) -> int:
        """All that came less all that went."""
        s = self.sums
        came = s[ENTRIES] + s[SCORING] + s[APPEALS] + s[TIPS] + s[REPORTS] + s[FEES_BACK]
        return came - s[FEES] - s[SLASHED]

    def clear(self) -> None:
        """Begin again: the events are told from the start."""
        self.sums = dict.fromkeys(KINDS, 0)

    def apply(self, event: EventLike) -> None:
        """Count one event; the order does not matter."""
        for kind, amount in own(event, self._operator, self._accounts):
            self.sums[kind] += amount


def own(event: EventLike, operator: str, accounts: Iterable[str] = ()) -> Iterator[tuple[str, int]]:
    """(kind, amount) of what an event moved of this operator's money: mostly nothing, twice if it reported itself."""
    a = event.args
    match event.contract, event.name:
        case "Rewards", "TipPaid":
            if a["to"] in accounts:
                yield TIPS, int(a["amount"])
        case "Staking", "Slashed":
            if a["operator"] == operator:
                yield SLASHED, int(a["fromActive"]) + int(a["fromUnbonding"])
            if a["reporter"] in accounts:
                yield REPORTS, int(a["reporterReward"])
        case source if source in _BY_EVENT and a["operator"] == operator:
            yield _BY_EVENT[source], int(a["amount"])


_BY_EVENT = {
    ("Rewards", "EntryRewardClaimed"): ENTRIES,
    ("Rewards", "ScoringRewardClaimed"): SCORING,
    ("Appeals", "AppealRewardClaimed"): APPEALS,
    ("Rewards", "FeePaid"): FEES,
    ("Rewards", "FeeRefunded"): FEES_BACK,
}
