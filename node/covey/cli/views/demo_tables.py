"""Tables of `covey demo`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from covey.cli.output import marked, table
from covey.devnet.report import percent
from covey.devnet.result import cvy

if TYPE_CHECKING:
    from covey.devnet.result import DemoResult

NOTE = "*  submits small random weights   **  gives every entry the same score"


def short(address: str) -> str:
    """An address as 0x1234…cdef. The report has the whole address."""
    return f"{address[:6]}…{address[-4:]}"


def entry_table(result: DemoResult) -> Any:
    """Entries, best first: true held-out improvement, median on chain and the improvement it encodes, reward."""
    rows = [
        [
            entry.name if entry.honest else marked("[red]{}[/] *", entry.name),
            short(entry.operator),
            percent(entry.true_improvement, 2),
            f"{entry.median:,}",
            percent(max(0, entry.median - 1) / 32766, 2),
            cvy(entry.reward_wei),
        ]
        for entry in sorted(result.entries, key=lambda entry: -entry.true_improvement)
    ]
    columns = ["entry", "operator", "true gain>", "median>", "as gain>", "reward, CVY>"]
    return table(f"Trainers ({cvy(result.rules.trainers_pool_wei)} CVY)", columns, rows)


def validator_table(result: DemoResult) -> Any:
    """Validators: seats, loss, gain, reward."""
    rows = [
        [
            row.name if row.honest else marked("[red]{}[/] **", row.name),
            short(row.operator),
            str(row.seats),
            f"{row.loss:,}",
            f"{row.gain:,}",
            cvy(row.reward_wei),
        ]
        for row in result.validators
    ]
    columns = ["validator", "operator", "seats>", "loss>", "gain>", "reward, CVY>"]
    return table(f"Validators ({cvy(result.rules.validators_pool_wei)} CVY)", columns, rows)


def matrix_table(result: DemoResult) -> Any:
    """Improvement of each hospital's adapter on each chapter group; its own groups in bold."""
    matrix = result.matrix
    rows = []
    for name, values, own in zip(matrix.rows, matrix.values, matrix.own, strict=True):
        cells = [
            marked("[bold green]{}[/]", percent(value, 1)) if column in own else percent(value, 1)
            for column, value in zip(matrix.columns, values, strict=True)
        ]
        rows.append([name, *cells])
    title = "Held-out improvement by chapter group (own chapters in bold)"
    return table(title, ["trained by", *[column.replace("-", "\n") + ">" for column in matrix.columns]], rows)
