"""Compares a task's appeal with the rules: contests, committee, medians found, overturned rows and payments."""

from __future__ import annotations

from dataclasses import dataclass, field

from covey.audit.faults import Comparer, check_round, check_slash
from covey.audit.record import AppealRecord, Args, RoundRecord, TaskRecord, raw
from covey.audit.rules import HashDomain, earmark_of
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
    """An appeal by the rules.

    `found` is the settled appeal round, None if there is none; `pool` what the round is paid, wei; `rewards` the pay
    by operator, wei.
    """

    found: AppealRound | None = None
    pool: int = 0
    rewards: dict[str, int] = field(default_factory=dict)


def check_appeal(audit: Comparer, task: TaskRecord, domain: HashDomain, settlement: Settlement) -> AppealRuling:
    """Compare all figures of a task's appeal with the rules, and return what the rules give."""
    appeal, ruling = task.appeal, AppealRuling()
    _check_contests(audit, task, settlement)
    round_ = appeal.round
    if round_ is not None:
        _check_committee(audit, task, round_, domain)
        if appeal.settled is not None:
            ruling.found = _settle_round(audit, task, round_, appeal.settled, domain)
    _check_resolutions(audit, task, ruling, settlement)
    _check_overturned(audit, task, ruling)
    _check_claims(audit, task, ruling)
    _check_released(audit, task)
    return ruling


def seats_in_appeal(task: TaskRecord, round_: RoundRecord, domain: HashDomain, operator: str) -> int:
    """Seats of an operator in the appeal's committee, drawn by its stake behind the task and the appeal together."""
    seed = round_.seed
    stake = sum(_earmarks(task, operator))
    total = _total_stake(task)
    if not stake:
        return 0
    return seats(
        domain.chain_id, domain.appeal_committee, task.id, round_.number, seed, operator,
        stake, total, appeal_seats(int(task.params["targetSeats"])),
    )  # fmt: skip


def _total_stake(task: TaskRecord) -> int:
    """Stake behind the task and its appeal, wei."""
    return sum(int(args["amount"]) for args in [*task.enrolled, *task.appeal.enrolled])


def _earmarks(task: TaskRecord, operator: str) -> list[int]:
    """An operator's stake behind the task, and behind the appeal, wei: the order in which it is slashed."""
    own = sum(int(args["amount"]) for args in task.appeal.enrolled if args["operator"] == operator)
    return [earmark_of(task, operator), own]


def _check_contests(audit: Comparer, task: TaskRecord, settlement: Settlement) -> None:
    params, entries = task.params, len(task.revealed)
    _, settled = task.settled_round()
    windows = params["windows"]
    ends = [int(settled["payableAt"])]
    ends.append(ends[-1] + int(windows["enrol"]))
    ends.append(ends[-1] + sum(int(windows[name]) for name in ("scoreCommit", "scoreReveal", "settle")))
    bond = contest_bond(int(params["bounty"]), int(params["validatorBps"]), entries)
    words = [int(contest["word"]) for contest in task.appeal.contests]
    audit.compare(task, "words contested", len(set(words)), len(words))
    for index, contest in enumerate(task.appeal.contests):
        what = f"contest {index}"
        audit.compare(task, f"number of {what}", int(contest["contest"]), index)
        audit.compare(task, f"bond of {what}", int(contest["bond"]), bond)
        audit.compare(task, f"median word of {what}", int(contest["previous"]), settlement.median_words[words[index]])
        times = [int(contest[name]) for name in ("contestEnd", "enrolEnd", "deadline")]
        audit.compare(task, f"times of {what}", times, ends)


def _check_committee(audit: Comparer, task: TaskRecord, round_: RoundRecord, domain: HashDomain) -> None:
    audit.compare(task, "stake behind the appeal", int(round_.requested["totalEarmarked"]), _total_stake(task))
    if round_.fixed is None:
        return
    for args in [*round_.committed, *round_.abstained, *round_.revealed]:
        rules = seats_in_appeal(task, round_, domain, args["operator"])
        audit.compare(task, f"seats of {args['operator']} in the appeal", int(args["seats"]), rules)
    for index, args in enumerate(round_.revealed):
        audit.compare(task, f"order of the row of {args['operator']} in the appeal", int(args["index"]), index)
    check_round(
        audit, task, round_, "the appeal", lambda operator: seats_in_appeal(task, round_, domain, operator),
        lambda operator: _earmarks(task, operator),
    )  # fmt: skip


def _settle_round(
    audit: Comparer, task: TaskRecord, round_: RoundRecord, settled: Args, domain: HashDomain
) -> AppealRound:
    scores = LANES * len(task.appeal.contests)
    rows = [
        RevealedRow(
            args["operator"], seats_in_appeal(task, round_, domain, args["operator"]),
            unpack(list(args["words"]), scores),
        )
        for args in round_.revealed
    ]  # fmt: skip
    found = settle_contests(rows, int(task.params["h"]), int(task.params["tau"]))
    chain = [int(word) for number in sorted(round_.pages) for word in round_.pages[number]["found"]]
    audit.compare(task, "medians found by the appeal", chain, found.found)
    audit.compare(task, "seats paid for the appeal", int(settled["paidSeats"]), found.paid_seats)
    return found


def _check_resolutions(audit: Comparer, task: TaskRecord, ruling: AppealRuling, settlement: Settlement) -> None:
    """Check contests in the order in which they were resolved: each is paid out of what the escrow still holds."""
    params, appeal, found = task.params, task.appeal, ruling.found
    h, tau = int(params["h"]), int(params["tau"])
    pool_left = int(params["bounty"]) * int(params["validatorBps"]) // 10_000
    bonds = _bonds_before(task)
    words, replaced, charged = list(settlement.median_words), list(appeal.replaced), list(appeal.charges)
    total = settlement.total_weights
    for resolution in appeal.resolved:
        index = int(resolution["contest"])
        contest, what = appeal.contests[index], f"contest {index}"
        word, bond = int(contest["word"]), int(contest["bond"])
        moved = None if found is None else has_moved(words[word], found.found[index], h, tau)
        bond_left = bonds.pop(0) if moved and bonds else 0
        rules = resolve(moved, bond, pool_left, bond_left)
        pool_left -= rules.cost
        audit.compare(task, f"word of {what}", int(resolution["word"]), word)
        audit.compare(task, f"whether {what} moved a median", bool(resolution["moved"]), rules.moved)
        audit.compare(task, f"payment of {what} to its appellant", int(resolution["toAppellant"]), rules.to_appellant)
        audit.compare(task, f"payment of {what} to the round", int(resolution["toPool"]), rules.to_pool)
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
            _check_replacement(audit, task, replaced.pop(0) if replaced else None, words, word, total)
    audit.compare(task, "appeal charges without a moved median", len(charged), 0)
    audit.compare(task, "replaced medians without a moved contest", len(replaced), 0)


def _bonds_before(task: TaskRecord) -> list[int]:
    """The rest of the creator's bond before each charge of an appeal, wei."""
    left, before = int(task.params["bond"]), []
    for name, args in task.bond_moves:
        if name == "AppealCharged":
            before.append(left)
            left -= int(args["premium"])
        else:
            left -= int(args["amount"])
    return before


def _check_replacement(
    audit: Comparer, task: TaskRecord, args: Args | None, words: list[int], word: int, total: int
) -> None:
    what = f"median word {word}"
    audit.compare(task, f"replacement of {what}", args is not None, True)
    if args is None:
        return
    round_, _ = task.settled_round()
    width = page_words(len(round_.committed))
    root = page_root(list(pages_of(words, width)[word // width]))
    audit.compare(task, "index of the replaced word", int(args["word"]), word)
    audit.compare(task, f"new {what}", int(args["replacement"]), words[word])
    audit.compare(task, f"root after the replacement of {what}", raw(args["root"]), root)
    audit.compare(task, f"sum of weights after the replacement of {what}", int(args["weights"]), total)


def _check_overturned(audit: Comparer, task: TaskRecord, ruling: AppealRuling) -> None:
    round_, _ = task.settled_round()
    found, h = ruling.found, int(task.params["h"])
    rows = {args["operator"]: list(args["words"]) for args in round_.revealed}
    reported = [fault.args["operator"] for fault in task.appeal.overturned]
    audit.compare(task, "rows reported as overturned", len(set(reported)), len(reported))
    for fault in task.appeal.overturned:
        operator, index = fault.args["operator"], int(fault.args["contest"])
        word = int(task.appeal.contests[index]["word"])
        far = found is not None and operator in rows and is_overturned(int(rows[operator][word]), found.found[index], h)
        audit.compare(task, f"row of {operator} overturned by contest {index}", True, far)
        check_slash(audit, task, fault, Fault.OVERTURNED, "the appeal", [earmark_of(task, operator)])


def _check_claims(audit: Comparer, task: TaskRecord, ruling: AppealRuling) -> None:
    round_, found = task.appeal.round, ruling.found
    if round_ is not None and found is not None:
        for args, paid in zip(round_.revealed, found.paid, strict=True):
            ruling.rewards[args["operator"]] = appeal_reward(ruling.pool, paid, found.paid_seats)
    left = dict(ruling.rewards)
    for args, added in task.appeal.claims:
        operator = args["operator"]
        rules = left.pop(operator, None)
        audit.compare(task, f"first claim of {operator} for the appeal", rules is not None, True)
        audit.compare(task, f"pay of {operator} for the appeal", int(args["amount"]), rules)
        audit.compare(task, f"pay for the appeal added to the pool of {operator}", added or 0, rules)


def _check_released(audit: Comparer, task: TaskRecord) -> None:
    appeal: AppealRecord = task.appeal
    taken: dict[str, int] = {}
    for fault in appeal.round.faults if appeal.round is not None else []:
        operator = fault.args["operator"]
        own = fault.slashes[1:] if earmark_of(task, operator) else fault.slashes  # the task's earmark comes first
        taken[operator] = sum(int(slash["fromActive"]) + int(slash["fromUnbonding"]) for slash in own)
    for args in appeal.freed:
        operator = args["operator"]
        rest = _earmarks(task, operator)[1] - taken.get(operator, 0)
        audit.compare(task, f"released stake of {operator} behind the appeal", int(args["amount"]), rest)
