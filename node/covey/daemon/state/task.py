"""A task as its events tell it."""

from __future__ import annotations

from dataclasses import dataclass, field

from covey.daemon.state.appeal import Appeal
from covey.daemon.state.committee import Committee
from covey.protocol.faults import stake_in_round
from covey.protocol.scores import page_count, page_words
from covey.protocol.types import Outcome, Round, Schedule, TaskParams, TaskState
from covey.protocol.windows import Phase, phase


@dataclass(slots=True)
class Entry:
    """An entry of a task. `lane` and `digest` come with its reveal."""

    operator: str
    sequence: int
    fee: int
    payer: str
    commitment: bytes
    lane: int | None = None
    digest: bytes | None = None


@dataclass(slots=True)
class Task:
    """A task as its events tell it."""

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
    def words_a_page(self) -> int:
        """Words a page, fixed by the rows committed once commits closed. At least one row must have been committed."""
        assert self.committee is not None
        return page_words(len(self.committee.committed))

    @property
    def page_total(self) -> int:
        return page_count(len(self.lanes), self.words_a_page)

    def state(self) -> TaskState:
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
        """The current round as the contract would tell it."""
        c = self.committee
        if c is None:
            return None
        settled = c.payable_at - self.params.windows.appeal if c.payable_at else 0
        width, pages = (self.words_a_page, self.page_total) if c.committed else (0, 0)
        return c.round(self.params.windows.score_commit, width, pages, settled)

    @property
    def round_number(self) -> int:
        """Of the committee that works or is to be drawn."""
        return 0 if self.earlier is None else 1

    @property
    def committees(self) -> list[Committee]:
        """All that were drawn, in order."""
        return [c for c in (self.earlier, self.committee) if c is not None]

    def stake_of(self, operator: str, round_number: int) -> int:
        """The stake by which an operator is drawn into a round, wei; 0: not at all."""
        c, earmark = self.earlier, self.enrolled.get(operator, 0)
        if c is None:
            return earmark
        reported = operator in c.faults
        return stake_in_round(round_number, earmark, operator in c.abstained, c.owes_row(operator), reported)

    def phase(self, now: int) -> Phase:
        contested = self.appeal is not None and self.appeal.is_open
        return phase(self.params, self.schedule, self.state(), self.round(), now, contested)
