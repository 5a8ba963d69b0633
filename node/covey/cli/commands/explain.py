"""covey explain: why each operator of a task was paid what it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from covey.cli.settings import CHAIN, STORE, JsonOption, Settings, with_settings

if TYPE_CHECKING:
    from covey.audit.explain import Explanation, RowExplanation

TaskArgument = Annotated[int, typer.Argument(min=1, help="task id")]


@with_settings(*CHAIN, *STORE, "peers")
def explain(task: TaskArgument, *, settings: Settings, json: JsonOption = False) -> None:
    """Recompute a task's seats, medians, gains and pay from its events: why each operator was paid what it was."""
    from contextlib import ExitStack

    from covey.cli.access import connect, open_own_store
    from covey.cli.errors import CliError
    from covey.cli.output import console, print_json
    from covey.ipfs import open_fetcher

    network = connect(settings)
    with ExitStack() as stack:
        reader = None
        if settings.store is not None or settings.data_dir is not None:
            store = stack.enter_context(open_own_store(settings))
            reader = stack.enter_context(open_fetcher(store, settings.peers, deadline_s=20))
        found = network.verify_payout(task, reader=reader)
    if json:
        print_json(found.as_dict())
    else:
        out = console()
        _show(out, found.explanation)
        out.print(f"\n{found.checked} figures replayed, {len(found.differences)} differ from the rules.")
        for line in found.unclaimed:
            out.print(f"not claimed yet: {line}")
        for line in found.unavailable:
            out.print(f"not checked: {line}")
    if found.differences:
        raise CliError(f"the chain and the rules disagree: {found.differences[0]}")


def _show(out: object, why: Explanation) -> None:
    from covey.chain.units import format_cvy
    from covey.cli.output import table

    def say(line: object = "") -> None:
        out.print(line)  # type: ignore[attr-defined]

    rules = why.rules
    say(f"[bold]Task {why.task}[/bold]: {why.stage}")
    say(
        f"bounty {format_cvy(why.bounty)} CVY, entry fees {format_cvy(why.fees)}, "
        f"tips out of the bond {format_cvy(why.tips)}"
    )
    if why.extra:
        say(f"others added {format_cvy(why.extra)} to the bounty")
    say(f"K = {rules['K']}, floor = {rules['floor']}, h = {rules['h']}, τ = {rules['tau']}, p = {rules['p']}")
    _show_disputes(say, why)
    if not why.rows:
        return
    say(
        f"trainers' pool {format_cvy(why.trainers_pool)}, validators' pool {format_cvy(why.validators_pool)}, "
        f"creator {format_cvy(why.to_creator)}, treasury {format_cvy(why.to_treasury)}\n"
    )
    say(
        table(
            f"Entries: weight = max(0, median − {rules['floor']})^{rules['p']}, reward = pool · weight / Σ weights",
            ["lane>", "operator", "median>", "improvement>", "weight>", "share>", "fee>", "reward>", "paid>"],
            [
                [
                    str(e.lane), e.operator, f"{e.median:,}", f"{e.improvement:.2%}", f"{e.weight:,}", f"{e.share:.2%}",
                    format_cvy(e.fee), format_cvy(e.reward), "–" if e.paid is None else format_cvy(e.paid),
                ]
                for e in why.entries
            ],
        )
    )  # fmt: skip
    say()
    how = (
        "reward = pool · seats / Σ seats (nobody gained)"
        if why.flat
        else "reward = pool · seats · gain / Σ seats · gain"
    )
    gain = "gain = max(0, G − 2 · loss)" if why.round == 0 else "second committee: gain = 1 where G > 2 · loss"
    say(
        table(
            f"Validators: {gain}, G = {why.spread:,}; {how}",
            ["operator", "earmark>", "seats>", "expected>", "by lane", "loss>", "gain>", "share>", "reward>", "paid>"],
            [
                [
                    row.operator, format_cvy(row.earmark, 0), str(row.seats), f"{row.expected_seats:.2f}", _lanes(row),
                    f"{row.loss:,}", f"{row.gain:,}", f"{row.share:.2%}", format_cvy(row.reward),
                    "–" if row.paid is None else format_cvy(row.paid),
                ]
                for row in why.rows
            ],
        )
    )  # fmt: skip


def _show_disputes(say: Callable[..., None], why: Explanation) -> None:
    """Faults and appeals, if there were any."""
    from covey.chain.units import format_cvy
    from covey.cli.output import table

    if why.faults:
        rows = [
            [one.operator, one.where, one.fault, format_cvy(one.taken), one.reporter, format_cvy(one.reporter_share)]
            for one in why.faults
        ]
        columns = ["operator", "where", "fault", "slashed>", "reported by", "its share>"]
        say(table("Faults: what each took of the stake behind the task", columns, rows))
    if why.contests:
        answers = {None: "–", True: "moved", False: "stands"}
        rows = [
            [
                str(one.word), one.appellant, format_cvy(one.bond), answers[one.moved],
                format_cvy(one.to_appellant), format_cvy(one.to_round),
            ]
            for one in why.contests
        ]  # fmt: skip
        columns = ["word>", "contested by", "bond>", "outcome", "to appellant>", "to the round>"]
        say(table(f"Appeal: it cost the validators' pool {format_cvy(why.appeal_cost)}", columns, rows))
    for operator, amount in why.appeal_pay.items():
        say(f"paid for the appeal: {operator} {format_cvy(amount)}")


def _lanes(row: RowExplanation) -> str:
    """The lanes that cost something, the costliest first, at most four."""
    costly = sorted((lane for lane in row.lanes if lane.loss), key=lambda lane: -lane.loss)
    shown = " ".join(f"{lane.lane}:{lane.loss}" for lane in costly[:4])
    return shown + (" …" if len(costly) > 4 else "") or "none"


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(explain)
