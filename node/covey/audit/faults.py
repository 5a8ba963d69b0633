"""Compare reported faults, what they cost and what is left of the stake with what the rules say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from covey.audit.record import FaultRecord, RoundRecord, TaskRecord
from covey.audit.rules import Network, earmark_of, seats_of, total_of
from covey.protocol.faults import BPS, REPORTER_MAX_BPS, slash_of
from covey.protocol.settlement import quorum
from covey.protocol.types import Fault


class Comparing(Protocol):
    """What counts figures and keeps those that differ."""

    def compare(self, task: TaskRecord, what: str, chain: Any, rules: Any) -> None: ...


def check_round(
    audit: Comparing, task: TaskRecord, round_: RoundRecord, where: str, seats: Callable[[str], int],
    earmarks: Callable[[str], list[int]],
) -> None:  # fmt: skip
    """Faults of one round. `earmarks` gives what an operator has behind it, in the order in which it is slashed."""
    acted = {args["operator"] for args in [*round_.committed, *round_.abstained]}
    reported = [fault.args["operator"] for fault in round_.faults]
    audit.compare(task, f"operators reported of {where}", len(set(reported)), len(reported))
    for fault in round_.faults:
        operator, kind = fault.args["operator"], Fault(int(fault.args["fault"]))
        if kind == Fault.ABSENT:
            audit.compare(task, f"an act of the absent {operator} in {where}", operator in acted, False)
            audit.compare(task, f"a seat of the absent {operator} in {where}", seats(operator) > 0, True)
        else:
            hidden = operator in round_.unrevealed
            audit.compare(task, f"a row of {operator} in {where} that was never revealed", True, hidden)
        check_slash(audit, task, fault, kind, where, earmarks(operator))


def check_slash(
    audit: Comparing, task: TaskRecord, fault: FaultRecord, kind: Fault, where: str, earmarks: Iterable[int]
) -> None:
    """What a fault took: its share of each earmark, at most; less only where the pool's cap on absences, or what the
    pool still held, was less. The reporter's share at most a tenth of it."""
    operator, slashes = fault.args["operator"], fault.slashes
    taken = [int(one["fromActive"]) + int(one["fromUnbonding"]) for one in slashes]
    what = f"what the fault of {operator} in {where} took"
    audit.compare(task, what, int(fault.args["taken"]), sum(taken))
    most = [slash_of(kind, earmark) for earmark in earmarks if earmark]
    within = len(taken) <= len(most) and all(a <= b for a, b in zip(taken, most, strict=False))
    audit.compare(task, f"{what} is within its share of the stake", within, True)
    for one, amount in zip(slashes, taken, strict=True):
        audit.compare(task, f"who reported {operator} of {where}", one["reporter"], fault.args["reporter"])
        audit.compare(task, f"the cap on absences for {operator}", bool(one["capped"]), kind != Fault.OVERTURNED)
        share = int(one["reporterReward"])
        audit.compare(
            task,
            f"the share of who reported {operator} is within a tenth",
            share * BPS <= amount * REPORTER_MAX_BPS,
            True,
        )
        audit.compare(task, "what of a slash went to the treasury", int(one["toTreasury"]), amount - share)


def check_committees(audit: Comparing, task: TaskRecord, network: Network) -> None:
    """The faults of a task's committees, and how the first gave way to a second."""
    for round_ in task.rounds.values():
        if round_.fixed is not None:
            check_round(
                audit, task, round_, f"round {round_.number}",
                lambda operator, r=round_: seats_of(task, r, network, operator),  # type: ignore[misc]
                lambda operator: [earmark_of(task, operator)],
            )  # fmt: skip
        if round_.failed is not None:
            _failure(audit, task, round_)
    second = task.rounds.get(1)
    if second is not None:
        first = task.rounds.get(0)
        audit.compare(
            task, "a failed first round before the second", first is not None and first.failed is not None, True
        )
    if task.extended is not None:
        windows = task.params["windows"]
        more = int(windows["scoreCommit"]) + int(windows["scoreReveal"]) + int(windows["settle"])
        until = int(task.created["schedule"]["expiresAt"]) + more
        audit.compare(task, "end of the extended task", int(task.extended["expiresAt"]), until)


def _failure(audit: Comparing, task: TaskRecord, round_: RoundRecord) -> None:
    assert round_.failed is not None
    committed = sum(int(args["seats"]) for args in round_.committed)
    revealed = sum(int(args["seats"]) for args in round_.revealed)
    where = f"round {round_.number}"
    audit.compare(task, f"seats committed in {where}", int(round_.failed["committedSeats"]), committed)
    audit.compare(task, f"seats revealed in {where}", int(round_.failed["revealedSeats"]), revealed)
    reached = quorum(revealed, committed, int(task.params["targetSeats"]))
    audit.compare(task, f"a quorum in the failed {where}", False, reached)
    if round_.number == 0 and task.ended is None:
        return
    if round_.number == 0 and 1 not in task.rounds and task.extended is None:
        left = {args["operator"] for args in round_.abstained} | round_.reported
        rest = sum(int(one["amount"]) for one in task.enrolled if one["operator"] not in left)
        audit.compare(task, "stake that a second committee could be drawn from", rest, 0)


def check_freed(audit: Comparing, task: TaskRecord, network: Network) -> None:
    """What of each earmark was freed: all but what faults took, and only after they were told."""
    taken = taken_of(task)
    for args in task.freed:
        operator = args["operator"]
        rest = earmark_of(task, operator) - taken.get(operator, 0)
        audit.compare(task, f"stake of {operator} that was freed", int(args["amount"]), rest)
        for round_ in task.rounds.values():
            if round_.fixed is not None and operator not in round_.reported:
                acted = {one["operator"] for one in [*round_.revealed, *round_.abstained]}
                owes = operator not in acted and seats_of(task, round_, network, operator) > 0
                owes = owes or operator in round_.unrevealed
                audit.compare(task, f"an unreported fault of {operator} in round {round_.number}", owes, False)


def taken_of(task: TaskRecord) -> Mapping[str, int]:
    """What faults took of each operator's earmark behind the task itself, wei."""
    faults = [fault for round_ in task.rounds.values() for fault in round_.faults]
    faults += task.appeal.overturned
    taken: dict[str, int] = {}
    for fault in faults:
        taken[fault.args["operator"]] = taken.get(fault.args["operator"], 0) + int(fault.args["taken"])
    for fault in task.appeal.round.faults if task.appeal.round is not None else []:
        operator = fault.args["operator"]
        if earmark_of(task, operator) and fault.slashes:  # the task's earmark is slashed first
            first = fault.slashes[0]
            taken[operator] = taken.get(operator, 0) + int(first["fromActive"]) + int(first["fromUnbonding"])
    return taken


def check_stake(audit: Comparing, task: TaskRecord, round_: RoundRecord) -> None:
    """S of a round's seed request."""
    told = int(round_.requested["totalEarmarked"])
    audit.compare(task, f"stake behind round {round_.number}", told, total_of(task, round_))
