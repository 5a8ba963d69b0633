"""What the chain said, folded: one Task a task, rebuilt from the journal's events and kept up with each new one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from covey.chain.events import task_params, task_schedule
from covey.protocol.scores import page_count, page_words
from covey.protocol.types import Outcome, Round, Schedule, TaskParams, TaskState, Totals
from covey.protocol.windows import Phase, phase

NO_SEED = bytes(32)


class EventLike(Protocol):
    """What a fold needs of an event; the follower's and the journal's both have it."""

    @property
    def contract(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def args(self) -> Mapping[str, Any]: ...


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
    """One round of scoring: its seed, its rows, its pages."""

    number: int
    target: int
    total: int  # S, frozen at the seed request, wei
    seed: bytes = NO_SEED
    commit_end: int = 0
    reveal_end: int = 0
    committed: dict[str, tuple[int, bytes]] = field(default_factory=dict)  # operator -> seats, commitment
    abstained: dict[str, int] = field(default_factory=dict)
    revealed: list[RevealedScores] = field(default_factory=list)
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

    def loss_of(self, row: RevealedScores) -> int:
        """Summed loss of a row once settled; eight 32-bit losses to a word, the first in the lowest lane."""
        return (self.losses[row.index // 8] >> (32 * (row.index % 8))) & 0xFFFFFFFF


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
        return Round(
            number=c.number,
            target=c.target,
            seed=c.seed,
            seed_at=c.commit_end - self.params.windows.score_commit if c.seeded else 0,
            score_commit_end=c.commit_end,
            score_reveal_end=c.reveal_end,
            committed_rows=len(c.committed),
            committed_seats=c.committed_seats,
            revealed_rows=len(c.revealed),
            revealed_seats=c.revealed_seats,
            page_words=self.words_a_page if c.committed else 0,
            pages=self.page_total if c.committed else 0,
            settled_pages=len(c.pages),
            settled_at=settled,
        )

    def phase(self, now: int) -> Phase:
        return phase(self.params, self.schedule, self.state(), self.round(), now)


class World:
    """All tasks, and what accounts are owed. `apply` folds one event; the order must be the chain's.

    `past` holds what is left of tasks that ended and that nobody here has anything to do with any more, see
    `covey.daemon.past`; events about them change nothing.
    """

    def __init__(self) -> None:
        self.tasks: dict[int, Task] = {}
        self.past: dict[int, Task] = {}
        self.owed: dict[str, int] = {}

    def apply(self, event: EventLike) -> None:
        fold = _FOLDS.get((event.contract, event.name))
        if fold is not None and event.args.get("taskId") not in self.past:
            fold(self, event.args)

    def branch(self, events: Iterable[EventLike]) -> World:
        """This world with some more events on top. It shares what they do not touch, and stays as it is itself."""
        ahead = World()
        ahead.tasks, ahead.past, ahead.owed = dict(self.tasks), self.past, dict(self.owed)
        own: set[int] = set()
        for event in events:
            task = event.args.get("taskId")
            if task in ahead.tasks and task not in own:
                ahead.tasks[task] = copy.deepcopy(ahead.tasks[task])
                own.add(task)
            ahead.apply(event)
        return ahead

    def running(self) -> list[Task]:
        return [task for task in self.tasks.values() if task.outcome == Outcome.RUNNING]


Args = Mapping[str, Any]


def _bytes(value: str) -> bytes:
    return bytes.fromhex(value[2:])


def _task_created(world: World, a: Args) -> None:
    world.tasks[a["taskId"]] = Task(a["taskId"], a["creator"], task_params(a), task_schedule(a))


def _entry_committed(world: World, a: Args) -> None:
    entry = Entry(a["operator"], a["sequence"], a["fee"], a["payer"], _bytes(a["commitment"]))
    world.tasks[a["taskId"]].entries[entry.operator] = entry


def _validator_enrolled(world: World, a: Args) -> None:
    task = world.tasks[a["taskId"]]
    task.enrolled[a["operator"]] = a["amount"]
    task.total_earmarked = a["totalEarmarked"]


def _entry_revealed(world: World, a: Args) -> None:
    entry = world.tasks[a["taskId"]].entries[a["operator"]]
    entry.lane, entry.digest = a["lane"], _bytes(a["digest"])


def _sealed_opened(world: World, a: Args) -> None:
    world.tasks[a["taskId"]].sealed_digest = _bytes(a["digest"])


def _task_ended(world: World, a: Args) -> None:
    task = world.tasks[a["taskId"]]
    task.outcome = Outcome(a["outcome"])
    task.reason = _bytes(a["reason"]).rstrip(b"\0").decode("ascii", "replace")


def _earmark_freed(world: World, a: Args) -> None:
    world.tasks[a["taskId"]].freed.add(a["operator"])


def _task_extended(world: World, a: Args) -> None:
    task = world.tasks[a["taskId"]]
    task.schedule = replace(task.schedule, expires_at=a["expiresAt"])


def _reseated(world: World, a: Args) -> None:
    """The quorum was missed: what follows is a new seed request."""
    task = world.tasks[a["taskId"]]
    assert task.committee is not None, "a second committee before the first"
    task.earlier, task.committee = task.committee, None


def _seed_requested(world: World, a: Args) -> None:
    world.tasks[a["taskId"]].committee = Committee(a["round"], a["target"], a["totalEarmarked"])


def _committee(world: World, a: Args) -> Committee:
    committee = world.tasks[a["taskId"]].committee
    assert committee is not None, "an event of a round before its seed was requested"
    return committee


def _seed_fixed(world: World, a: Args) -> None:
    c = _committee(world, a)
    c.seed, c.commit_end, c.reveal_end = _bytes(a["seed"]), a["scoreCommitEnd"], a["scoreRevealEnd"]


def _scores_committed(world: World, a: Args) -> None:
    _committee(world, a).committed[a["operator"]] = (a["seats"], _bytes(a["commitment"]))


def _abstained(world: World, a: Args) -> None:
    _committee(world, a).abstained[a["operator"]] = a["seats"]


def _scores_revealed(world: World, a: Args) -> None:
    row = RevealedScores(a["operator"], a["seats"], a["index"], _bytes(a["evidenceDigest"]), tuple(a["words"]))
    _committee(world, a).revealed.append(row)


def _page_settled(world: World, a: Args) -> None:
    page = SettledPage(_bytes(a["root"]), a["weights"], a["spread"], tuple(a["medians"]))
    _committee(world, a).pages[a["page"]] = page


def _round_settled(world: World, a: Args) -> None:
    c = _committee(world, a)
    totals = a["totals"]
    c.totals = Totals(totals["weights"], totals["gainSeats"], totals["spread"])
    c.losses, c.payable_at = tuple(a["losses"]), a["payableAt"]


def _escrow_closed(world: World, a: Args) -> None:
    world.tasks[a["taskId"]].pools = (a["trainersPool"], a["validatorsPool"])


def _entry_claimed(world: World, a: Args) -> None:
    world.tasks[a["taskId"]].claimed_lanes.add(a["lane"])


def _scoring_claimed(world: World, a: Args) -> None:
    world.tasks[a["taskId"]].claimed_scoring.add(a["operator"])


def _fee_refunded(world: World, a: Args) -> None:
    world.tasks[a["taskId"]].claimed_fees.add(a["operator"])


def _credited(world: World, a: Args) -> None:
    world.owed[a["account"]] = world.owed.get(a["account"], 0) + a["amount"]


def _withdrawn(world: World, a: Args) -> None:
    world.owed[a["account"]] = max(0, world.owed.get(a["account"], 0) - a["amount"])


_FOLDS: dict[tuple[str, str], Callable[[World, Args], None]] = {
    ("TaskRegistry", "TaskCreated"): _task_created,
    ("TaskRegistry", "EntryCommitted"): _entry_committed,
    ("TaskRegistry", "ValidatorEnrolled"): _validator_enrolled,
    ("TaskRegistry", "EntryRevealed"): _entry_revealed,
    ("TaskRegistry", "SealedSetOpened"): _sealed_opened,
    ("TaskRegistry", "TaskEnded"): _task_ended,
    ("TaskRegistry", "EarmarkFreed"): _earmark_freed,
    ("TaskRegistry", "TaskExtended"): _task_extended,
    ("Scoring", "SeedRequested"): _seed_requested,
    ("Scoring", "Reseated"): _reseated,
    ("Scoring", "SeedFixed"): _seed_fixed,
    ("Scoring", "ScoresCommitted"): _scores_committed,
    ("Scoring", "Abstained"): _abstained,
    ("Scoring", "ScoresRevealed"): _scores_revealed,
    ("Scoring", "PageSettled"): _page_settled,
    ("Scoring", "RoundSettled"): _round_settled,
    ("Rewards", "EscrowClosed"): _escrow_closed,
    ("Rewards", "EntryRewardClaimed"): _entry_claimed,
    ("Rewards", "ScoringRewardClaimed"): _scoring_claimed,
    ("Rewards", "FeeRefunded"): _fee_refunded,
    ("Rewards", "Credited"): _credited,
    ("Rewards", "CreditWithdrawn"): _withdrawn,
}
