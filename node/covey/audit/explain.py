"""Explains a task's payments: the figures from which each operator's reward follows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from covey.audit.record import AuditError, ChainEvent, FaultRecord, TaskRecord, gather, raw
from covey.audit.rules import EntryPay, HashDomain, RowPay, Ruling, rule, stake_of, total_of
from covey.protocol.appeals import lanes
from covey.protocol.settlement import clipped
from covey.protocol.types import Fault, Outcome


@dataclass(frozen=True, slots=True)
class LaneLoss:
    """One score of one row, the lane's median, and the loss from their distance, score units."""

    lane: int
    score: int
    median: int
    loss: int


@dataclass(frozen=True, slots=True)
class EntryExplanation:
    """An entry and its reward: share = weight / Σ weights.

    `improvement` is the median as a relative improvement, 0 to 1. `fee`, `reward` and `paid` are wei; `paid` is None
    until the reward is claimed.
    """

    operator: str
    lane: int
    fee: int
    median: int
    improvement: float
    weight: int
    share: float
    reward: int
    paid: int | None


@dataclass(frozen=True, slots=True)
class RowExplanation:
    """A validator and its reward: gain = max(0, G - 2 · loss), share = seats · gain / Σ seats · gain.

    In a second committee, gain is 1 where G > 2 · loss, in a sealed task where the loss is 0. `earmark`, `reward` and
    `paid` are wei; `paid` is None until the reward is claimed.
    """

    operator: str
    earmark: int
    expected_seats: float
    seats: int
    lanes: list[LaneLoss]
    loss: int
    gain: int
    share: float
    reward: int
    paid: int | None


@dataclass(frozen=True, slots=True)
class FaultExplanation:
    """A reported fault.

    `where` is for instance `round 0` or `appeal`, `fault` what it was in words; `taken` is the slashed stake and
    `reporter_share` the reporter's part of it, wei.
    """

    operator: str
    where: str
    fault: str
    taken: int
    reporter: str
    reporter_share: int


@dataclass(frozen=True, slots=True)
class ContestExplanation:
    """A contested word of sixteen medians.

    `previous` are the medians before, `found` those of the appeal, `after` those that are paid by. `found` is None
    until the appeal is settled, `after`, `moved` and `copied` until the contest is resolved. Amounts are wei.
    """

    word: int
    appellant: str
    bond: int
    previous: list[int]
    found: list[int] | None
    after: list[int] | None
    moved: bool | None
    copied: bool | None
    to_appellant: int
    to_round: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """A task and its payments. Amounts are wei.

    `stage` describes the progress of the task; `entries` and `rows` are empty until it is settled. `round` is the
    committee whose scores count: 1 if a second one was drawn, which is paid flat. `extra` was added to the bounty by
    others, `appeal_cost` was taken from the validators' pool by appeals, `appeal_pay` was paid for appeals by operator.
    """

    task: int
    outcome: str
    stage: str
    rules: dict[str, int]
    bounty: int
    fees: int
    tips: int
    trainers_pool: int = 0
    validators_pool: int = 0
    to_creator: int = 0
    to_treasury: int = 0
    flat: bool = False
    spread: int = 0
    entries: list[EntryExplanation] = field(default_factory=list)
    rows: list[RowExplanation] = field(default_factory=list)
    round: int = 0
    extra: int = 0
    appeal_cost: int = 0
    faults: list[FaultExplanation] = field(default_factory=list)
    contests: list[ContestExplanation] = field(default_factory=list)
    appeal_pay: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; amounts stay integers."""
        return asdict(self)


def explain(events: Iterable[ChainEvent], domain: HashDomain, task_id: int) -> Explanation:
    """Explain one task.

    Args:
        events: all events since the deployment's first block, in chain order.

    Raises:
        AuditError: there is no task of this id, or events are missing.
    """
    tasks = gather(events)
    if task_id not in tasks:
        known = f"1 to {max(tasks)}" if tasks else "none yet"
        raise AuditError(f"there is no task {task_id} (tasks: {known})")
    task = tasks[task_id]
    round_ = task.last_round
    if round_ is None or round_.settled is None:
        return _explanation(task, None)
    return _explanation(task, rule(task, domain))


def _explanation(task: TaskRecord, ruling: Ruling | None) -> Explanation:
    params = task.params
    names = {
        "K": "targetSeats",
        "floor": "floorScore",
        "h": "h",
        "tau": "tau",
        "p": "power",
        "validator_bps": "validatorBps",
    }
    outcome = Outcome(int(task.ended["outcome"])) if task.ended is not None else Outcome.RUNNING
    known: dict[str, Any] = {
        "task": task.id,
        "outcome": outcome.name.lower(),
        "stage": _stage(task, outcome),
        "rules": {short: int(params[name]) for short, name in names.items()},
        "bounty": int(params["bounty"]),
        "fees": sum(int(entry["fee"]) for entry in task.committed),
        "tips": sum(int(tip["amount"]) for tip in task.tips),
        "extra": sum(int(top_up["amount"]) for top_up in task.top_ups),
        "appeal_cost": sum(int(charge["cost"]) for charge in task.appeal.charges),
        "round": task.last_round.number if task.last_round is not None else 0,
        "faults": list(_fault_explanations(task)),
        "contests": [_contest_explanation(task, index) for index in range(len(task.appeal.contests))],
        "appeal_pay": {args["operator"]: int(args["amount"]) for args, _ in task.appeal.claims},
    }
    if ruling is None:
        return Explanation(**known)
    pools = ruling.pools
    return Explanation(
        **known,
        trainers_pool=pools.trainers,
        validators_pool=pools.validators,
        to_creator=pools.to_creator,
        to_treasury=pools.to_treasury,
        flat=pools.flat,
        spread=ruling.settlement.spread,
        entries=[_entry_explanation(task, ruling, entry) for entry in ruling.entries],
        rows=[_row_explanation(task, ruling, row) for row in ruling.rows],
    )


def _stage(task: TaskRecord, outcome: Outcome) -> str:
    if outcome != Outcome.RUNNING:
        reason = raw(task.ended["reason"]).rstrip(b"\0").decode("ascii", "replace") if task.ended is not None else ""
        return f"ended as {outcome.name.lower()}" + (f" ({reason})" if reason else "")
    round_ = task.last_round
    if round_ is not None and (round_.failed is not None or round_.void):
        why = "every median was 0" if round_.void else "the quorum was missed"
        return f"{why}; waits for the seed of a second committee"
    if round_ is None:
        entries = f"{len(task.committed)} entries committed, {len(task.revealed)} revealed"
        return f"{entries}, {len(task.enrolled)} validators enrolled"
    if round_.fixed is None:
        return "waits for the seed"
    if round_.settled is None:
        return f"{len(round_.committed)} rows of scores committed, {len(round_.revealed)} revealed"
    unresolved = len(task.appeal.contests) - len(task.appeal.resolved)
    return f"settled, {unresolved} contested words are not resolved yet" if unresolved else "settled, waits for its end"


def _fault_explanations(task: TaskRecord) -> Iterator[FaultExplanation]:
    places = [(f"round {round_.number}", round_.faults) for round_ in task.rounds.values()]
    if task.appeal.round is not None:
        places.append(("appeal", task.appeal.round.faults))
    for where, faults in places:
        for fault in faults:
            yield _fault_explanation(fault, where, Fault(int(fault.args["fault"])).name.lower())
    for round_ in task.rounds.values():
        for fault in round_.missed_reports:
            yield _fault_explanation(fault, f"round {round_.number}", _silence(fault))
    for fault in task.appeal.jurors:
        yield _fault_explanation(fault, "appeal", Fault.OVERTURNED.name.lower())
    for fault in task.appeal.silent:
        yield _fault_explanation(fault, "appeal", "silent, the appeal failed")
    for fault in task.appeal.overturned:
        yield _fault_explanation(fault, f"contest {fault.args['contest']}", Fault.OVERTURNED.name.lower())


def _silence(fault: FaultRecord) -> str:
    return "silent, the task failed" if fault.args["failed"] else "silent, quorum missed"


def _fault_explanation(fault: FaultRecord, where: str, kind: str) -> FaultExplanation:
    share = sum(int(slash["reporterReward"]) for slash in fault.slashes)
    args = fault.args
    return FaultExplanation(args["operator"], where, kind, int(args["taken"]), args["reporter"], share)


def _contest_explanation(task: TaskRecord, index: int) -> ContestExplanation:
    appeal = task.appeal
    contest = appeal.contests[index]
    resolved = next((args for args in appeal.resolved if int(args["contest"]) == index), None)
    pages = appeal.round.pages if appeal.round is not None else {}
    words = [int(word) for number in sorted(pages) for word in pages[number]["found"]]
    return ContestExplanation(
        int(contest["word"]), contest["appellant"], int(contest["bond"]), lanes(int(contest["previous"])),
        lanes(words[index]) if appeal.settled is not None else None,
        None if resolved is None else _after(task, index, bool(resolved["moved"])),
        None if resolved is None else bool(resolved["moved"]),
        None if resolved is None else bool(resolved["copied"]),
        0 if resolved is None else int(resolved["toAppellant"]),
        0 if resolved is None else int(resolved["toPool"]),
    )  # fmt: skip


def _after(task: TaskRecord, index: int, moved: bool) -> list[int]:
    """The medians that are paid by after a contest's resolution."""
    contest = task.appeal.contests[index]
    replaced = (args for args in task.appeal.replaced if int(args["word"]) == int(contest["word"]))
    word = next(replaced, {"replacement": contest["previous"]})["replacement"] if moved else contest["previous"]
    return lanes(int(word))


def _entry_explanation(task: TaskRecord, ruling: Ruling, entry: EntryPay) -> EntryExplanation:
    total = ruling.total_weights
    fee = next(int(args["fee"]) for args in task.committed if args["operator"] == entry.operator)
    paid = next((int(args["amount"]) for args, _ in task.entry_claims if int(args["lane"]) == entry.lane), None)
    return EntryExplanation(
        entry.operator, entry.lane, fee, entry.median, max(0, entry.median - 1) / 32766, entry.weight,
        entry.weight / total if total else 0.0, entry.reward, paid,
    )  # fmt: skip


def _row_explanation(task: TaskRecord, ruling: Ruling, row: RowPay) -> RowExplanation:
    params, settlement = task.params, ruling.settlement
    h, tau = int(params["h"]), int(params["tau"])
    round_, _ = task.settled_round()
    stake, total = stake_of(task, round_, row.operator), total_of(task, round_)
    flat = ruling.pools.flat
    share = row.seats / settlement.revealed_seats if flat else row.seats * row.gain / settlement.gain_seats
    losses = [
        LaneLoss(lane, score, median, clipped(score - median, h, tau))
        for lane, (score, median) in enumerate(zip(row.scores, settlement.medians, strict=True))
    ]
    paid = next((int(args["amount"]) for args, _ in task.scoring_claims if args["operator"] == row.operator), None)
    expected = int(params["targetSeats"]) * stake / total if total else 0.0
    return RowExplanation(row.operator, stake, expected, row.seats, losses, row.loss, row.gain, share, row.reward, paid)
