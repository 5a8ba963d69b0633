"""Tables of `covey explain`: how each entry and each validator of a task was paid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from covey.chain.units import format_cvy
from covey.cli.output import marked, table

if TYPE_CHECKING:
    from covey.audit.explain import Explanation, RowExplanation

_LANES_SHOWN = 4


def show_explanation(out: Any, why: Explanation) -> None:
    """Print an explanation to a Rich console."""
    rules = why.rules
    out.print(marked("[bold]Task {}[/bold]: {}", why.task, why.stage))
    out.print(
        f"bounty {format_cvy(why.bounty)} CVY, entry fees {format_cvy(why.fees)}, "
        f"tips out of the bond {format_cvy(why.tips)}"
    )
    if why.extra:
        out.print(f"others added {format_cvy(why.extra)} to the bounty")
    out.print(f"K = {rules['K']}, floor = {rules['floor']}, h = {rules['h']}, τ = {rules['tau']}, p = {rules['p']}")
    _show_faults(out, why)
    _show_contests(out, why)
    if not why.rows:
        return
    out.print(
        f"trainers' pool {format_cvy(why.trainers_pool)}, validators' pool {format_cvy(why.validators_pool)}, "
        f"creator {format_cvy(why.to_creator)}, treasury {format_cvy(why.to_treasury)}\n"
    )
    out.print(_entry_table(why))
    out.print()
    out.print(_validator_table(why))


def _entry_table(why: Explanation) -> Any:
    rows = [
        [
            str(entry.lane),
            entry.operator,
            f"{entry.median:,}",
            f"{entry.improvement:.2%}",
            f"{entry.weight:,}",
            f"{entry.share:.2%}",
            format_cvy(entry.fee),
            format_cvy(entry.reward),
            _paid(entry.paid),
        ]
        for entry in why.entries
    ]
    formula = f"weight = max(0, median − {why.rules['floor']})^{why.rules['p']}, reward = pool · weight / Σ weights"
    columns = ["lane>", "operator", "median>", "improvement>", "weight>", "share>", "fee>", "reward>", "paid>"]
    return table(f"Entries: {formula}", columns, rows)


def _validator_table(why: Explanation) -> Any:
    rows = [
        [
            row.operator,
            format_cvy(row.earmark, 0),
            str(row.seats),
            f"{row.expected_seats:.2f}",
            _lanes(row),
            f"{row.loss:,}",
            f"{row.gain:,}",
            f"{row.share:.2%}",
            format_cvy(row.reward),
            _paid(row.paid),
        ]
        for row in why.rows
    ]
    gain = "gain = max(0, G − 2 · loss)" if why.round == 0 else "second committee: gain = 1 where G > 2 · loss"
    reward = (
        "reward = pool · seats / Σ seats (no validator gained)"
        if why.flat
        else "reward = pool · seats · gain / Σ seats · gain"
    )
    columns = ["operator", "earmark>", "seats>", "expected>", "by lane", "loss>", "gain>", "share>", "reward>", "paid>"]
    return table(f"Validators: {gain}, G = {why.spread:,}; {reward}", columns, rows)


def _show_faults(out: Any, why: Explanation) -> None:
    if not why.faults:
        return
    rows = [
        [
            fault.operator,
            fault.where,
            fault.fault,
            format_cvy(fault.taken),
            fault.reporter,
            format_cvy(fault.reporter_share),
        ]
        for fault in why.faults
    ]
    columns = ["operator", "where", "fault", "slashed>", "reported by", "reporter's share>"]
    out.print(table("Faults: stake slashed for each", columns, rows))


def _show_contests(out: Any, why: Explanation) -> None:
    if why.contests:
        outcomes = {None: "–", True: "changed", False: "unchanged"}
        rows = [
            [
                str(contest.word),
                contest.appellant,
                format_cvy(contest.bond),
                "copied" if contest.copied else outcomes[contest.moved],
                format_cvy(contest.to_appellant),
                format_cvy(contest.to_round),
            ]
            for contest in why.contests
        ]
        columns = ["word>", "appellant", "bond>", "outcome", "to appellant>", "to the round>"]
        out.print(table(f"Appeal: it cost the validators' pool {format_cvy(why.appeal_cost)}", columns, rows))
    for operator, amount in why.appeal_pay.items():
        out.print(f"paid for the appeal: {operator} {format_cvy(amount)}")


def _paid(amount: int | None) -> str:
    return "–" if amount is None else format_cvy(amount)


def _lanes(row: RowExplanation) -> str:
    """The lanes with a loss, highest loss first, at most four."""
    costly = sorted((lane for lane in row.lanes if lane.loss), key=lambda lane: -lane.loss)
    shown = " ".join(f"{lane.lane}:{lane.loss}" for lane in costly[:_LANES_SHOWN])
    return shown + (" …" if len(costly) > _LANES_SHOWN else "") or "none"
