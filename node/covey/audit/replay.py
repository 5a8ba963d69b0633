"""Compares every figure that the contracts decided with the rules."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from covey.audit.appeals import AppealRuling, check_appeal
from covey.audit.faults import check_committees, check_released, check_stake
from covey.audit.record import Args, ChainEvent, RoundRecord, TaskRecord, gather, raw
from covey.audit.rules import HashDomain, Ruling, pools_of, rule, seats_of, settle_round
from covey.protocol.payouts import Pools, entry_fee, returns_fees
from covey.protocol.settlement import Settlement
from covey.protocol.types import Outcome


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure on chain that differs from the rules."""

    task: int
    what: str
    chain: Any
    rules: Any

    def __str__(self) -> str:
        return f"task {self.task}: {self.what} is {_show(self.chain)} on chain, {_show(self.rules)} by the rules"


@dataclass(slots=True)
class Audit:
    """Result of a replay.

    `checked` counts the figures compared, `differences` lists those that differ, `unclaimed` the rewards not claimed
    yet, `unavailable` the content that no source provided. `documents` counts the manifests and score sheets that a
    check of the evidence looked for, `fetched` those that it read. `rulings` and `appeals` hold the recomputed tasks.
    """

    checked: int = 0
    differences: list[Difference] = field(default_factory=list)
    unclaimed: list[str] = field(default_factory=list)
    unavailable: list[str] = field(default_factory=list)
    documents: int = 0
    fetched: int = 0
    rulings: dict[int, Ruling] = field(default_factory=dict)
    appeals: dict[int, AppealRuling] = field(default_factory=dict)

    def compare(self, task: TaskRecord, what: str, chain: Any, rules: Any) -> None:
        """Count one figure, and record a difference if chain and rules disagree."""
        self.checked += 1
        if chain != rules:
            self.differences.append(Difference(task.id, what, chain, rules))


def replay(events: Iterable[ChainEvent], domain: HashDomain, tasks: Iterable[int] | None = None) -> Audit:
    """Audit tasks from the events of a deployment's contracts.

    Args:
        events: all events since the deployment's first block, in chain order.
        tasks: ids of the tasks to audit; None is all.

    Raises:
        AuditError: events are missing.
    """
    audit = Audit()
    wanted = None if tasks is None else set(tasks)
    for task in gather(events).values():
        if wanted is None or task.id in wanted:
            _audit_task(audit, task, domain)
    return audit


def _audit_task(audit: Audit, task: TaskRecord, domain: HashDomain) -> None:
    _check_entries(audit, task)
    for round_ in task.rounds.values():
        _check_committee(audit, task, round_, domain)
    check_committees(audit, task, domain)
    check_released(audit, task, domain)
    outcome = Outcome(int(task.ended["outcome"])) if task.ended is not None else Outcome.RUNNING
    settled = task.last_round is not None and task.last_round.settled is not None
    for round_ in task.rounds.values():
        if round_.void:
            _check_void(audit, task, round_, domain)
    if settled:
        ruling = audit.rulings[task.id] = rule(task, domain)
        _check_settlement(audit, task, ruling)
        if task.appeal.contests:
            audit.appeals[task.id] = check_appeal(audit, task, domain, ruling.settlement)
    if outcome == Outcome.RUNNING:
        return
    audit.compare(task, "escrow closed with the task", task.closed is not None, True)
    if task.closed is None:
        return
    if outcome == Outcome.PAID:
        audit.compare(task, "paid task is settled", settled, True)
        if settled:
            _check_pools(audit, task, task.closed, audit.rulings[task.id].pools)
            _check_claims(audit, task, audit.rulings[task.id])
    else:
        _check_pools(audit, task, task.closed, pools_of(task, None, outcome=outcome))
        _check_refunds(audit, task, outcome)


def _check_entries(audit: Audit, task: TaskRecord) -> None:
    params = task.params
    for index, entry in enumerate(task.committed):
        fee = entry_fee(int(params["entryFee"]), index, int(params["maxEntries"]))
        audit.compare(task, f"sequence of the entry of {entry['operator']}", int(entry["sequence"]), index)
        audit.compare(task, f"fee of the entry of {entry['operator']}", int(entry["fee"]), fee)
    entrants = {entry["operator"] for entry in task.committed}
    audit.compare(task, "number of operators with an entry", len(entrants), len(task.committed))
    total = 0
    for args in task.enrolled:
        total += int(args["amount"])
        audit.compare(task, f"earmarked stake after {args['operator']}", int(args["totalEarmarked"]), total)
        audit.compare(task, f"entry of the validator {args['operator']}", args["operator"] in entrants, False)
    for lane, entry in enumerate(task.revealed):
        audit.compare(task, f"lane of the entry of {entry['operator']}", int(entry["lane"]), lane)
        audit.compare(task, f"commitment behind lane {lane}", entry["operator"] in entrants, True)
    paid = [(args["operator"], int(args["amount"])) for args in task.fees]
    audit.compare(task, "fees paid", paid, [(entry["operator"], int(entry["fee"])) for entry in task.committed])


def _check_committee(audit: Audit, task: TaskRecord, round_: RoundRecord, domain: HashDomain) -> None:
    number = round_.number
    check_stake(audit, task, round_)
    for args in [*round_.committed, *round_.abstained, *round_.revealed]:
        rules = seats_of(task, round_, domain, args["operator"])
        audit.compare(task, f"seats of {args['operator']} in round {number}", int(args["seats"]), rules)
    committed = {args["operator"] for args in round_.committed}
    for index, args in enumerate(round_.revealed):
        audit.compare(task, f"order of the row of {args['operator']}", int(args["index"]), index)
        audit.compare(task, f"commitment of the row of {args['operator']}", args["operator"] in committed, True)


def _check_settlement(audit: Audit, task: TaskRecord, ruling: Ruling) -> None:
    settlement = ruling.settlement
    round_, settled = task.settled_round()
    _check_pages(audit, task, round_, settlement)
    audit.compare(task, "a median above 0 in the settled round", not settlement.is_void, True)
    totals = settled["totals"]
    audit.compare(task, "sum of weights", int(totals["weights"]), settlement.total_weights)
    audit.compare(task, "sum of seats times gain", int(totals["gainSeats"]), settlement.gain_seats)
    audit.compare(task, "spread G", int(totals["spread"]), settlement.spread)
    losses = [int(word) >> (32 * lane) & 0xFFFFFFFF for word in settled["losses"] for lane in range(8)]
    for row, loss in zip(ruling.rows, losses, strict=False):
        audit.compare(task, f"loss of {row.operator}", loss, row.loss)


def _check_void(audit: Audit, task: TaskRecord, round_: RoundRecord, domain: HashDomain) -> None:
    settlement = settle_round(task, round_, domain)
    _check_pages(audit, task, round_, settlement)
    audit.compare(task, f"a median above 0 in the void round {round_.number}", False, not settlement.is_void)


def _check_pages(audit: Audit, task: TaskRecord, round_: RoundRecord, settlement: Settlement) -> None:
    where = f"of round {round_.number}"
    audit.compare(task, f"settled pages {where}", sorted(round_.pages), list(range(len(settlement.pages))))
    for number, page in enumerate(settlement.pages):
        chain = round_.pages.get(number)
        if chain is None:
            continue
        audit.compare(task, f"medians of page {number} {where}", [int(word) for word in chain["medians"]], page.words)
        audit.compare(task, f"root of page {number} {where}", raw(chain["root"]), page.root)
        audit.compare(task, f"weights of page {number} {where}", int(chain["weights"]), page.weights)
        audit.compare(task, f"spread of page {number} {where}", int(chain["spread"]), page.spread)


def _check_pools(audit: Audit, task: TaskRecord, closed: Args, pools: Pools) -> None:
    audit.compare(task, "trainers' pool", int(closed["trainersPool"]), pools.trainers)
    audit.compare(task, "validators' pool", int(closed["validatorsPool"]), pools.validators)
    audit.compare(task, "paid back to the creator", int(closed["toCreator"]), pools.to_creator)
    audit.compare(task, "paid to the treasury", int(closed["toTreasury"]), pools.to_treasury)


def _check_claims(audit: Audit, task: TaskRecord, ruling: Ruling) -> None:
    entries = {entry.lane: entry for entry in ruling.entries}
    for args, added in task.entry_claims:
        entry = entries.pop(int(args["lane"]), None)
        audit.compare(task, f"first claim of lane {args['lane']}", entry is not None, True)
        if entry is None:
            continue
        audit.compare(task, f"claimant of lane {entry.lane}", args["operator"], entry.operator)
        audit.compare(task, f"median of lane {entry.lane}", int(args["median"]), entry.median)
        audit.compare(task, f"reward of the entry of {entry.operator}", int(args["amount"]), entry.reward)
        audit.compare(task, f"reward added to the pool of {entry.operator}", added or 0, entry.reward)
    rows = {row.operator: row for row in ruling.rows}
    for args, added in task.scoring_claims:
        row = rows.pop(args["operator"], None)
        audit.compare(task, f"first claim of the row of {args['operator']}", row is not None, True)
        if row is None:
            continue
        audit.compare(task, f"seats paid to {row.operator}", int(args["seats"]), row.seats)
        audit.compare(task, f"gain of {row.operator}", int(args["gain"]), row.gain)
        audit.compare(task, f"reward of the validator {row.operator}", int(args["amount"]), row.reward)
        audit.compare(task, f"reward added to the pool of {row.operator}", added or 0, row.reward)
    audit.unclaimed += [
        f"task {task.id}: entry of {entry.operator}, {entry.reward} wei" for entry in entries.values() if entry.reward
    ]
    audit.unclaimed += [
        f"task {task.id}: row of {row.operator}, {row.reward} wei" for row in rows.values() if row.reward
    ]


def _check_refunds(audit: Audit, task: TaskRecord, outcome: Outcome) -> None:
    back = returns_fees(outcome, task.has_void_round)
    fees = {entry["operator"]: int(entry["fee"]) if back else 0 for entry in task.committed}
    for args in task.fee_refunds:
        audit.compare(task, f"fee refunded to {args['operator']}", int(args["amount"]), fees.pop(args["operator"], 0))


def _show(value: Any) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)
