"""Renders the HTML report of a demo run: one file without network access; its only script switches the theme."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from importlib import resources

from covey.devnet.charts import Dot, Line, bar_chart, dot_chart, heat_map, line_chart
from covey.devnet.result import DemoResult, EntryResult
from covey.devnet.result import cvy as format_amount

_THEME_BUTTON = (
    '<button type="button" onclick="const e=document.documentElement,'
    "d=e.dataset.theme?e.dataset.theme==='dark':matchMedia('(prefers-color-scheme: dark)').matches;"
    "e.dataset.theme=d?'light':'dark'\">Light / dark</button>"
)


def render(result: DemoResult) -> str:
    """Render the report as one HTML document."""
    css = resources.files("covey.devnet").joinpath("report.css").read_text(encoding="utf-8")
    body = [_header(result), _tiles(result), '<div class="grid2">']
    body += [_section(title, text, content, wide) for title, text, content, wide in _sections(result)]
    body += ["</div>", _footer(result)]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Covey: task {result.chain.task_id}, seed {result.seed}</title>\n<style>\n{css}</style></head>\n"
        f"<body><main>\n{chr(10).join(body)}\n</main></body></html>\n"
    )


def _header(result: DemoResult) -> str:
    hospitals = sum(entry.honest for entry in result.entries)
    labs = sum(row.honest for row in result.validators)
    return (
        "<header><div><h1>One adapter task, from posting to payout</h1>"
        f"<p>{hospitals} hospitals submitted LoRA adapters for <b>{escape(result.base.name)}</b> "
        f"({result.base.parameters / 1e6:.1f} M parameters), each trained on ICD-10-CM chapters that the others do not "
        f"have; one trainer submitted random weights. {labs} validators scored the entries on their own records; one "
        "validator gave every entry the same score. Contracts on a local chain settled the medians and paid the "
        "rewards.</p></div>"
        f"{_THEME_BUTTON}</header>"
    )


def _tiles(result: DemoResult) -> str:
    paid = sum(int(entry.reward_wei) for entry in result.entries)
    paid += sum(int(row.reward_wei) for row in result.validators)
    wrong = len(result.check.differences)
    tiles = [
        ("", f"{result.spearman:.2f}", "Spearman's ρ between medians and true improvement"),
        ("", format_amount(paid, 0), "CVY paid to trainers and validators"),
        (
            "good" if not wrong else "bad",
            "equal" if not wrong else f"{wrong} differ",
            f"payments and rules, {result.check.checked} figures compared",
        ),
        ("", f"{result.total_s:.0f} s", "from start to rewards claimed"),
        ("", f"{result.chain.last_block - result.chain.first_block + 1}", "blocks of the local chain"),
    ]
    cells = (
        f'<div class="tile {kind}"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
        for kind, value, name in tiles
    )
    return f'<div class="tiles">{"".join(cells)}</div>'


def _section(title: str, text: str, content: str, wide: bool) -> str:
    return f"<section{' class=wide' if wide else ''}><h2>{escape(title)}</h2><p>{text}</p>{content}</section>"


def _sections(result: DemoResult) -> list[tuple[str, str, str, bool]]:
    rules = result.rules
    return [
        (
            "Trainers",
            "True improvement: relative reduction of held-out loss against the base, on a common set that no validator "
            f"has ({result.held_out_records:,} records). The trainers' pool of {cvy(rules.trainers_pool_wei)} CVY is "
            f"split by (median − {rules.floor_score})<sup>{rules.power}</sup>.",
            _entry_table(result),
            True,
        ),
        (
            "Medians against true improvement",
            "Median on chain and true improvement, both in percent of the base's loss. Bars span the validators' "
            "scores; the dashed line is equality.",
            _truth(result),
            False,
        ),
        (
            "Improvement by stratum",
            "Held-out improvement in percent, by group of chapters. Framed: the chapters that a hospital trained on.",
            _matrix(result),
            False,
        ),
        (
            "Training loss",
            "Nats per token on each trainer's own records, which never leave its machine.",
            _losses(result),
            False,
        ),
        (
            "Scores",
            "Scores that each validator revealed, in the chain's 15-bit units (1: no better than the base), and the "
            "settled seat-weighted median.",
            _scores(result),
            False,
        ),
        (
            "Validators",
            f"Gain: agreement with the medians beyond that of a constant row, with h = {rules.h} and τ = {rules.tau}. "
            f"{cvy(rules.validators_pool_wei)} CVY ({cvy(rules.fees_wei)} of it entry fees) are split by seats · gain.",
            _validator_table(result),
            False,
        ),
        ("Payouts", "CVY paid into each operator's staking pool.", _payouts(result), False),
        (
            "Run",
            "Everything that determines rewards is on this chain, or addressed by a CID on it.",
            _facts(result),
            True,
        ),
    ]


def _series(result: DemoResult) -> Callable[[EntryResult], int | None]:
    """Colour of an entry: honest ones by order of name, None (muted) for the others."""
    honest = sorted(entry.name for entry in result.entries if entry.honest)
    return lambda entry: honest.index(entry.name) if entry.honest else None


def cvy(wei: str | int) -> str:
    """Amount of CVY as HTML, two decimals."""
    return escape(format_amount(wei))


def percent(share: float, places: int) -> str:
    """A share as percent, without a negative zero."""
    value = round(100 * share, places)
    return f"{value + 0.0 if value else 0.0:.{places}f}%"


def _address(address: str) -> str:
    """A shortened address with the full one as its tooltip."""
    return f'<code title="{escape(address)}">{escape(address[:10])}…{escape(address[-6:])}</code>'


def _table(head: Sequence[tuple[str, bool]], rows: Sequence[Sequence[str]]) -> str:
    """An HTML table. `rows` contain safe HTML; the flag in `head` marks numeric columns."""
    top = "".join(f"<th{' class=n' if numeric else ''}>{escape(name)}</th>" for name, numeric in head)
    body = "".join(
        "<tr>"
        + "".join(f"<td{' class=n' if flag else ''}>{cell}</td>" for cell, (_, flag) in zip(row, head, strict=True))
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _swatch(series: int | None) -> str:
    colour = "var(--muted-mark)" if series is None else f"var(--s{series})"
    return f'<span class="swatch" style="background:{colour}"></span>'


def _entry_table(result: DemoResult) -> str:
    series = _series(result)
    rows = []
    for entry in sorted(result.entries, key=lambda e: -e.true_improvement):
        tag = "" if entry.honest else '<span class="tag">random weights</span>'
        rows.append(
            [
                _swatch(series(entry)) + escape(entry.name) + tag,
                _address(entry.operator),
                f"{entry.tokens_seen:,}",
                percent(entry.true_improvement, 1),
                f"{entry.median:,}",
                percent(max(0, entry.median - 1) / 32766, 1),
                cvy(entry.reward_wei),
            ]
        )
    head = [("entry", False), ("operator", False), ("tokens seen", True), ("true improvement", True)]
    head += [("median on chain", True), ("as improvement", True), ("reward, CVY", True)]
    return _table(head, rows)


def _validator_table(result: DemoResult) -> str:
    rows = []
    for row in result.validators:
        tag = "" if row.honest else '<span class="tag">constant scores</span>'
        rows.append([escape(row.name) + tag, str(row.seats), f"{row.loss:,}", f"{row.gain:,}", cvy(row.reward_wei)])
    return _table([("validator", False), ("seats", True), ("loss", True), ("gain", True), ("reward, CVY", True)], rows)


def _truth(result: DemoResult) -> str:
    series = _series(result)
    dots = []
    for entry in sorted(result.entries, key=lambda e: e.lane):
        seen = [row.scores[entry.lane] for row in result.validators if row.honest and row.scores] or [entry.median]
        median, low, high = (max(0, score - 1) / 327.66 for score in (entry.median, min(seen), max(seen)))
        dots.append(Dot(entry.name, 100 * entry.true_improvement, median, low, high, series(entry)))
    return dot_chart(dots, x_name="true improvement, %", y_name="median on chain, %")


def _losses(result: DemoResult) -> str:
    series = _series(result)
    lines = [
        Line(e.name, [(p.step, p.loss) for p in e.losses], series(e))
        for e in sorted(result.entries, key=lambda e: e.name)
    ]
    return line_chart([line for line in lines if line.points], x_name="optimiser steps", y_name="training loss")


def _matrix(result: DemoResult) -> str:
    matrix = result.matrix
    text = [[percent(value, 0)[:-1] for value in row] for row in matrix.values]
    own = [[column in held for column in matrix.columns] for held in matrix.own]
    columns = [column.replace("-", " ") for column in matrix.columns]
    return heat_map(matrix.rows, columns, matrix.values, text=text, outlined=own)


def _scores(result: DemoResult) -> str:
    entries = sorted(result.entries, key=lambda e: e.lane)
    rows = [(row.name, [float(score) for score in row.scores]) for row in result.validators if row.scores]
    rows.append(("median", [float(entry.median) for entry in entries]))
    text = [[f"{value:,.0f}" for value in values] for _, values in rows]
    return heat_map(
        [name for name, _ in rows], [entry.name for entry in entries], [values for _, values in rows], text=text
    )


def _payouts(result: DemoResult) -> str:
    series = _series(result)
    bars = [
        (e.name, int(e.reward_wei) / 1e18, format_amount(e.reward_wei), series(e))
        for e in sorted(result.entries, key=lambda e: e.name)
    ]
    bars += [(row.name, int(row.reward_wei) / 1e18, format_amount(row.reward_wei), None) for row in result.validators]
    return bar_chart(bars)


def _facts(result: DemoResult) -> str:
    chain = result.chain
    contracts = ", ".join(f"{escape(name)} <code>{escape(address)}</code>" for name, address in chain.contracts.items())
    times = ", ".join(f"{escape(phase.name)} {phase.seconds:.1f} s" for phase in result.phases)
    rows = [
        ["chain", f"{chain.chain_id}, task {chain.task_id}, blocks {chain.first_block} to {chain.last_block}"],
        [
            "chain time",
            f"{chain.skipped_s / 3600:.1f} h skipped at the ends of windows, after all operators had acted",
        ],
        ["base", f"{escape(result.base.name)}, digest <code>{escape(result.base.digest)}</code>"],
        ["strata", ", ".join(f"{escape(name)} {weight:.0%}" for name, weight in result.strata.items())],
        ["wall time", times],
        ["contracts", contracts],
    ]
    return _table([("", False), ("", False)], rows).replace("<td>", '<td style="white-space:normal">')


def _footer(result: DemoResult) -> str:
    wrong = "".join(f"<li>{escape(line)}</li>" for line in result.check.differences)
    return (
        f"{'<section><h2>Differences</h2><ul>' + wrong + '</ul></section>' if wrong else ''}"
        "<footer>Created by <code>covey demo</code>. ICD-10-CM descriptions are in the public domain. Adapters and "
        "scores are public by design; records are not. The data of this page is in <code>result.json</code>.</footer>"
    )
