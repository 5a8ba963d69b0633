"""Compares reported faults, their slashes and the stake released afterwards with the rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from covey.audit.record import Args, FaultRecord, RoundRecord, TaskRecord
from covey.audit.rules import HashDomain, earmark_of, seats_of, total_of, unit_of
from covey.protocol.faults import BPS, KINDS, REPORTER_MAX_BPS, missed_kind, missed_slash, slash_of
from covey.protocol.settlement import quorum
from covey.protocol.types import Fault, Outcome, SlashKind


class Comparer(Protocol):
    """Counts figures and records those that differ; `covey.audit.replay.Audit` is one."""

    def compare(self, task: TaskRecord, what: str, chain: Any, rules: Any) -> None: ...


Seats = Callable[[str], int]
"""An operator's seats in a round."""
Units = Callable[[FaultRecord], int]
"""What a seat of a round was worth when a fault was reported, wei."""


def check_round(audit: Comparer, task: TaskRecord, round_: RoundRecord, where: str, seats: Seats, units: Units) -> None:
    """Check the faults of one round. `where`: the round in words, for labels."""
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
        check_slash(audit, task, fault, KINDS[kind], where, slash_of(kind, seats(operator), units(fault)))


def check_silent(
    audit: Comparer, task: TaskRecord, round_: RoundRecord, reports: Sequence[FaultRecord], where: str, seats: Seats,
    units: Units, wanted: int, failed: bool,
) -> None:  # fmt: skip
    """Check the reports of silent seats in one round that missed its quorum.

    Args:
        wanted: seats that the round asks for.
        failed: whether the task, or the appeal, failed.
    """
    operators = [fault.args["operator"] for fault in reports]
    audit.compare(task, f"operators reported as silent in {where}", len(set(operators)), len(operators))
    if reports:
        audit.compare(task, f"quorum missed in {where}", is_missed(round_, wanted), True)
    for fault in reports:
        operator = fault.args["operator"]
        silent = seats(operator) if operator not in round_.revealers else 0
        audit.compare(task, f"silent seats of {operator} in {where}", int(fault.args["seats"]), silent)
        check_slash(audit, task, fault, missed_kind(failed), where, missed_slash(silent, units(fault), failed))


def is_missed(round_: RoundRecord, wanted: int) -> bool:
    """Whether a round whose reveals are over has no quorum. `wanted`: seats that the round asks for."""
    committed = sum(int(args["seats"]) for args in round_.committed)
    revealed = sum(int(args["seats"]) for args in round_.revealed)
    return round_.fixed is not None and not quorum(revealed, committed, wanted)


def check_slash(audit: Comparer, task: TaskRecord, fault: FaultRecord, kind: SlashKind, where: str, most: int) -> None:
    """Check the slashes of one fault: together at most `most` wei.

    They take less if the earmarks have less left, or the pool's cap on absences or its remaining stake is lower. The
    reporter gets at most a tenth.
    """
    operator, slashes = fault.args["operator"], fault.slashes
    taken = [taken_by(slash) for slash in slashes]
    what = f"stake taken by the fault of {operator} in {where}"
    audit.compare(task, what, int(fault.args["taken"]), sum(taken))
    audit.compare(task, f"{what} within {most} wei", sum(taken) <= most, True)
    capped = kind in (SlashKind.CAPPED, SlashKind.MISSED_ROUND)
    for slash, amount in zip(slashes, taken, strict=True):
        audit.compare(task, f"reporter of {operator} in {where}", slash["reporter"], fault.args["reporter"])
        audit.compare(task, f"cap on absences applied to {operator}", bool(slash["capped"]), capped)
        share = int(slash["reporterReward"])
        audit.compare(
            task,
            f"reporter's share of the slash of {operator} within a tenth",
            share * BPS <= amount * REPORTER_MAX_BPS,
            True,
        )
        now = int(slash["fromActive"]) - share  # the rest is credited when the entries are withdrawn
        audit.compare(task, f"treasury's share of the slash of {operator}", int(slash["toTreasury"]), now)


def taken_by(slash: Args) -> int:
    """Stake that one slash took, wei."""
    return int(slash["fromActive"]) + int(slash["fromUnbonding"])


def check_committees(audit: Comparer, task: TaskRecord, domain: HashDomain) -> None:
    """Check the faults of a task's committees, and the transition from a failed first committee to a second."""
    for round_ in task.rounds.values():
        if round_.fixed is not None:
            _check_faults(audit, task, round_, domain)
        if round_.failed is not None:
            _check_failure(audit, task, round_, round_.failed)
    second = task.rounds.get(1)
    if second is not None:
        first = task.rounds.get(0)
        lost = first is not None and (first.failed is not None or first.void)
        audit.compare(task, "missed or void first round before the second", lost, True)
    if task.extended is not None:
        windows = task.params["windows"]
        more = int(windows["scoreCommit"]) + int(windows["scoreReveal"]) + int(windows["settle"])
        until = int(task.created["schedule"]["expiresAt"]) + more
        audit.compare(task, "deadline of the extended task", int(task.extended["expiresAt"]), until)


def _check_faults(audit: Comparer, task: TaskRecord, round_: RoundRecord, domain: HashDomain) -> None:
    wanted, where = int(task.params["targetSeats"]), f"round {round_.number}"

    def seats(operator: str) -> int:
        return seats_of(task, round_, domain, operator)

    def units(fault: FaultRecord) -> int:
        return unit_of(task, fault, total_of(task, round_), wanted)

    check_round(audit, task, round_, where, seats, units)
    outcome = Outcome.RUNNING if task.ended is None else Outcome(int(task.ended["outcome"]))
    failed = outcome == Outcome.FAILED
    if round_.missed_reports:
        audit.compare(task, f"end of the task before reports of silence in {where}", task.ended is not None, True)
    for fault in round_.missed_reports:
        audit.compare(task, f"whether the task failed, by a report of {where}", bool(fault.args["failed"]), failed)
    check_silent(audit, task, round_, round_.missed_reports, where, seats, units, wanted, failed)


def _check_failure(audit: Comparer, task: TaskRecord, round_: RoundRecord, failed: Args) -> None:
    committed = sum(int(args["seats"]) for args in round_.committed)
    revealed = sum(int(args["seats"]) for args in round_.revealed)
    where = f"round {round_.number}"
    audit.compare(task, f"a void round and a missed quorum in {where}", round_.void, False)
    audit.compare(task, f"seats committed in {where}", int(failed["committedSeats"]), committed)
    audit.compare(task, f"seats revealed in {where}", int(failed["revealedSeats"]), revealed)
    reached = quorum(revealed, committed, int(task.params["targetSeats"]))
    audit.compare(task, f"quorum reached in the missed {where}", False, reached)
    if round_.number == 0 and task.ended is None:
        return
    if round_.number == 0 and 1 not in task.rounds and task.extended is None:
        left = {args["operator"] for args in round_.abstained} | round_.reported
        rest = sum(int(args["amount"]) for args in task.enrolled if args["operator"] not in left)
        audit.compare(task, "stake available for a second committee", rest, 0)


def check_released(audit: Comparer, task: TaskRecord, domain: HashDomain) -> None:
    """Check released earmarks: all but the stake taken by faults, and only after these were reported."""
    taken = taken_of(task, domain)
    for args in task.freed:
        operator = args["operator"]
        rest = earmark_of(task, operator) - taken.get(operator, 0)
        audit.compare(task, f"released stake of {operator}", int(args["amount"]), rest)
        for round_ in task.rounds.values():
            if round_.fixed is None:
                continue
            seats = seats_of(task, round_, domain, operator)
            if operator not in round_.reported:
                acted = {action["operator"] for action in [*round_.revealed, *round_.abstained]}
                owes = operator in round_.unrevealed or (operator not in acted and seats > 0)
                audit.compare(task, f"unreported fault of {operator} in round {round_.number}", owes, False)
            if operator not in round_.revealers and is_missed(round_, int(task.params["targetSeats"])):
                told = {fault.args["operator"] for fault in round_.missed_reports}
                owes = seats > 0 and operator not in told
                audit.compare(task, f"unreported silence of {operator} in round {round_.number}", owes, False)


def taken_of(task: TaskRecord, domain: HashDomain) -> Mapping[str, int]:
    """Stake that faults took from each operator's earmark behind the task itself, wei by operator."""
    faults = [fault for round_ in task.rounds.values() for fault in [*round_.faults, *round_.missed_reports]]
    faults += task.appeal.overturned
    taken: dict[str, int] = {}
    for fault in faults:
        taken[fault.args["operator"]] = taken.get(fault.args["operator"], 0) + int(fault.args["taken"])
    for fault in task.appeal.round_faults:
        operator = fault.args["operator"]
        rest = int(fault.args["taken"]) - taken_of_appeal(fault, domain)
        taken[operator] = taken.get(operator, 0) + rest
    return taken


def enrolled_for_appeal(task: TaskRecord, operator: str) -> int:
    """Stake that an operator earmarked for the appeal alone, wei."""
    return sum(int(args["amount"]) for args in task.appeal.enrolled if args["operator"] == operator)


def taken_of_appeal(fault: FaultRecord, domain: HashDomain) -> int:
    """What a fault in the appeal's round took of the earmark for the appeal, wei; the rest is of the task's earmark.

    The appeal's earmark is slashed first, as far as it lasts; the duty contract tells the two apart.
    """
    committee = domain.appeal_committee.lower()
    return sum(taken_by(slash) for slash in fault.slashes if str(slash["duty"]).lower() == committee)


def check_stake(audit: Comparer, task: TaskRecord, round_: RoundRecord) -> None:
    """Check S in a round's seed request."""
    requested = int(round_.requested["totalEarmarked"])
    audit.compare(task, f"stake behind round {round_.number}", requested, total_of(task, round_))
