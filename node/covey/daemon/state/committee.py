"""One round of scoring, folded from its events: Scoring's committees and the appeals' have the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from covey.protocol.types import Fault, Round, Totals

NO_SEED = bytes(32)
Args = Mapping[str, Any]


def bytes_of(value: str) -> bytes:
    """The bytes of 0x hex, as events give them."""
    return bytes.fromhex(value[2:])


@dataclass(frozen=True, slots=True)
class RevealedScores:
    """One revealed row, as its event gave it."""

    operator: str
    seats: int
    index: int
    evidence: bytes
    words: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SettledPage:
    root: bytes
    weights: int
    spread: int
    medians: tuple[int, ...]


@dataclass(slots=True)
class Committee:
    """One round of scoring: its seed, its rows, its pages, the faults reported of it."""

    number: int
    target: int
    total: int  # S, frozen at the seed request, wei
    seed: bytes = NO_SEED
    commit_end: int = 0
    reveal_end: int = 0
    committed: dict[str, tuple[int, bytes]] = field(default_factory=dict)  # operator -> seats, commitment
    abstained: dict[str, int] = field(default_factory=dict)
    revealed: list[RevealedScores] = field(default_factory=list)
    faults: dict[str, Fault] = field(default_factory=dict)
    pages: dict[int, SettledPage] = field(default_factory=dict)
    totals: Totals | None = None
    losses: tuple[int, ...] = ()
    payable_at: int = 0

    @property
    def seeded(self) -> bool:
        return self.seed != NO_SEED

    @property
    def committed_seats(self) -> int:
        return sum(seats for seats, _ in self.committed.values())

    @property
    def revealed_seats(self) -> int:
        return sum(row.seats for row in self.revealed)

    def has_revealed(self, operator: str) -> bool:
        return any(row.operator == operator for row in self.revealed)

    def owes_row(self, operator: str) -> bool:
        """Whether the operator committed a row that it has not revealed."""
        return operator in self.committed and not self.has_revealed(operator)

    def is_silent(self, operator: str) -> bool:
        """Whether the operator did nothing in this round, and nobody has reported it."""
        return operator not in self.committed and operator not in self.abstained and operator not in self.faults

    def loss_of(self, row: RevealedScores) -> int:
        """Summed loss of a row once settled; eight 32-bit losses to a word, the first in the lowest lane."""
        return (self.losses[row.index // 8] >> (32 * (row.index % 8))) & 0xFFFFFFFF

    def round(self, score_commit: int, words_a_page: int, pages: int, settled_at: int) -> Round:
        """The round as the contract would tell it. `score_commit`: length of that window, seconds."""
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
            page_words=words_a_page,
            pages=pages,
            settled_pages=len(self.pages),
            settled_at=settled_at,
        )

    def replace_word(self, page: int, place: int, word: int, root: bytes, weights: int) -> None:
        """An appeal put another median word in place; `weights` is the new sum over all pages."""
        assert self.totals is not None, "a median replaced before all pages were settled"
        was = self.pages[page]
        medians = (*was.medians[:place], word, *was.medians[place + 1 :])
        own = was.weights + weights - self.totals.weights
        self.pages[page] = replace(was, root=root, medians=medians, weights=own)
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
"""What an event of either contract does to the round that it names."""
