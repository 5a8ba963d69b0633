"""What the rules say a task's events must have led to: seats, medians, gains, pools and rewards."""

from __future__ import annotations

from dataclasses import dataclass

from covey.audit.record import AuditError, RoundRecord, TaskRecord, raw
from covey.protocol.payouts import Pools, entry_reward, scoring_reward, split
from covey.protocol.scores import page_words, unpack
from covey.protocol.seats import seats
from covey.protocol.settlement import RevealedRow, Rules, Settlement, settle
from covey.protocol.types import Outcome


@dataclass(frozen=True, slots=True)
class Network:
    """Which chain and contracts the hashes name."""

    chain_id: int
    registry: str
    scoring: str


@dataclass(frozen=True, slots=True)
class EntryPay:
    """An entry under the rules; amounts in wei."""

    operator: str
    lane: int
    median: int
    weight: int
    reward: int


@dataclass(frozen=True, slots=True)
class RowPay:
    """A revealed row under the rules; scores by lane, amounts in wei."""

    operator: str
    seats: int
    scores: list[int]
    loss: int
    gain: int
    reward: int


@dataclass(frozen=True, slots=True)
class Ruling:
    """A settled task under the rules."""

    settlement: Settlement
    pools: Pools
    entries: list[EntryPay]
    rows: list[RowPay]


def seats_of(task: TaskRecord, round_: RoundRecord, network: Network, operator: str) -> int:
    """Seats of an enrolled operator under the round's seed; 0 if it never enrolled. AuditError without a seed."""
    if round_.fixed is None:
        raise AuditError(f"task {task.id}: round {round_.requested['round']} has no seed")
    earmark = sum(int(one["amount"]) for one in task.enrolled if one["operator"] == operator)
    total = sum(int(one["amount"]) for one in task.enrolled)
    if not earmark:
        return 0
    return seats(
        network.chain_id, network.scoring, task.id, int(round_.requested["round"]), raw(round_.fixed["seed"]),
        operator, earmark, total, int(task.params["targetSeats"]),
    )  # fmt: skip


def revealed_rows(task: TaskRecord, round_: RoundRecord, network: Network) -> list[RevealedRow]:
    """The round's revealed rows in order of reveal, with seats by the rules."""
    entries = len(task.revealed)
    return [
        RevealedRow(
            args["operator"], seats_of(task, round_, network, args["operator"]), unpack(list(args["words"]), entries)
        )
        for args in round_.revealed
    ]


def rule(task: TaskRecord, network: Network) -> Ruling:
    """Apply the rules to a task that was settled.

    Raises:
        AuditError: the task has no settled round.
    """
    round_ = task.last_round
    if round_ is None or not round_.revealed or not round_.committed:
        raise AuditError(f"task {task.id} was not settled: nothing was revealed")
    params = task.params
    rows = revealed_rows(task, round_, network)
    rules = Rules(int(params["h"]), int(params["tau"]), int(params["floorScore"]), int(params["power"]))
    settlement = settle(rows, rules, page_words(len(round_.committed)))
    pools = pools_of(task, settlement)
    entries = [
        EntryPay(args["operator"], lane, median, weight, entry_reward(pools.trainers, weight, settlement.total_weights))
        for lane, (args, median, weight) in enumerate(
            zip(task.revealed, settlement.medians, settlement.weights, strict=True)
        )
    ]
    shares = [
        RowPay(
            row.operator, row.seats, list(row.scores), loss, gain,
            scoring_reward(pools, row.seats, gain, settlement.gain_seats, settlement.revealed_seats),
        )
        for row, loss, gain in zip(rows, settlement.losses, settlement.gains, strict=True)
    ]  # fmt: skip
    return Ruling(settlement, pools, entries, shares)


def pools_of(task: TaskRecord, settlement: Settlement | None, outcome: Outcome = Outcome.PAID) -> Pools:
    """How the escrow splits at the given ending, from what was paid in and tipped out."""
    params = task.params
    bond = int(params["bond"]) - sum(int(one["amount"]) for one in task.tips)
    fees = sum(int(one["fee"]) for one in task.committed)
    return split(
        outcome, int(params["bounty"]), bond, fees, int(params["validatorBps"]),
        settlement.total_weights if settlement else 0, settlement.gain_seats if settlement else 0,
    )  # fmt: skip
