"""Compare a task's appeal with the rules: contests, committee, what it found, whom it overturned, who is paid."""

from __future__ import annotations

from dataclasses import dataclass, field

from covey.audit.faults import Comparing, check_round, check_slash
from covey.audit.record import AppealRecord, Args, RoundRecord, TaskRecord, raw
from covey.audit.rules import Network, earmark_of
from covey.protocol.appeals import (
    AppealRound,
    appeal_reward,
    appeal_seats,
    contest_bond,
    has_moved,
    is_overturned,
    resolve,
    settle_contests,
    word_weight,
)
from covey.protocol.merkle import page_root
from covey.protocol.scores import LANES, page_words, pages_of, unpack
from covey.protocol.seats import seats
from covey.protocol.settlement import RevealedRow, Settlement
from covey.protocol.types import Fault


@dataclass(slots=True)
class AppealRuling:
    """An appeal under the rules. `found` is None where the round found nothing; `rewards` by operator, wei."""

    found: AppealRound | None = None
    pool: int = 0
    rewards: dict[str, int] = field(default_factory=dict)


def check_appeal(audit: Comparing, task: TaskRecord, network: Network, settlement: Settlement) -> AppealRuling:
    """Compare all figures of a task's appeal; what the rules give."""
    appeal, ruling = task.appeal, AppealRuling()
    _contests(audit, task, settlement)
    round_ = appeal.round
    if round_ is not None:
        _committee(audit, task, round_, network)
        if appeal.settled is not None:
            ruling.found = _found(audit, task, round_, appeal.settled, network)
    _resolutions(audit, task, ruling, settlement)
    _overturned(audit, task, ruling)
    _claims(audit, task, ruling)
    _freed(audit, task)
    return ruling


def seats_in_appeal(task: TaskRecord, round_: RoundRecord, network: Network, operator: str) -> int:
    """Seats of an operator in the appeal's committee, drawn by its stake behind the task and behind the appeal."""
    assert round_.fixed is not None
    stake = sum(_earmarks(task, operator))
    total = sum(int(one["amount"]) for one in [*task.enrolled, *task.appeal.enrolled])
    if not stake:
        return 0
    return seats(
        network.chain_id, network.appeal_committee, task.id, round_.number, raw(round_.fixed["seed"]), operator,
        stake, total, appeal_seats(int(task.params["targetSeats"])),
    )  # fmt: skip


def _earmarks(task: TaskRecord, operator: str) -> list[int]:
    own = sum(int(one["amount"]) for one in task.appeal.enrolled if one["operator"] == operator)
    return [earmark_of(task, operator), own]


def _contests(audit: Comparing, task: TaskRecord, settlement: Settlement) -> None:
    params, entries = task.params, len(task.revealed)
    round_ = task.last_round
    assert round_ is not None and round_.settled is not None
    windows = params["windows"]
    ends = [int(round_.settled["payableAt"])]
    ends.append(ends[-1] + int(windows["enrol"]))
    ends.append(ends[-1] + sum(int(windows[name]) for name in ("scoreCommit", "scoreReveal", "settle")))
    bond = contest_bond(int(params["bounty"]), int(params["validatorBps"]), entries)
    words = [int(one["word"]) for one in task.appeal.contests]
    audit.compare(task, "words contested", len(set(words)), len(words))
    for index, one in enumerate(task.appeal.contests):
        what = f"contest {index}"
        audit.compare(task, f"number of {what}", int(one["contest"]), index)
        audit.compare(task, f"bond of {what}", int(one["bond"]), bond)
        audit.compare(task, f"median word of {what}", int(one["previous"]), settlement.median_words[words[index]])
        times = [int(one[name]) for name in ("contestEnd", "enrolEnd", "deadline")]
        audit.compare(task, f"times of {what}", times, ends)


def _committee(audit: Comparing, task: TaskRecord, round_: RoundRecord, network: Network) -> None:
    total = sum(int(one["amount"]) for one in [*task.enrolled, *task.appeal.enrolled])
    audit.compare(task, "stake behind the appeal", int(round_.requested["totalEarmarked"]), total)
    if round_.fixed is None:
        return
    for args in [*round_.committed, *round_.abstained, *round_.revealed]:
        rules = seats_in_appeal(task, round_, network, args["operator"])
        audit.compare(task, f"seats of {args['operator']} in the appeal", int(args["seats"]), rules)
    for index, args in enumerate(round_.revealed):
        audit.compare(task, f"order of the row of {args['operator']} in the appeal", int(args["index"]), index)
    check_round(
        audit, task, round_, "the appeal", lambda operator: seats_in_appeal(task, round_, network, operator),
        lambda operator: _earmarks(task, operator),
    )  # fmt: skip


def _found(audit: Comparing, task: TaskRecord, round_: RoundRecord, settled: Args, network: Network) -> AppealRound:
    scores = LANES * len(task.appeal.contests)
    rows = [
        RevealedRow(
            args["operator"], seats_in_appeal(task, round_, network, args["operator"]),
            unpack(list(args["words"]), scores),
        )
        for args in round_.revealed
    ]  # fmt: skip
    found = settle_contests(rows, int(task.params["h"]), int(task.params["tau"]))
    chain = [int(word) for number in sorted(round_.pages) for word in round_.pages[number]["found"]]
    audit.compare(task, "medians that the appeal found", chain, found.found)
    audit.compare(task, "seats that the appeal pays", int(settled["paidSeats"]), found.paid_seats)
    return found


def _resolutions(audit: Comparing, task: TaskRecord, ruling: AppealRuling, settlement: Settlement) -> None:
    """Contest by contest in the order in which they were resolved: the escrow pays what it still has."""
    params, appeal, found = task.params, task.appeal, ruling.found
    h, tau = int(params["h"]), int(params["tau"])
    pool_left = int(params["bounty"]) * int(params["validatorBps"]) // 10_000
    bonds = _bonds_before(task)
    words, replaced, charged = list(settlement.median_words), list(appeal.replaced), list(appeal.charges)
    total = settlement.total_weights
    for one in appeal.resolved:
        index = int(one["contest"])
        contest, what = appeal.contests[index], f"contest {index}"
        word, bond = int(contest["word"]), int(contest["bond"])
        moved = None if found is None else has_moved(words[word], found.found[index], h, tau)
        bond_left = bonds.pop(0) if moved and bonds else 0
        rules = resolve(moved, bond, pool_left, bond_left)
        pool_left -= rules.cost
        audit.compare(task, f"word of {what}", int(one["word"]), word)
        audit.compare(task, f"whether {what} moved a median", bool(one["moved"]), rules.moved)
        audit.compare(task, f"what {what} gave its appellant", int(one["toAppellant"]), rules.to_appellant)
        audit.compare(task, f"what {what} gave the round", int(one["toPool"]), rules.to_pool)
        if found is None or found.paid_seats:
            ruling.pool += rules.to_pool
        if rules.moved:
            charge = charged.pop(0) if charged else {"cost": -1, "premium": -1}
            audit.compare(task, f"cost of {what}", int(charge["cost"]), rules.cost)
            audit.compare(task, f"premium of {what}", int(charge["premium"]), rules.premium)
        if found is not None and found.found[index] != words[word]:
            new = found.found[index]
            floor, power = int(params["floorScore"]), int(params["power"])
            total += word_weight(new, floor, power) - word_weight(words[word], floor, power)
            words[word] = new
            _replacement(audit, task, replaced.pop(0) if replaced else None, words, word, total)
    audit.compare(task, "charges of appeals beyond those of moved medians", len(charged), 0)
    audit.compare(task, "medians replaced beyond those that were found", len(replaced), 0)


def _bonds_before(task: TaskRecord) -> list[int]:
    """What was left of the creator's bond before each charge of an appeal, wei."""
    left, before = int(task.params["bond"]), []
    for name, args in task.bond_moves:
        if name == "AppealCharged":
            before.append(left)
            left -= int(args["premium"])
        else:
            left -= int(args["amount"])
    return before


def _replacement(
    audit: Comparing, task: TaskRecord, args: Args | None, words: list[int], word: int, total: int
) -> None:
    what = f"median word {word}"
    audit.compare(task, f"a replacement of {what}", args is not None, True)
    if args is None:
        return
    round_ = task.last_round
    assert round_ is not None
    width = page_words(len(round_.committed))
    root = page_root(list(pages_of(words, width)[word // width]))
    audit.compare(task, "place of the replaced word", int(args["word"]), word)
    audit.compare(task, f"new {what}", int(args["replacement"]), words[word])
    audit.compare(task, f"root after {what} was replaced", raw(args["root"]), root)
    audit.compare(task, f"sum of weights after {what} was replaced", int(args["weights"]), total)


def _overturned(audit: Comparing, task: TaskRecord, ruling: AppealRuling) -> None:
    round_, found, h = task.last_round, ruling.found, int(task.params["h"])
    assert round_ is not None
    rows = {args["operator"]: list(args["words"]) for args in round_.revealed}
    reported = [fault.args["operator"] for fault in task.appeal.overturned]
    audit.compare(task, "rows reported as overturned", len(set(reported)), len(reported))
    for fault in task.appeal.overturned:
        operator, index = fault.args["operator"], int(fault.args["contest"])
        word = int(task.appeal.contests[index]["word"])
        far = found is not None and operator in rows and is_overturned(int(rows[operator][word]), found.found[index], h)
        audit.compare(task, f"the row of {operator} is far from what contest {index} found", True, far)
        check_slash(audit, task, fault, Fault.OVERTURNED, "the appeal", [earmark_of(task, operator)])


def _claims(audit: Comparing, task: TaskRecord, ruling: AppealRuling) -> None:
    round_, found = task.appeal.round, ruling.found
    if round_ is not None and found is not None:
        for args, paid in zip(round_.revealed, found.paid, strict=True):
            ruling.rewards[args["operator"]] = appeal_reward(ruling.pool, paid, found.paid_seats)
    left = dict(ruling.rewards)
    for args, added in task.appeal.claims:
        operator = args["operator"]
        rules = left.pop(operator, None)
        audit.compare(task, f"a first claim of {operator} for the appeal", rules is not None, True)
        audit.compare(task, f"pay of {operator} for the appeal", int(args["amount"]), rules)
        audit.compare(task, f"pay for the appeal that reached the pool of {operator}", added or 0, rules)


def _freed(audit: Comparing, task: TaskRecord) -> None:
    appeal: AppealRecord = task.appeal
    taken: dict[str, int] = {}
    for fault in appeal.round.faults if appeal.round is not None else []:
        operator = fault.args["operator"]
        own = fault.slashes[1:] if earmark_of(task, operator) else fault.slashes  # the task's earmark comes first
        taken[operator] = sum(int(one["fromActive"]) + int(one["fromUnbonding"]) for one in own)
    for args in appeal.freed:
        operator = args["operator"]
        rest = _earmarks(task, operator)[1] - taken.get(operator, 0)
        audit.compare(task, f"stake of {operator} behind the appeal that was freed", int(args["amount"]), rest)
