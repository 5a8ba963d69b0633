"""What the rules say a task's events must have led to: seats, medians, gains, pools and rewards."""

from __future__ import annotations

from dataclasses import dataclass

from covey.audit.record import AuditError, RoundRecord, TaskRecord, raw
from covey.protocol.faults import stake_in_round
from covey.protocol.payouts import Pools, entry_reward, scoring_reward, split
from covey.protocol.scores import page_words, unpack
from covey.protocol.seats import seats
from covey.protocol.settlement import RevealedRow, Rules, Settlement, settle, weight_of
from covey.protocol.types import Outcome


@dataclass(frozen=True, slots=True)
class Network:
    """Which chain and contracts the hashes name."""

    chain_id: int
    registry: str
    scoring: str
    appeal_committee: str = ""


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
    """A settled task under the rules. `settlement` is as it was settled, `total_weights` as appeals have left it."""

    settlement: Settlement
    pools: Pools
    entries: list[EntryPay]
    rows: list[RowPay]
    total_weights: int


def stake_of(task: TaskRecord, round_: RoundRecord, operator: str) -> int:
    """The stake by which an operator is drawn into a round when it acts in it, wei."""
    earmark = earmark_of(task, operator)
    if round_.number == 0 or 0 not in task.rounds:
        return earmark
    first = task.rounds[0]
    out = round_.barred.get(operator, operator in first.reported or operator in first_abstained(task))
    return stake_in_round(round_.number, earmark, False, operator in first.unrevealed, out)


def first_abstained(task: TaskRecord) -> set[str]:
    """Who abstained in the first committee."""
    return {args["operator"] for args in task.rounds[0].abstained} if 0 in task.rounds else set()


def earmark_of(task: TaskRecord, operator: str) -> int:
    """What an operator enrolled with, wei."""
    return sum(int(one["amount"]) for one in task.enrolled if one["operator"] == operator)


def total_of(task: TaskRecord, round_: RoundRecord) -> int:
    """S of a round: all that enrolled, less what had left before its seed was requested."""
    return sum(int(one["amount"]) for one in task.enrolled if one["operator"] not in round_.out_of_stake)


def seats_of(task: TaskRecord, round_: RoundRecord, network: Network, operator: str) -> int:
    """Seats of an enrolled operator under the round's seed; 0 if it never enrolled. AuditError without a seed."""
    if round_.fixed is None:
        raise AuditError(f"task {task.id}: round {round_.number} has no seed")
    stake = stake_of(task, round_, operator)
    if not stake:
        return 0
    return seats(
        network.chain_id, network.scoring, task.id, round_.number, raw(round_.fixed["seed"]),
        operator, stake, total_of(task, round_), int(task.params["targetSeats"]),
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
    if not any(row.seats for row in rows):
        raise AuditError(f"task {task.id} was settled on rows that have no seat by the rules")
    rules = Rules(int(params["h"]), int(params["tau"]), int(params["floorScore"]), int(params["power"]))
    settlement = settle(rows, rules, page_words(len(round_.committed)), round_.number)
    words = list(settlement.median_words)
    for one in task.appeal.replaced:
        words[int(one["word"])] = int(one["replacement"])
    medians = unpack(words, len(task.revealed))
    weights = [weight_of(median, rules.floor, rules.power) for median in medians]
    total = sum(weights)
    pools = pools_of(task, settlement, total)
    entries = [
        EntryPay(args["operator"], lane, median, weight, entry_reward(pools.trainers, weight, total))
        for lane, (args, median, weight) in enumerate(zip(task.revealed, medians, weights, strict=True))
    ]
    shares = [
        RowPay(
            row.operator, row.seats, list(row.scores), loss, gain,
            scoring_reward(pools, row.seats, gain, settlement.gain_seats, settlement.revealed_seats),
        )
        for row, loss, gain in zip(rows, settlement.losses, settlement.gains, strict=True)
    ]  # fmt: skip
    return Ruling(settlement, pools, entries, shares, total)


def pools_of(
    task: TaskRecord, settlement: Settlement | None, total_weights: int = 0, outcome: Outcome = Outcome.PAID
) -> Pools:
    """How the escrow splits at the given ending, from what was paid in, tipped out and charged by appeals."""
    params = task.params
    premiums = sum(int(one["premium"]) for one in task.appeal.charges)
    bond = int(params["bond"]) - sum(int(one["amount"]) for one in task.tips) - premiums
    fees = sum(int(one["fee"]) for one in task.committed)
    return split(
        outcome, int(params["bounty"]), bond, fees, int(params["validatorBps"]),
        total_weights, settlement.gain_seats if settlement else 0,
        sum(int(one["amount"]) for one in task.top_ups), sum(int(one["cost"]) for one in task.appeal.charges),
    )  # fmt: skip
