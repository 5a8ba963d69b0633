"""The events of each task, sorted into what they tell about; nothing is computed here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

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
    """The bytes of an argument that is 0x hex (or bytes already)."""
    return bytes.fromhex(value.removeprefix("0x")) if isinstance(value, str) else bytes(value)


class AuditError(Exception):
    """The events are not those of one whole task."""


@dataclass(slots=True)
class RoundRecord:
    """One committee's events, in chain order."""

    requested: Args
    fixed: Args | None = None
    committed: list[Args] = field(default_factory=list)
    abstained: list[Args] = field(default_factory=list)
    revealed: list[Args] = field(default_factory=list)
    pages: dict[int, Args] = field(default_factory=dict)
    settled: Args | None = None


@dataclass(slots=True)
class TaskRecord:
    """One task's events, in chain order. Claims stand with the rewards that reached pools in the same transaction."""

    id: int
    created: Args
    committed: list[Args] = field(default_factory=list)
    enrolled: list[Args] = field(default_factory=list)
    revealed: list[Args] = field(default_factory=list)
    rounds: dict[int, RoundRecord] = field(default_factory=dict)
    funded: Args | None = None
    fees: list[Args] = field(default_factory=list)
    tips: list[Args] = field(default_factory=list)
    ended: Args | None = None
    closed: Args | None = None
    entry_claims: list[tuple[Args, int | None]] = field(default_factory=list)
    scoring_claims: list[tuple[Args, int | None]] = field(default_factory=list)
    fee_refunds: list[Args] = field(default_factory=list)

    @property
    def params(self) -> Args:
        """The creator's parameters, by their ABI names."""
        params: Args = self.created["params"]
        return params

    @property
    def last_round(self) -> RoundRecord | None:
        """The committee that counts: the latest one."""
        return self.rounds[max(self.rounds)] if self.rounds else None


_LISTS = {
    ("TaskRegistry", "EntryCommitted"): "committed",
    ("TaskRegistry", "ValidatorEnrolled"): "enrolled",
    ("TaskRegistry", "EntryRevealed"): "revealed",
    ("Rewards", "FeePaid"): "fees",
    ("Rewards", "TipPaid"): "tips",
    ("Rewards", "FeeRefunded"): "fee_refunds",
}
_SINGLES = {
    ("TaskRegistry", "TaskEnded"): "ended",
    ("Rewards", "EscrowClosed"): "closed",
    ("Rewards", "TaskFunded"): "funded",
}
_ROUND_LISTS = {"ScoresCommitted": "committed", "Abstained": "abstained", "ScoresRevealed": "revealed"}
_CLAIMS = {"EntryRewardClaimed": "entry_claims", "ScoringRewardClaimed": "scoring_claims"}


def gather(events: Iterable[ChainEvent]) -> dict[int, TaskRecord]:
    """Records of all tasks, by id. Events must come in the chain's order.

    Raises:
        AuditError: an event of a task (or round) whose beginning is missing.
    """
    events = list(events)
    tasks: dict[int, TaskRecord] = {}
    early: dict[int, list[tuple[str, Args]]] = {}
    added = _rewards_added(events)
    for event in events:
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
            _file(_known(tasks, task_id), event, added)
    return tasks


def _rewards_added(events: Iterable[ChainEvent]) -> dict[tuple[str | bytes, str], list[int]]:
    """Amounts that reached pools, by transaction and operator, in order."""
    added: dict[tuple[str | bytes, str], list[int]] = {}
    for event in events:
        if (event.contract, event.name) == ("Staking", "RewardAdded"):
            added.setdefault((event.tx_hash, event.args["operator"]), []).append(int(event.args["amount"]))
    return added


def _known(tasks: Mapping[int, TaskRecord], task_id: int) -> TaskRecord:
    if task_id not in tasks:
        raise AuditError(f"task {task_id} has events but no beginning: read from the block of deployment on")
    return tasks[task_id]


def _file(task: TaskRecord, event: ChainEvent, added: Mapping[tuple[str | bytes, str], list[int]]) -> None:
    key = (event.contract, event.name)
    if key in _LISTS:
        getattr(task, _LISTS[key]).append(event.args)
    elif key in _SINGLES:
        setattr(task, _SINGLES[key], event.args)
    elif event.contract == "Rewards" and event.name in _CLAIMS:
        paid = added.get((event.tx_hash, event.args["operator"]))
        getattr(task, _CLAIMS[event.name]).append((event.args, paid.pop(0) if paid else None))
    elif event.contract == "Scoring":
        _file_scoring(task, event)


def _file_scoring(task: TaskRecord, event: ChainEvent) -> None:
    args = event.args
    number = int(args.get("round", 0))
    if event.name == "SeedRequested":
        if number in task.rounds and task.rounds[number].fixed is not None:
            raise AuditError(f"task {task.id}: round {number} asked for a seed after it had one")
        task.rounds[number] = RoundRecord(args)
        return
    if number not in task.rounds:
        raise AuditError(f"task {task.id}: {event.name} of round {number}, which was never begun")
    round_ = task.rounds[number]
    if event.name == "SeedFixed":
        round_.fixed = args
    elif event.name in _ROUND_LISTS:
        getattr(round_, _ROUND_LISTS[event.name]).append(args)
    elif event.name == "PageSettled":
        round_.pages[int(args["page"])] = args
    elif event.name == "RoundSettled":
        round_.settled = args
