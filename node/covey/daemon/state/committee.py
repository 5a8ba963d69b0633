"""One scoring round, folded from its events. Scoring and AppealCommittee emit the same round events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from covey.daemon.state.events import Args, MissingState, bytes_of
from covey.protocol.settlement import quorum
from covey.protocol.types import Fault, Round, Totals

NO_SEED = bytes(32)


@dataclass(frozen=True, slots=True)
class RevealedScores:
    """A revealed row, as in its ScoresRevealed event."""

    operator: str
    seats: int
    index: int
    evidence: bytes
    words: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SettledPage:
    """A settled page of medians. `weights` and `spread` are sums over the page."""

    root: bytes
    weights: int
    spread: int
    medians: tuple[int, ...]


@dataclass(slots=True)
class Committee:
    """One scoring round: its seed, rows, pages and reported faults. Times are chain seconds.

    ``is_void``: every median was 0. ``missed_reports``: operators reported for silent seats in this missed round.
    """

    number: int
    target: int
    total: int  # S, frozen at the seed request, wei
    seed: bytes = NO_SEED
    commit_end: int = 0
    reveal_end: int = 0
    committed: dict[str, tuple[int, bytes]] = field(default_factory=dict)  # operator -> seats, commitment
    abstained: dict[str, int] = field(default_factory=dict)  # operator -> seats
    revealed: list[RevealedScores] = field(default_factory=list)
    faults: dict[str, Fault] = field(default_factory=dict)
    pages: dict[int, SettledPage] = field(default_factory=dict)
    totals: Totals | None = None
    losses: tuple[int, ...] = ()
    payable_at: int = 0
    is_void: bool = False
    missed_reports: set[str] = field(default_factory=set)
    late_absent: set[str] = field(
        default_factory=set
    )  # reported as absent after the next seed was requested: drawn again

    @property
    def seeded(self) -> bool:
        return self.seed != NO_SEED

    @property
    def committed_seats(self) -> int:
        return sum(seats for seats, _ in self.committed.values())

    @property
    def revealed_seats(self) -> int:
        return sum(row.seats for row in self.revealed)

    def row_of(self, operator: str) -> RevealedScores | None:
        """The operator's revealed row."""
        return next((row for row in self.revealed if row.operator == operator), None)

    def has_revealed(self, operator: str) -> bool:
        return self.row_of(operator) is not None

    def owes_row(self, operator: str) -> bool:
        """Whether the operator committed a row and has not revealed it."""
        return operator in self.committed and not self.has_revealed(operator)

    def is_silent(self, operator: str) -> bool:
        """Whether the operator neither committed nor abstained, and has not been reported."""
        return operator not in self.committed and operator not in self.abstained and operator not in self.faults

    def reveals_end(self) -> int:
        """Chain time from which no row can be revealed: at the end of commits once every committed row is revealed."""
        return self.commit_end if len(self.revealed) == len(self.committed) else self.reveal_end

    def is_missed(self, target_seats: int, now: int) -> bool:
        """Whether reveals are over at chain time `now` without a quorum. `target_seats`: seats the round asks for."""
        over = self.seeded and now >= self.reveals_end()
        return over and not quorum(self.revealed_seats, self.committed_seats, target_seats)

    def loss_of(self, row: RevealedScores) -> int:
        """Summed loss of a row once settled. A word packs eight 32-bit losses, the first in the lowest lane."""
        return (self.losses[row.index // 8] >> (32 * (row.index % 8))) & 0xFFFFFFFF

    def round(self, score_commit: int, words_per_page: int, pages: int, settled_at: int) -> Round:
        """The round as the contract's view returns it, except for `missed`, which depends on the time.

        `score_commit`: length of the commit window, seconds.
        """
        return Round(
            number=self.number,
            target=self.target,
            seed=self.seed,
            seed_at=self.commit_end - score_commit if self.seeded else 0,
            score_commit_end=self.commit_end,
            score_reveal_end=self.reveal_end,
            committed_rows=len(self.committed),
            committed_seats=self.committed_seats,
            revealed_rows=len(self.revealed),
            revealed_seats=self.revealed_seats,
            page_words=words_per_page,
            pages=pages,
            settled_pages=len(self.pages),
            settled_at=settled_at,
            is_void=self.is_void,
        )

    def replace_word(self, page: int, place: int, word: int, root: bytes, weights: int) -> None:
        """Replace a median word after an appeal. `weights` is the new sum over all pages.

        Raises:
            MissingState: the round is not settled, or has no such page.
        """
        if self.totals is None or page not in self.pages:
            raise MissingState("a median was replaced before its round was settled")
        previous = self.pages[page]
        medians = (*previous.medians[:place], word, *previous.medians[place + 1 :])
        page_weights = previous.weights + weights - self.totals.weights
        self.pages[page] = replace(previous, root=root, medians=medians, weights=page_weights)
        self.totals = replace(self.totals, weights=weights)


def _seed_fixed(c: Committee, a: Args) -> None:
    c.seed, c.commit_end, c.reveal_end = bytes_of(a["seed"]), a["scoreCommitEnd"], a["scoreRevealEnd"]


def _scores_committed(c: Committee, a: Args) -> None:
    c.committed[a["operator"]] = (a["seats"], bytes_of(a["commitment"]))


def _abstained(c: Committee, a: Args) -> None:
    c.abstained[a["operator"]] = a["seats"]


def _scores_revealed(c: Committee, a: Args) -> None:
    row = RevealedScores(a["operator"], a["seats"], a["index"], bytes_of(a["evidenceDigest"]), tuple(a["words"]))
    c.revealed.append(row)


def _fault_reported(c: Committee, a: Args) -> None:
    c.faults[a["operator"]] = Fault(a["fault"])


ROUND_FOLDS: dict[str, Callable[[Committee, Args], None]] = {
    "SeedFixed": _seed_fixed,
    "ScoresCommitted": _scores_committed,
    "Abstained": _abstained,
    "ScoresRevealed": _scores_revealed,
    "FaultReported": _fault_reported,
}
"""Folds of the events that name a round, for both contracts."""
