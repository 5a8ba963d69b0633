"""Sums of what an operator was paid and lost, from settled events. Amounts are CVY wei."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from covey.daemon.state.events import EventLike

ENTRIES, SCORING, APPEALS, TIPS, REPORTS = "entries", "scoring", "appeals", "tips", "reports"
FEES, FEES_BACK, SLASHED = "fees", "fees_back", "slashed"
KINDS = (ENTRIES, SCORING, APPEALS, TIPS, REPORTS, FEES, FEES_BACK, SLASHED)


class Ledger:
    """Sums by kind for one operator. Tips and reports count if they go to the operator or to one of `accounts`.

    A report pays its reporter a share of the slash. Rewards (`entries`, `scoring`, `appeals`) are what a task paid into
    the operator's pool, including the delegators' share.
    """

    def __init__(self, operator: str, accounts: Iterable[str] = ()) -> None:
        self._operator = operator
        self._accounts = frozenset((operator, *accounts))
        self.sums = dict.fromkeys(KINDS, 0)

    @property
    def net(self) -> int:
        """Income less expenses."""
        s = self.sums
        income = s[ENTRIES] + s[SCORING] + s[APPEALS] + s[TIPS] + s[REPORTS] + s[FEES_BACK]
        return income - s[FEES] - s[SLASHED]

    def clear(self) -> None:
        """Reset all sums, before all events are applied again."""
        self.sums = dict.fromkeys(KINDS, 0)

    def apply(self, event: EventLike) -> None:
        """Count one event. The order of events does not matter."""
        for kind, amount in movements(event, self._operator, self._accounts):
            self.sums[kind] += amount


def movements(event: EventLike, operator: str, accounts: Iterable[str] = ()) -> Iterator[tuple[str, int]]:
    """Yield (kind, amount) of an event's effect on the operator's money: usually nothing, twice for a self-report."""
    a = event.args
    match event.contract, event.name:
        case ("Rewards", "TipPaid") | ("Appeals", "AppealTipPaid"):
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
