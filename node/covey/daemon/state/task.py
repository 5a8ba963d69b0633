"""A task, folded from its events."""

from __future__ import annotations

from dataclasses import dataclass, field

from covey.daemon.state.appeal import Appeal
from covey.daemon.state.committee import Committee
from covey.daemon.state.events import MissingState
from covey.protocol.faults import stake_in_round
from covey.protocol.scores import page_count, page_words
from covey.protocol.types import Outcome, Round, Schedule, TaskParams, TaskState
from covey.protocol.windows import Phase, phase


@dataclass(slots=True)
class Entry:
    """An entry of a task. `lane` and `digest` are known once it is revealed."""

    operator: str
    sequence: int
    fee: int
    payer: str
    commitment: bytes
    lane: int | None = None
    digest: bytes | None = None


@dataclass(frozen=True, slots=True)
class RevealedEntry:
    """An entry with its lane and digest."""

    operator: str
    sequence: int
    lane: int
    digest: bytes


@dataclass(slots=True)
class Task:
    """A task, its entries, stake, committees and appeal."""

    id: int
    creator: str
    params: TaskParams
    schedule: Schedule
    outcome: Outcome = Outcome.RUNNING
    reason: str = ""
    total_earmarked: int = 0
    sealed_digest: bytes | None = None
    entries: dict[str, Entry] = field(default_factory=dict)
    enrolled: dict[str, int] = field(default_factory=dict)  # operator -> earmark, wei
    committee: Committee | None = None
    earlier: Committee | None = None  # the first committee, once a second is to be drawn
    request_from: int = 0  # chain time from which the second committee's seed can be requested
    appeal: Appeal | None = None  # of a sealed task, once a word was contested
    pools: tuple[int, int] = (0, 0)  # trainers', validators'; set when the escrow closes
    claimed_lanes: set[int] = field(default_factory=set)
    claimed_scoring: set[str] = field(default_factory=set)
    claimed_fees: set[str] = field(default_factory=set)
    freed: set[str] = field(default_factory=set)

    @property
    def lanes(self) -> list[Entry]:
        """Revealed entries in lane order."""
        shown = [(entry.lane, entry) for entry in self.entries.values() if entry.lane is not None]
        return [entry for _, entry in sorted(shown, key=lambda pair: pair[0])]

    @property
    def revealed_entries(self) -> list[RevealedEntry]:
        """Revealed entries in lane order, with lane and digest."""
        return [
            RevealedEntry(entry.operator, entry.sequence, entry.lane, entry.digest)
            for entry in self.lanes
            if entry.lane is not None and entry.digest is not None
        ]

    @property
    def drawn_committee(self) -> Committee:
        """The current committee. Raises MissingState before its seed is requested."""
        if self.committee is None:
            raise MissingState(f"task {self.id} has no committee before its seed is requested")
        return self.committee

    @property
    def words_per_page(self) -> int:
        """Words on a page, fixed by the rows committed when the commit window closed; needs at least one row."""
        return page_words(len(self.drawn_committee.committed))

    @property
    def page_total(self) -> int:
        return page_count(len(self.lanes), self.words_per_page)

    def state(self) -> TaskState:
        """The task as the registry's view returns it."""
        return TaskState(
            creator=self.creator,
            outcome=self.outcome,
            committed=len(self.entries),
            revealed=len(self.lanes),
            total_earmarked=self.total_earmarked,
            sealed_digest=self.sealed_digest or bytes(32),
            sealed_open=self.sealed_digest is not None,
        )

    def round(self) -> Round | None:
        """The current round as the contract's view returns it; None before the seed request."""
        committee = self.committee
        if committee is None:
            return None
        settled = committee.payable_at - self.params.windows.appeal if committee.payable_at else 0
        width, pages = (self.words_per_page, self.page_total) if committee.committed else (0, 0)
        return committee.round(self.params.windows.score_commit, width, pages, settled)

    @property
    def round_number(self) -> int:
        """Number of the current committee, or of the next one to be drawn."""
        return 0 if self.earlier is None else 1

    @property
    def committees(self) -> list[Committee]:
        """All committees drawn so far, in order."""
        return [committee for committee in (self.earlier, self.committee) if committee is not None]

    @property
    def has_void_round(self) -> bool:
        """Whether every median of a round was 0."""
        return any(committee.is_void for committee in self.committees)

    def stake_of(self, operator: str, round_number: int) -> int:
        """The operator's stake in the draw of a round, wei; 0 excludes it."""
        first, earmark = self.earlier, self.enrolled.get(operator, 0)
        if first is None or first.is_void:  # nobody leaves for a void round
            return earmark
        reported = operator in first.faults and operator not in first.late_absent
        return stake_in_round(round_number, earmark, operator in first.abstained, first.owes_row(operator), reported)

    def phase(self, now: int) -> Phase:
        contested = self.appeal is not None and self.appeal.is_open
        return phase(self.params, self.schedule, self.state(), self.round(), now, contested, self.request_from)
