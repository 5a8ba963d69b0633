"""Groups events by task, round and appeal. Computes nothing from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from covey.protocol.types import Evaluation

Args = Mapping[str, Any]


class ChainEvent(Protocol):
    """A decoded event: arguments by ABI name, structs as mappings, bytes32 as 0x hex, addresses in checksum form."""

    @property
    def contract(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def args(self) -> Args: ...
    @property
    def tx_hash(self) -> str | bytes: ...


def raw(value: str | bytes) -> bytes:
    """Bytes of an argument given as 0x hex; bytes are returned as they are."""
    return bytes.fromhex(value.removeprefix("0x")) if isinstance(value, str) else bytes(value)


class AuditError(Exception):
    """The events are not the whole history of a task, or content that the audit needs is missing or unusable."""


@dataclass(frozen=True, slots=True)
class FaultRecord:
    """A reported fault: its event, and the events of the slashes that followed from it.

    `bounty` is the task's bounty with the top-ups until then, wei. `stake_multiple_bps` is the registry's minimum stake
    per bounty until then, 1/10000; None if the events do not tell it.
    """

    args: Args
    slashes: list[Args]
    bounty: int = 0
    stake_multiple_bps: int | None = None


@dataclass(slots=True)
class RoundRecord:
    """The events of one committee, in chain order.

    For a second committee, `out_of_stake` holds the operators that had abstained in the first one or were reported for
    it when the seed was first requested.
    `void`: every median was 0. `missed_reports`: operators that were reported for silent seats of this missed round.
    """

    requested: Args
    fixed: Args | None = None
    committed: list[Args] = field(default_factory=list)
    abstained: list[Args] = field(default_factory=list)
    revealed: list[Args] = field(default_factory=list)
    pages: dict[int, Args] = field(default_factory=dict)
    settled: Args | None = None
    failed: Args | None = None
    void: bool = False
    faults: list[FaultRecord] = field(default_factory=list)
    missed_reports: list[FaultRecord] = field(default_factory=list)
    out_of_stake: frozenset[str] = frozenset()

    @property
    def number(self) -> int:
        """0 for the first committee."""
        return int(self.requested["round"])

    @property
    def seed(self) -> bytes:
        """The round's seed, 32 bytes. Raises AuditError if it is not fixed yet."""
        if self.fixed is None:
            raise AuditError(f"round {self.number} has no seed")
        return raw(self.fixed["seed"])

    @property
    def unrevealed(self) -> set[str]:
        """Operators that committed a row and did not reveal it."""
        return {args["operator"] for args in self.committed} - {args["operator"] for args in self.revealed}

    @property
    def revealers(self) -> set[str]:
        """Operators that revealed a row."""
        return {args["operator"] for args in self.revealed}

    @property
    def reported(self) -> set[str]:
        """Operators with a reported fault."""
        return {fault.args["operator"] for fault in self.faults}


@dataclass(slots=True)
class AppealRecord:
    """The events of a task's appeal, in chain order."""

    contests: list[Args] = field(default_factory=list)
    enrolled: list[Args] = field(default_factory=list)
    round: RoundRecord | None = None
    settled: Args | None = None
    failed: bool = False
    charges: list[Args] = field(default_factory=list)
    resolved: list[Args] = field(default_factory=list)
    replaced: list[Args] = field(default_factory=list)
    overturned: list[FaultRecord] = field(default_factory=list)
    claims: list[tuple[Args, int | None]] = field(default_factory=list)
    freed: list[Args] = field(default_factory=list)
    jurors: list[FaultRecord] = field(default_factory=list)
    silent: list[FaultRecord] = field(default_factory=list)
    tips: list[Args] = field(default_factory=list)

    @property
    def round_faults(self) -> list[FaultRecord]:
        """All faults in the appeal's own round: of single rows, of overturned rows, and silence in a missed round."""
        return [*(self.round.faults if self.round is not None else []), *self.jurors, *self.silent]


@dataclass(slots=True)
class TaskRecord:
    """The events of one task, in chain order.

    A claim is paired with the reward that reached the operator's pool in the same transaction, wei, or None.
    """

    id: int
    created: Args
    committed: list[Args] = field(default_factory=list)
    enrolled: list[Args] = field(default_factory=list)
    revealed: list[Args] = field(default_factory=list)
    rounds: dict[int, RoundRecord] = field(default_factory=dict)
    funded: Args | None = None
    fees: list[Args] = field(default_factory=list)
    tips: list[Args] = field(default_factory=list)
    top_ups: list[Args] = field(default_factory=list)
    bond_moves: list[tuple[str, Args]] = field(
        default_factory=list
    )  # event name and arguments of tips and appeal charges
    extended: Args | None = None
    opened: Args | None = None
    freed: list[Args] = field(default_factory=list)
    appeal: AppealRecord = field(default_factory=AppealRecord)
    ended: Args | None = None
    closed: Args | None = None
    entry_claims: list[tuple[Args, int | None]] = field(default_factory=list)
    scoring_claims: list[tuple[Args, int | None]] = field(default_factory=list)
    fee_refunds: list[Args] = field(default_factory=list)

    @property
    def params(self) -> Args:
        """The creator's parameters by ABI name."""
        params: Args = self.created["params"]
        return params

    @property
    def last_round(self) -> RoundRecord | None:
        """The latest committee, whose scores count; None before the first seed request."""
        return self.rounds[max(self.rounds)] if self.rounds else None

    @property
    def has_void_round(self) -> bool:
        """Whether every median of a round was 0."""
        return any(round_.void for round_ in self.rounds.values())

    @property
    def is_sealed(self) -> bool:
        """Whether all validators score the creator's sealed set."""
        return int(self.params.get("evaluation", Evaluation.LOCAL)) == Evaluation.SEALED

    @property
    def is_withheld(self) -> bool:
        """Whether the creator has not opened its sealed set."""
        return self.is_sealed and self.opened is None

    @property
    def bounty_so_far(self) -> int:
        """The bounty with the top-ups gathered so far, wei."""
        return int(self.params["bounty"]) + sum(int(args["amount"]) for args in self.top_ups)

    def settled_round(self) -> tuple[RoundRecord, Args]:
        """The latest committee and its `RoundSettled` event. Raises AuditError if it is not settled."""
        round_ = self.last_round
        if round_ is None or round_.settled is None:
            raise AuditError(f"task {self.id} is not settled")
        return round_, round_.settled


_LISTS = {
    ("TaskRegistry", "EntryCommitted"): "committed",
    ("TaskRegistry", "ValidatorEnrolled"): "enrolled",
    ("TaskRegistry", "EntryRevealed"): "revealed",
    ("Rewards", "FeePaid"): "fees",
    ("Rewards", "TipPaid"): "tips",
    ("Rewards", "FeeRefunded"): "fee_refunds",
    ("Rewards", "ToppedUp"): "top_ups",
    ("TaskRegistry", "EarmarkFreed"): "freed",
}
_SINGLES = {
    ("TaskRegistry", "TaskEnded"): "ended",
    ("Rewards", "EscrowClosed"): "closed",
    ("Rewards", "TaskFunded"): "funded",
    ("TaskRegistry", "TaskExtended"): "extended",
    ("TaskRegistry", "SealedSetOpened"): "opened",
}
_APPEAL_LISTS = {
    ("Appeals", "WordContested"): "contests",
    ("Appeals", "ContestResolved"): "resolved",
    ("AppealCommittee", "AppealEnrolled"): "enrolled",
    ("AppealCommittee", "AppealEarmarkFreed"): "freed",
    ("Scoring", "MedianReplaced"): "replaced",
    ("Rewards", "AppealCharged"): "charges",
}
_BOND_MOVES = (("Rewards", "TipPaid"), ("Rewards", "AppealCharged"))
_ROUND_LISTS = {"ScoresCommitted": "committed", "Abstained": "abstained", "ScoresRevealed": "revealed"}
_CLAIMS = {"EntryRewardClaimed": "entry_claims", "ScoringRewardClaimed": "scoring_claims"}


def gather(events: Iterable[ChainEvent]) -> dict[int, TaskRecord]:
    """Group events by task. The events must be in chain order, from the deployment's first block on.

    Returns:
        Records of all tasks by id.

    Raises:
        AuditError: the event that created a task, or requested a round's seed, is missing.
    """
    events = list(events)
    tasks: dict[int, TaskRecord] = {}
    early: dict[int, list[tuple[str, Args]]] = {}
    movements = _PoolMovements(events)
    for event in events:
        if (event.contract, event.name) == ("TaskBounds", "ConfigSet"):
            movements.stake_multiple_bps = int(event.args["config"]["stakeMultipleBps"])
        if "taskId" not in event.args:
            continue
        key = (event.contract, event.name)
        task_id = int(event.args["taskId"])
        if key == ("TaskRegistry", "TaskCreated"):
            tasks[task_id] = TaskRecord(task_id, event.args)
            for name, args in early.pop(task_id, []):
                setattr(tasks[task_id], name, args)
        elif task_id not in tasks and key in _SINGLES:
            early.setdefault(task_id, []).append((_SINGLES[key], event.args))  # funded within createTask
        else:
            _file(_known(tasks, task_id), event, movements)
    return tasks


class _PoolMovements:
    """Rewards and slashes of pools by transaction and operator, in chain order. Each is matched to one event only.

    `stake_multiple_bps` is that of the last event so far.
    """

    def __init__(self, events: Iterable[ChainEvent]) -> None:
        self.stake_multiple_bps: int | None = None
        self._moves: dict[tuple[str, str | bytes, str], list[Args]] = {}
        for event in events:
            if event.contract == "Staking" and event.name in ("RewardAdded", "Slashed"):
                self._moves.setdefault((event.name, event.tx_hash, event.args["operator"]), []).append(event.args)

    def added(self, event: ChainEvent) -> int | None:
        """The reward that a claim paid into the pool, wei; None if there was none."""
        found = self._moves.get(("RewardAdded", event.tx_hash, event.args["operator"]))
        return int(found.pop(0)["amount"]) if found else None

    def fault(self, task: TaskRecord, event: ChainEvent) -> FaultRecord:
        """The record of a reported fault."""
        return FaultRecord(event.args, self._slashed(event), task.bounty_so_far, self.stake_multiple_bps)

    def _slashed(self, event: ChainEvent) -> list[Args]:
        """The slashes of a reported fault: the oldest unmatched ones whose sum reaches the amount taken."""
        found = self._moves.get(("Slashed", event.tx_hash, event.args["operator"]), [])
        taken, slashes = 0, []
        while found and taken < int(event.args["taken"]):
            slashes.append(found.pop(0))
            taken += int(slashes[-1]["fromActive"]) + int(slashes[-1]["fromUnbonding"])
        return slashes


def _known(tasks: Mapping[int, TaskRecord], task_id: int) -> TaskRecord:
    if task_id not in tasks:
        raise AuditError(
            f"task {task_id} has events but no creation: read all events since the deployment's first block"
        )
    return tasks[task_id]


def _file(task: TaskRecord, event: ChainEvent, movements: _PoolMovements) -> None:
    key = (event.contract, event.name)
    if key in _BOND_MOVES:
        task.bond_moves.append((event.name, event.args))
    if key in _LISTS:
        getattr(task, _LISTS[key]).append(event.args)
    elif key in _SINGLES:
        setattr(task, _SINGLES[key], event.args)
    elif key in _APPEAL_LISTS:
        getattr(task.appeal, _APPEAL_LISTS[key]).append(event.args)
    elif event.contract == "Rewards" and event.name in _CLAIMS:
        getattr(task, _CLAIMS[event.name]).append((event.args, movements.added(event)))
    elif event.contract == "Scoring":
        _file_scoring(task, event, movements)
    elif event.contract == "AppealCommittee":
        _file_appeal_round(task, event, movements)
    elif event.contract == "Appeals":
        _file_appeal(task, event, movements)
    elif key == ("Faults", "JurorReported"):
        found = task.appeal.silent if event.args["failed"] else task.appeal.jurors
        found.append(movements.fault(task, event))
    elif key == ("Faults", "MissedReported"):
        _file_missed(task, event, movements)


def _file_scoring(task: TaskRecord, event: ChainEvent, movements: _PoolMovements) -> None:
    args = event.args
    number = int(args.get("round", 0))
    if event.name == "SeedRequested":
        if number in task.rounds and task.rounds[number].fixed is not None:
            raise AuditError(f"task {task.id}: round {number} requested a seed after it had one")
        # A lost target is requested again, for the stake of the first request.
        before = task.rounds.get(number)
        task.rounds[number] = RoundRecord(
            args, out_of_stake=_left(task, number) if before is None else before.out_of_stake
        )
        return
    if event.name == "Reseated":
        return  # the next seed request follows from it
    if number not in task.rounds:
        raise AuditError(f"task {task.id}: {event.name} without a seed request of round {number}")
    round_ = task.rounds[number]
    _file_round(task, round_, event, movements)
    if event.name == "PageSettled":
        round_.pages[int(args["page"])] = args
    elif event.name == "RoundVoid":
        round_.void = True
    elif event.name == "RoundSettled":
        round_.settled = args
    elif event.name == "RoundFailed":
        round_.failed = args


def _file_missed(task: TaskRecord, event: ChainEvent, movements: _PoolMovements) -> None:
    number = int(event.args["round"])
    if number not in task.rounds:
        raise AuditError(f"task {task.id}: {event.name} without a seed request of round {number}")
    task.rounds[number].missed_reports.append(movements.fault(task, event))


def _left(task: TaskRecord, number: int) -> frozenset[str]:
    """Operators that have abstained in the first committee or were reported for it so far.

    Empty for round 0, and after a void one.
    """
    if number == 0 or 0 not in task.rounds or task.rounds[0].void:
        return frozenset()
    first = task.rounds[0]
    return frozenset({args["operator"] for args in first.abstained} | first.reported)


def _file_round(task: TaskRecord, round_: RoundRecord, event: ChainEvent, movements: _PoolMovements) -> None:
    if event.name == "SeedFixed":
        round_.fixed = event.args
    elif event.name in _ROUND_LISTS:
        getattr(round_, _ROUND_LISTS[event.name]).append(event.args)
    elif event.name == "FaultReported":
        round_.faults.append(movements.fault(task, event))


def _file_appeal_round(task: TaskRecord, event: ChainEvent, movements: _PoolMovements) -> None:
    appeal = task.appeal
    if event.name == "SeedRequested":
        appeal.round = RoundRecord(event.args)
        return
    if appeal.round is None:
        raise AuditError(f"task {task.id}: {event.name} without a seed request of the appeal")
    _file_round(task, appeal.round, event, movements)
    if event.name == "ContestsSettled":
        appeal.round.pages[int(event.args["page"])] = event.args


def _file_appeal(task: TaskRecord, event: ChainEvent, movements: _PoolMovements) -> None:
    appeal = task.appeal
    if event.name == "AppealSettled":
        appeal.settled = event.args
    elif event.name == "AppealFailed":
        appeal.failed = True
    elif event.name == "RowOverturned":
        appeal.overturned.append(movements.fault(task, event))
    elif event.name == "AppealTipPaid":
        appeal.tips.append(event.args)
    elif event.name == "AppealRewardClaimed":
        appeal.claims.append((event.args, movements.added(event)))
