"""The appeal of a sealed task, folded from the events of Appeals and AppealCommittee."""

from __future__ import annotations

from dataclasses import dataclass, field

from covey.daemon.state.committee import Committee
from covey.daemon.state.events import MissingState
from covey.protocol.appeals import AppealPhase, AppealTimes, appeal_phase
from covey.protocol.scores import LANES, page_count, page_words
from covey.protocol.types import AppealState, Round, TaskParams


@dataclass(slots=True)
class Contest:
    """One contested word. `to_pool` is paid to the appeal's round for it once resolved, wei."""

    appellant: str
    word: int
    previous: int
    resolved: bool = False
    moved: bool = False
    to_pool: int = 0


@dataclass(slots=True)
class Appeal:
    """All contested words of a task, and the round that scores them again. Times are chain seconds."""

    bond: int
    contest_end: int
    enrol_end: int
    deadline: int
    least_stake: int = 0  # with less enrolled stake the appeal fails, wei
    state: AppealState = AppealState.OPEN
    report_end: int = 0
    paid_seats: int = 0
    contests: list[Contest] = field(default_factory=list)
    enrolled: dict[str, int] = field(default_factory=dict)  # in addition to the task's earmarks, wei
    stakes: dict[str, int] = field(default_factory=dict)  # what draws each enrolled operator, task's earmarks included
    committee: Committee | None = None
    found: list[int] = field(default_factory=list)  # median words of the appeal, one per contest
    overturned: set[str] = field(default_factory=set)  # operators reported for their row of the task
    reported_jurors: set[str] = field(default_factory=set)  # for their row of the appeal, or silence in a missed one
    claimed: set[str] = field(default_factory=set)
    freed: set[str] = field(default_factory=set)

    @property
    def resolved(self) -> int:
        """Number of resolved contests."""
        return sum(contest.resolved for contest in self.contests)

    @property
    def is_open(self) -> bool:
        """Whether a contest is unresolved. The task cannot be finalised until all are resolved."""
        return self.resolved != len(self.contests)

    @property
    def pool(self) -> int:
        """Pay of the whole round for the words resolved so far, wei."""
        return sum(contest.to_pool for contest in self.contests) if self.paid_seats else 0

    @property
    def drawn_committee(self) -> Committee:
        """The appeal's committee. Raises MissingState before its seed is requested."""
        if self.committee is None:
            raise MissingState("the appeal has no committee before its seed is requested")
        return self.committee

    @property
    def words_per_page(self) -> int:
        """Words on a page, fixed by the number of committed rows. Raises MissingState without a committee."""
        return page_words(len(self.drawn_committee.committed))

    def round(self, params: TaskParams) -> Round | None:
        """The appeal's round as the contract's view returns it; None before the seed request."""
        committee = self.committee
        if committee is None:
            return None
        width = self.words_per_page if committee.committed else 0
        pages = page_count(LANES * len(self.contests), width) if width else 0
        settled = self.report_end - params.windows.appeal if self.report_end else 0
        return committee.round(params.windows.score_commit, width, pages, settled)

    def phase(self, params: TaskParams, now: int) -> AppealPhase:
        times = AppealTimes(
            self.state, self.contest_end, self.enrol_end, self.deadline, self.report_end, len(self.contests),
            self.resolved, sum(self.stakes.values()) >= self.least_stake,
        )  # fmt: skip
        return appeal_phase(times, self.round(params), params.windows, params.target_seats, now)
