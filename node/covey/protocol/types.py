"""The contracts' structs as Python types, field for field.

Amounts are wei of CVY, times unix seconds of the chain, digests 32 bytes, addresses 0x-prefixed hex.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Kind(IntEnum):
    """Kind of a task: the best adapters win, or rounds build one adapter."""

    ARENA = 0
    FEDERATED = 1


class Evaluation(IntEnum):
    """Records for scoring: each validator's own, or the creator's sealed set."""

    LOCAL = 0
    SEALED = 1


class Outcome(IntEnum):
    """State of a task: running, or how it ended."""

    RUNNING = 0
    PAID = 1
    REFUNDED = 2
    FAILED = 3


class RowStatus(IntEnum):
    """State of a seated validator's row."""

    NONE = 0
    COMMITTED = 1
    ABSTAINED = 2
    REVEALED = 3
    ABSENT = 4
    UNREVEALED = 5


class Fault(IntEnum):
    """A validator's fault that a third party can prove."""

    ABSENT = 0
    UNREVEALED = 1
    OVERTURNED = 2


class SlashKind(IntEnum):
    """How a slash of an earmark treats the operator's pool."""

    CAPPED = 0
    """Absent or unrevealed: within the cap on absences."""
    MISSED_ROUND = 1
    """Silent in a missed round of a task that did not fail: within the cap, and jails."""
    OVERTURNED = 2
    FAILED_TASK = 3
    """Silent in a missed round of a failed task: not capped, from the operator's own shares first, and jails."""


class AppealState(IntEnum):
    """State of a task's appeal. A failed appeal does not change the medians."""

    NONE = 0
    OPEN = 1
    SETTLED = 2
    FAILED = 3


@dataclass(frozen=True, slots=True)
class Windows:
    """Lengths of a task's windows in seconds, in order."""

    entry_commit: int
    enrol: int
    entry_reveal: int
    open: int
    score_commit: int
    score_reveal: int
    settle: int
    appeal: int


@dataclass(frozen=True, slots=True)
class TaskParams:
    """A creator's parameters. ``validator_bps`` is in 1/10000; scores and bounds are in score units (1 = the base)."""

    spec_digest: bytes
    sealed_commitment: bytes
    kind: Kind
    evaluation: Evaluation
    validator_bps: int
    target_seats: int
    floor_score: int
    h: int
    tau: int
    power: int
    max_entries: int
    min_entries: int
    bounty: int
    bond: int
    entry_fee: int
    min_stake: int
    windows: Windows


@dataclass(frozen=True, slots=True)
class Schedule:
    """Absolute ends of the windows, as stored by the registry."""

    created_at: int
    entry_commit_end: int
    enrol_end: int
    entry_reveal_end: int
    open_end: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class TaskState:
    """State of a task in the registry. Lanes are 0..revealed-1."""

    creator: str
    outcome: Outcome
    committed: int
    revealed: int
    total_earmarked: int
    sealed_digest: bytes
    sealed_open: bool


@dataclass(frozen=True, slots=True)
class Round:
    """State of a task's round in scoring; all zero until the seed is requested.

    ``missed``: reveals are over without a quorum. ``is_void``: every median was 0, so the round paid nobody.
    ``settled_at`` is 0 for a void round.
    """

    number: int
    target: int
    seed: bytes
    seed_at: int
    score_commit_end: int
    score_reveal_end: int
    committed_rows: int
    committed_seats: int
    revealed_rows: int
    revealed_seats: int
    page_words: int
    pages: int
    settled_pages: int
    settled_at: int
    missed: bool = False
    is_void: bool = False

    @property
    def seeded(self) -> bool:
        """Whether the seed is fixed."""
        return self.seed != bytes(32)


@dataclass(frozen=True, slots=True)
class Row:
    """A validator's row of scores. ``index`` is its position in order of reveal, valid once revealed."""

    status: RowStatus
    seats: int
    index: int
    commitment: bytes


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over all settled pages: max(0, m - floor)^p, seats times gain, and G. ``scored``: a median is above 0."""

    weights: int
    gain_seats: int
    spread: int
    scored: bool = True
