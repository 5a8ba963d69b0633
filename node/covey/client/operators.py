"""Operators of a network: their pools, and what they did and what was reported of them, counted from the events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from covey.audit.chain import Chain
from covey.chain.contracts.staking import Pool
from covey.chain.events.decoder import Event
from covey.client.staking import operators
from covey.protocol.types import Fault

_COMMITTEES = ("Scoring", "AppealCommittee")


@dataclass(slots=True)
class OperatorRecord:
    """What the events say of one operator, in tasks and in appeals. Amounts are wei."""

    entries: int = 0
    """Adapters revealed in tasks."""
    rows: int = 0
    """Rows of scores revealed."""
    seats: int = 0
    """Seats that these rows had."""
    abstained: int = 0
    """Rounds in which it abstained."""
    absences: int = 0
    """Reported: no scores, though it had seats."""
    unrevealed: int = 0
    """Reported: scores committed and not revealed."""
    missed: int = 0
    """Reported: silent in a round, or in an appeal, that missed its quorum."""
    overturned: int = 0
    """Reported: rows far from the medians that an appeal found."""
    slashed: int = 0
    """Stake of the pool lost to slashes."""
    earned: int = 0
    """Rewards: what dripped into the pool, the commission, and what still drips."""
    jailed: int = 0
    """How often it was jailed."""

    @property
    def faults(self) -> int:
        """All reported faults."""
        return self.absences + self.unrevealed + self.missed + self.overturned


@dataclass(frozen=True, slots=True)
class OperatorView:
    """An operator at the newest block."""

    address: str
    pool: Pool
    eligible: bool
    record: OperatorRecord


def read_operators(chain: Chain) -> list[OperatorView]:
    """All operators, in the order of registration, each with its record."""
    staking = chain.contracts.staking
    records = count_records(chain.events())
    return [
        OperatorView(one, staking.pool_of(one), staking.is_eligible(one), records.get(one, OperatorRecord()))
        for one in operators(chain)
    ]


def count_records(events: Iterable[Event]) -> dict[str, OperatorRecord]:
    """Records by operator, from the events of all contracts."""
    records: dict[str, OperatorRecord] = {}
    for event in events:
        operator = event.args.get("operator")
        if isinstance(operator, str):
            _count(records.setdefault(operator, OperatorRecord()), event)
    return records


def _count(record: OperatorRecord, event: Event) -> None:
    args, name = event.args, event.name
    if event.contract in _COMMITTEES:
        _count_row(record, event)
    elif name == "Slashed":
        record.slashed += args["fromActive"] + args["fromUnbonding"]
    elif name == "RewardAdded":
        record.earned += args["amount"]
    elif name == "Jailed":
        record.jailed += 1
    elif name == "EntryRevealed":
        record.entries += 1
    elif name in ("MissedReported", "JurorReported"):
        record.missed += 1
    elif name == "RowOverturned":
        record.overturned += 1


def _count_row(record: OperatorRecord, event: Event) -> None:
    if event.name == "ScoresRevealed":
        record.rows += 1
        record.seats += event.args["seats"]
    elif event.name == "Abstained":
        record.abstained += 1
    elif event.name == "FaultReported" and Fault(event.args["fault"]) == Fault.ABSENT:
        record.absences += 1
    elif event.name == "FaultReported":
        record.unrevealed += 1
