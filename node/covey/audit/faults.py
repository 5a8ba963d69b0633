"""Compares reported faults, their slashes and the stake released afterwards with the rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from covey.audit.record import Args, FaultRecord, RoundRecord, TaskRecord
from covey.audit.rules import HashDomain, earmark_of, seats_of, total_of
from covey.protocol.faults import BPS, REPORTER_MAX_BPS, slash_of
from covey.protocol.settlement import quorum
from covey.protocol.types import Fault


class Comparer(Protocol):
    """Counts figures and records those that differ; `covey.audit.replay.Audit` is one."""

    def compare(self, task: TaskRecord, what: str, chain: Any, rules: Any) -> None: ...


def check_round(
    audit: Comparer, task: TaskRecord, round_: RoundRecord, where: str, seats: Callable[[str], int],
    earmarks: Callable[[str], list[int]],
) -> None:  # fmt: skip
    """Check the faults of one round.

    Args:
        where: the round in words, for labels.
        seats: an operator's seats in the round.
        earmarks: an operator's earmarks behind the round, wei, in the order in which they are slashed.
    """
    acted = {args["operator"] for args in [*round_.committed, *round_.abstained]}
    reported = [fault.args["operator"] for fault in round_.faults]
    audit.compare(task, f"operators reported for {where}", len(set(reported)), len(reported))
    for fault in round_.faults:
        operator, kind = fault.args["operator"], Fault(int(fault.args["fault"]))
        if kind == Fault.ABSENT:
            audit.compare(task, f"action of the absent {operator} in {where}", operator in acted, False)
            audit.compare(task, f"seat of the absent {operator} in {where}", seats(operator) > 0, True)
        else:
            unrevealed = operator in round_.unrevealed
            audit.compare(task, f"a committed row of {operator} in {where} not revealed", True, unrevealed)
        check_slash(audit, task, fault, kind, where, earmarks(operator))


def check_slash(
    audit: Comparer, task: TaskRecord, fault: FaultRecord, kind: Fault, where: str, earmarks: Iterable[int]
) -> None:
    """Check the slashes of one fault.

    A fault takes at most its share of each earmark; it takes less only if the pool's cap on absences or the pool's
    remaining stake is lower. The reporter gets at most a tenth of it.
    """
    operator, slashes = fault.args["operator"], fault.slashes
    taken = [int(slash["fromActive"]) + int(slash["fromUnbonding"]) for slash in slashes]
    what = f"stake taken by the fault of {operator} in {where}"
    audit.compare(task, what, int(fault.args["taken"]), sum(taken))
    limits = [slash_of(kind, earmark) for earmark in earmarks if earmark]
    within = len(taken) <= len(limits) and all(a <= b for a, b in zip(taken, limits, strict=False))
    audit.compare(task, f"{what} within its share of the stake", within, True)
    for slash, amount in zip(slashes, taken, strict=True):
        audit.compare(task, f"reporter of {operator} in {where}", slash["reporter"], fault.args["reporter"])
        audit.compare(task, f"cap on absences applied to {operator}", bool(slash["capped"]), kind != Fault.OVERTURNED)
        share = int(slash["reporterReward"])
        audit.compare(
            task,
            f"reporter's share of the slash of {operator} within a tenth",
            share * BPS <= amount * REPORTER_MAX_BPS,
            True,
        )
        audit.compare(task, f"treasury's share of the slash of {operator}", int(slash["toTreasury"]), amount - share)


def check_committees(audit: Comparer, task: TaskRecord, domain: HashDomain) -> None:
    """Check the faults of a task's committees, and the transition from a failed first committee to a second."""
    for round_ in task.rounds.values():
        if round_.fixed is not None:
            check_round(
                audit, task, round_, f"round {round_.number}",
                lambda operator, r=round_: seats_of(task, r, domain, operator),  # type: ignore[misc]
                lambda operator: [earmark_of(task, operator)],
            )  # fmt: skip
        if round_.failed is not None:
            _check_failure(audit, task, round_, round_.failed)
    second = task.rounds.get(1)
    if second is not None:
        first = task.rounds.get(0)
        audit.compare(
            task, "failed first round before the second", first is not None and first.failed is not None, True
        )
    if task.extended is not None:
        windows = task.params["windows"]
        more = int(windows["scoreCommit"]) + int(windows["scoreReveal"]) + int(windows["settle"])
        until = int(task.created["schedule"]["expiresAt"]) + more
        audit.compare(task, "deadline of the extended task", int(task.extended["expiresAt"]), until)


def _check_failure(audit: Comparer, task: TaskRecord, round_: RoundRecord, failed: Args) -> None:
    committed = sum(int(args["seats"]) for args in round_.committed)
    revealed = sum(int(args["seats"]) for args in round_.revealed)
    where = f"round {round_.number}"
    audit.compare(task, f"seats committed in {where}", int(failed["committedSeats"]), committed)
    audit.compare(task, f"seats revealed in {where}", int(failed["revealedSeats"]), revealed)
    reached = quorum(revealed, committed, int(task.params["targetSeats"]))
    audit.compare(task, f"quorum reached in the failed {where}", False, reached)
    if round_.number == 0 and task.ended is None:
        return
    if round_.number == 0 and 1 not in task.rounds and task.extended is None:
        left = {args["operator"] for args in round_.abstained} | round_.reported
        rest = sum(int(args["amount"]) for args in task.enrolled if args["operator"] not in left)
        audit.compare(task, "stake available for a second committee", rest, 0)


def check_released(audit: Comparer, task: TaskRecord, domain: HashDomain) -> None:
    """Check released earmarks: all but the stake taken by faults, and only after these were reported."""
    taken = taken_of(task)
    for args in task.freed:
        operator = args["operator"]
        rest = earmark_of(task, operator) - taken.get(operator, 0)
        audit.compare(task, f"released stake of {operator}", int(args["amount"]), rest)
        for round_ in task.rounds.values():
            if round_.fixed is not None and operator not in round_.reported:
                acted = {action["operator"] for action in [*round_.revealed, *round_.abstained]}
                owes = operator not in acted and seats_of(task, round_, domain, operator) > 0
                owes = owes or operator in round_.unrevealed
                audit.compare(task, f"unreported fault of {operator} in round {round_.number}", owes, False)


def taken_of(task: TaskRecord) -> Mapping[str, int]:
    """Stake that faults took from each operator's earmark behind the task itself, wei by operator."""
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


def check_stake(audit: Comparer, task: TaskRecord, round_: RoundRecord) -> None:
    """Check S in a round's seed request."""
    requested = int(round_.requested["totalEarmarked"])
    audit.compare(task, f"stake behind round {round_.number}", requested, total_of(task, round_))
