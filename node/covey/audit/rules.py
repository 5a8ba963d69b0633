"""Computes a task's seats, medians, gains, pools and rewards from its events, by the rules of `covey.protocol`."""

from __future__ import annotations

from dataclasses import dataclass

from covey.audit.record import AuditError, FaultRecord, RoundRecord, TaskRecord
from covey.protocol.faults import bounty_limit, stake_in_round, unit
from covey.protocol.payouts import Pools, entry_reward, scoring_reward, split
from covey.protocol.scores import page_words, unpack
from covey.protocol.seats import seats
from covey.protocol.settlement import RevealedRow, Rules, Settlement, settle, weight_of
from covey.protocol.types import Outcome


@dataclass(frozen=True, slots=True)
class HashDomain:
    """Domain separation of the protocol's hashes: the chain id, and the addresses of the contracts that hash."""

    chain_id: int
    registry: str
    scoring: str
    appeal_committee: str = ""


@dataclass(frozen=True, slots=True)
class EntryPay:
    """An entry by the rules. `lane` is its position, `median` a score, `reward` wei."""

    operator: str
    lane: int
    median: int
    weight: int
    reward: int


@dataclass(frozen=True, slots=True)
class RowPay:
    """A revealed row by the rules. `scores`, one per lane; `loss` and `gain` in score units; `reward` in wei."""

    operator: str
    seats: int
    scores: list[int]
    loss: int
    gain: int
    reward: int


@dataclass(frozen=True, slots=True)
class Ruling:
    """A settled task by the rules.

    `settlement` is the state at settlement; `total_weights` and `entries` include medians that appeals replaced.
    """

    settlement: Settlement
    pools: Pools
    entries: list[EntryPay]
    rows: list[RowPay]
    total_weights: int


def stake_of(task: TaskRecord, round_: RoundRecord, operator: str) -> int:
    """The stake with which an operator is drawn into a round, wei."""
    earmark = earmark_of(task, operator)
    if round_.number == 0 or 0 not in task.rounds:
        return earmark
    first = task.rounds[0]
    if first.void:  # nobody leaves for a void round
        return earmark
    left = operator in round_.out_of_stake
    return stake_in_round(round_.number, earmark, operator in first_abstained(task), operator in first.unrevealed, left)


def first_abstained(task: TaskRecord) -> set[str]:
    """Operators that abstained in the first committee."""
    return {args["operator"] for args in task.rounds[0].abstained} if 0 in task.rounds else set()


def earmark_of(task: TaskRecord, operator: str) -> int:
    """The stake an operator enrolled with, wei; 0 if it did not enrol."""
    return sum(int(args["amount"]) for args in task.enrolled if args["operator"] == operator)


def total_of(task: TaskRecord, round_: RoundRecord) -> int:
    """S of a round, wei: all enrolled stake, less that of operators that had left before its seed was requested."""
    return sum(int(args["amount"]) for args in task.enrolled if args["operator"] not in round_.out_of_stake)


def seats_of(task: TaskRecord, round_: RoundRecord, domain: HashDomain, operator: str) -> int:
    """Seats of an operator under the round's seed; 0 if it did not enrol.

    Raises:
        AuditError: the round has no seed yet.
    """
    seed = round_.seed
    stake = stake_of(task, round_, operator)
    if not stake:
        return 0
    return seats(
        domain.chain_id, domain.scoring, task.id, round_.number, seed,
        operator, stake, total_of(task, round_), int(task.params["targetSeats"]),
    )  # fmt: skip


def unit_of(task: TaskRecord, fault: FaultRecord, stake: int, wanted: int) -> int:
    """Part of the bounty behind one of `wanted` seats drawn from `stake`, as of a fault's report, wei."""
    total, limit = total_enrolled(task), fault.bounty
    if fault.stake_multiple_bps is not None:
        limit = bounty_limit(max(int(task.params["minStake"]), total), fault.stake_multiple_bps)
    return unit(fault.bounty, limit, stake, total, wanted)


def total_enrolled(task: TaskRecord) -> int:
    """S, all stake that was enrolled for the task, wei."""
    return sum(int(args["amount"]) for args in task.enrolled)


def revealed_rows(task: TaskRecord, round_: RoundRecord, domain: HashDomain) -> list[RevealedRow]:
    """The round's revealed rows in order of reveal, with their seats by the rules."""
    entries = len(task.revealed)
    return [
        RevealedRow(
            args["operator"], seats_of(task, round_, domain, args["operator"]), unpack(list(args["words"]), entries)
        )
        for args in round_.revealed
    ]


def settle_round(task: TaskRecord, round_: RoundRecord, domain: HashDomain) -> Settlement:
    """Settle a round's revealed rows by the rules.

    Raises:
        AuditError: nothing was revealed, or only rows that have no seat by the rules.
    """
    if not round_.revealed or not round_.committed:
        raise AuditError(f"task {task.id} was not settled: nothing was revealed")
    rows = revealed_rows(task, round_, domain)
    if not any(row.seats for row in rows):
        raise AuditError(f"task {task.id} was settled with rows that have no seat by the rules")
    return settle(rows, rules_of(task), page_words(len(round_.committed)), round_.number, task.is_sealed)


def rules_of(task: TaskRecord) -> Rules:
    """The task's parameters of settlement."""
    params = task.params
    return Rules(int(params["h"]), int(params["tau"]), int(params["floorScore"]), int(params["power"]))


def rule(task: TaskRecord, domain: HashDomain) -> Ruling:
    """Apply the rules to a settled task.

    Raises:
        AuditError: the task has no settled round.
    """
    round_ = task.last_round
    if round_ is None:
        raise AuditError(f"task {task.id} was not settled: nothing was revealed")
    settlement, rules = settle_round(task, round_, domain), rules_of(task)
    rows = revealed_rows(task, round_, domain)
    words = list(settlement.median_words)
    for args in task.appeal.replaced:
        words[int(args["word"])] = int(args["replacement"])
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
    """Split the escrow for an outcome, from the amounts paid in, tipped and charged by appeals, wei."""
    params = task.params
    charged = sum(int(args["tips"]) for args in task.appeal.charges)
    bond = int(params["bond"]) - sum(int(args["amount"]) for args in task.tips) - charged
    fees = sum(int(args["fee"]) for args in task.committed)
    return split(
        outcome, int(params["bounty"]), bond, fees, int(params["validatorBps"]),
        total_weights, settlement.gain_seats if settlement else 0,
        sum(int(args["amount"]) for args in task.top_ups), sum(int(args["cost"]) for args in task.appeal.charges),
        task.has_void_round, task.is_withheld,
    )  # fmt: skip
