"""Compares a task's appeal with the rules: contests, committee, medians found, overturned rows and payments."""

from __future__ import annotations

from dataclasses import dataclass, field

from covey.audit.faults import (
    Comparer,
    check_round,
    check_silent,
    check_slash,
    enrolled_for_appeal,
    taken_of_appeal,
)
from covey.audit.record import Args, FaultRecord, RoundRecord, TaskRecord, raw
from covey.audit.rules import HashDomain, earmark_of, seats_of, total_enrolled, total_of, unit_of
from covey.protocol.appeals import (
    STEPS,
    AppealRound,
    Funds,
    appeal_reward,
    appeal_seats,
    award_of,
    has_moved,
    is_copy,
    is_overturned,
    juror_stands_within,
    least_stake,
    merged,
    resolve,
    row_stands_within,
    settle_contests,
    word_weight,
)
from covey.protocol.faults import slash_of
from covey.protocol.merkle import page_root
from covey.protocol.payouts import validators_pool
from covey.protocol.scores import LANES, page_words, pages_of, unpack
from covey.protocol.seats import seats
from covey.protocol.settlement import RevealedRow, Settlement
from covey.protocol.types import Fault, SlashKind


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
    _check_enrolled(audit, task, domain)
    round_ = appeal.round
    if round_ is not None:
        _check_committee(audit, task, round_, domain)
        if appeal.settled is not None:
            ruling.found = _settle_round(audit, task, round_, appeal.settled, domain)
    _check_resolutions(audit, task, ruling, settlement)
    _check_overturned(audit, task, ruling, domain)
    _check_claims(audit, task, ruling)
    _check_released(audit, task, domain)
    return ruling


def seats_in_appeal(task: TaskRecord, round_: RoundRecord, domain: HashDomain, operator: str) -> int:
    """Seats of an operator in the appeal's committee, drawn by what it enrolled and its earmark behind the task."""
    seed, stake = round_.seed, _stakes(task).get(operator, 0)
    if not stake:
        return 0
    return seats(
        domain.chain_id, domain.appeal_committee, task.id, round_.number, seed, operator,
        stake, sum(_stakes(task).values()), appeal_seats(int(task.params["targetSeats"])),
    )  # fmt: skip


def _stakes(task: TaskRecord) -> dict[str, int]:
    """What draws each operator that enrolled for the appeal, by the rules, wei."""
    return {args["operator"]: int(args["amount"]) + earmark_of(task, args["operator"]) for args in task.appeal.enrolled}


def _check_contests(audit: Comparer, task: TaskRecord, settlement: Settlement) -> None:
    windows = task.params["windows"]
    _, settled = task.settled_round()
    ends = [int(settled["payableAt"])]
    ends.append(ends[-1] + int(windows["enrol"]))
    ends.append(ends[-1] + sum(int(windows[name]) for name in ("scoreCommit", "scoreReveal", "settle")))
    words = [int(contest["word"]) for contest in task.appeal.contests]
    audit.compare(task, "words contested", len(set(words)), len(words))
    tips = {bond - award_for(task) for bond in (int(contest["bond"]) for contest in task.appeal.contests)}
    audit.compare(task, "four tips in each bond", [tip % STEPS for tip in tips], [0])
    for index, contest in enumerate(task.appeal.contests):
        what = f"contest {index}"
        audit.compare(task, f"number of {what}", int(contest["contest"]), index)
        audit.compare(task, f"median word of {what}", int(contest["previous"]), settlement.median_words[words[index]])
        times = [int(contest[name]) for name in ("contestEnd", "enrolEnd", "deadline")]
        audit.compare(task, f"times of {what}", times, ends)


def award_for(task: TaskRecord) -> int:
    """What the appeal's round, or an appellant, is paid for a word, wei."""
    return award_of(_validators_pool(task), len(task.revealed))


def _validators_pool(task: TaskRecord) -> int:
    fees = sum(int(args["fee"]) for args in task.committed)
    return validators_pool(task.bounty_so_far, int(task.params["validatorBps"]), fees)


def _check_enrolled(audit: Comparer, task: TaskRecord, domain: HashDomain) -> None:
    """Check what draws each juror, and that it was in no committee of the task."""
    total = 0
    for args in task.appeal.enrolled:
        operator = args["operator"]
        total += _stakes(task)[operator]
        audit.compare(task, f"stake of {operator} in the appeal", int(args["stake"]), _stakes(task)[operator])
        audit.compare(task, f"stake behind the appeal after {operator}", int(args["enrolled"]), total)
        seated = [
            number
            for number, round_ in task.rounds.items()
            if round_.fixed is not None and seats_of(task, round_, domain, operator)
        ]
        audit.compare(task, f"committees of the task with the juror {operator}", seated, [])


def _check_committee(audit: Comparer, task: TaskRecord, round_: RoundRecord, domain: HashDomain) -> None:
    total = sum(_stakes(task).values())
    enough = least_stake(int(task.params["minStake"]), total_enrolled(task))
    audit.compare(task, "stake behind the appeal", int(round_.requested["totalEarmarked"]), total)
    audit.compare(task, f"stake of at least {enough} wei behind the appeal", total >= enough, True)
    if round_.fixed is None:
        return
    for args in [*round_.committed, *round_.abstained, *round_.revealed]:
        rules = seats_in_appeal(task, round_, domain, args["operator"])
        audit.compare(task, f"seats of {args['operator']} in the appeal", int(args["seats"]), rules)
    for index, args in enumerate(round_.revealed):
        audit.compare(task, f"order of the row of {args['operator']} in the appeal", int(args["index"]), index)
    wanted = appeal_seats(int(task.params["targetSeats"]))

    def seats_drawn(operator: str) -> int:
        return seats_in_appeal(task, round_, domain, operator)

    def units(fault: FaultRecord) -> int:  # the whole committee answers for the bounty
        return unit_of(task, fault, total_enrolled(task), wanted)

    check_round(audit, task, round_, "the appeal", seats_drawn, units)
    check_silent(audit, task, round_, task.appeal.silent, "the appeal", seats_drawn, units, wanted, failed=True)
    if task.appeal.silent:
        audit.compare(task, "failed appeal with reports of silence", task.appeal.failed, True)


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
    award, tip = award_for(task), (int(appeal.contests[0]["bond"]) - award_for(task)) // STEPS
    pool_left, tips_left = _validators_pool(task), _unspent_tips(audit, task, tip)
    bonds = _bonds_before(task)
    words, replaced, charged = list(settlement.median_words), list(appeal.replaced), list(appeal.charges)
    total = settlement.total_weights
    for done, resolution in enumerate(appeal.resolved):
        index = int(resolution["contest"])
        contest, what = appeal.contests[index], f"contest {index}"
        word = int(contest["word"])
        moved = None if found is None else has_moved(words[word], found.found[index], h, tau)
        copied = found is not None and is_copy(words[word], found.found[index], h)
        bond_left = bonds.pop(0) if moved and bonds else 0
        unspent = tips_left // (len(appeal.contests) - done)
        funds = Funds(award, tip, unspent, pool_left, bond_left)
        rules = resolve(moved, copied, funds, 0 if found is None else found.paid_seats)
        pool_left, tips_left = pool_left - rules.cost, tips_left - rules.unspent
        audit.compare(task, f"word of {what}", int(resolution["word"]), word)
        audit.compare(task, f"whether {what} moved a median", bool(resolution["moved"]), rules.moved)
        audit.compare(task, f"whether {what} was copied", bool(resolution["copied"]), rules.copied)
        audit.compare(task, f"payment of {what} to its appellant", int(resolution["toAppellant"]), rules.to_appellant)
        audit.compare(task, f"payment of {what} to the round", int(resolution["toPool"]), rules.to_pool)
        audit.compare(task, f"payment of {what} to the treasury", int(resolution["toTreasury"]), rules.to_treasury)
        ruling.pool += rules.to_pool
        if not rules.moved or found is None:
            continue
        charge = charged.pop(0) if charged else {"cost": -1, "tips": -1}
        audit.compare(task, f"cost of {what}", int(charge["cost"]), rules.cost)
        audit.compare(task, f"tips of {what}", int(charge["tips"]), rules.tips)
        new = merged(words[word], found.found[index], h, tau)
        floor, power = int(params["floorScore"]), int(params["power"])
        total += word_weight(new, floor, power) - word_weight(words[word], floor, power)
        words[word] = new
        _check_replacement(audit, task, replaced.pop(0) if replaced else None, words, word, total)
    audit.compare(task, "appeal charges without a moved median", len(charged), 0)
    audit.compare(task, "replaced medians without a moved contest", len(replaced), 0)


def _unspent_tips(audit: Comparer, task: TaskRecord, tip: int) -> int:
    """What the steps that contests share left of the prepaid tips, wei. The last tips are those of resolutions."""
    appeal = task.appeal
    paid = [int(args["amount"]) for args in appeal.tips]
    shared, own = paid[: len(paid) - len(appeal.resolved)], paid[len(paid) - len(appeal.resolved) :]
    left = (STEPS - 1) * tip * len(appeal.contests)
    for amount in shared:
        audit.compare(task, "tip of a step of the appeal", amount, min(tip, left))
        left -= amount
    audit.compare(task, "tips of resolutions", own, [tip] * len(appeal.resolved) if tip else own)
    return left


def _bonds_before(task: TaskRecord) -> list[int]:
    """The rest of the creator's bond before each charge of an appeal, wei."""
    left, before = int(task.params["bond"]), []
    for name, args in task.bond_moves:
        if name == "AppealCharged":
            before.append(left)
            left -= int(args["tips"])
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


def _check_overturned(audit: Comparer, task: TaskRecord, ruling: AppealRuling, domain: HashDomain) -> None:
    """Check reported rows of the task, which scored another part, and of the appeal."""
    round_, _ = task.settled_round()
    found, h, tau = ruling.found, int(task.params["h"]), int(task.params["tau"])
    rows = {args["operator"]: [int(word) for word in args["words"]] for args in round_.revealed}
    reported = [fault.args["operator"] for fault in task.appeal.overturned]
    audit.compare(task, "rows reported as overturned", len(set(reported)), len(reported))
    wanted, beyond = int(task.params["targetSeats"]), row_stands_within(h, tau)
    for fault in task.appeal.overturned:
        operator, index = fault.args["operator"], int(fault.args["contest"])
        word = int(task.appeal.contests[index]["word"])
        far = found is not None and operator in rows and is_overturned(rows[operator][word], found.found[index], beyond)
        audit.compare(task, f"row of {operator} overturned by contest {index}", True, far)
        unit = unit_of(task, fault, total_of(task, round_), wanted)
        most = slash_of(Fault.OVERTURNED, seats_of(task, round_, domain, operator), unit)
        check_slash(audit, task, fault, SlashKind.OVERTURNED, "the task", most)
    jury = task.appeal.round
    if jury is not None:
        _check_jurors(audit, task, jury, found, domain)


def _check_jurors(
    audit: Comparer, task: TaskRecord, jury: RoundRecord, found: AppealRound | None, domain: HashDomain
) -> None:
    rows = {args["operator"]: [int(word) for word in args["words"]] for args in jury.revealed}
    told = [fault.args["operator"] for fault in [*task.appeal.jurors, *task.appeal.silent]]
    audit.compare(task, "jurors reported by the appeal", len(set(told)), len(told))
    wanted, beyond = appeal_seats(int(task.params["targetSeats"])), juror_stands_within(int(task.params["h"]))
    for fault in task.appeal.jurors:
        operator = fault.args["operator"]
        words = [] if found is None else list(zip(rows.get(operator, []), found.found, strict=False))
        far = any(is_overturned(word, median, beyond) for word, median in words)
        audit.compare(task, f"row of the juror {operator} overturned", True, far)
        drawn = seats_in_appeal(task, jury, domain, operator)
        audit.compare(task, f"seats of the reported juror {operator}", int(fault.args["seats"]), drawn)
        most = slash_of(Fault.OVERTURNED, drawn, unit_of(task, fault, total_enrolled(task), wanted))
        check_slash(audit, task, fault, SlashKind.OVERTURNED, "the appeal", most)


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


def _check_released(audit: Comparer, task: TaskRecord, domain: HashDomain) -> None:
    taken: dict[str, int] = {}
    for fault in task.appeal.round_faults:
        operator = fault.args["operator"]
        taken[operator] = taken.get(operator, 0) + taken_of_appeal(fault, domain)
    for args in task.appeal.freed:
        operator = args["operator"]
        rest = enrolled_for_appeal(task, operator) - taken.get(operator, 0)
        audit.compare(task, f"released stake of {operator} behind the appeal", int(args["amount"]), rest)
