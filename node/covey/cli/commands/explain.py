"""`covey explain`: recompute the payments of one task."""

from __future__ import annotations

from typing import Annotated

import typer

from covey.cli.settings import CHAIN, STORE, JsonOption, Settings, with_settings


@with_settings(*CHAIN, *STORE, "peers")
def explain(
    task: Annotated[int, typer.Argument(min=1, help="Task id.")], *, settings: Settings, json: JsonOption = False
) -> None:
    """Explain the payments of a task.

    Recomputes seats, medians, gains and rewards from the task's events and compares them with the chain. With a block
    store or peers, also checks manifests and score sheets.
    """
    from covey.cli.access import connect, content_reader
    from covey.cli.errors import CliError
    from covey.cli.output import console, print_json
    from covey.cli.views.explanation import show_explanation

    network = connect(settings)
    with content_reader(settings) as reader:
        report = network.verify_payout(task, reader=reader)
    if json:
        print_json(report.as_dict())
    else:
        out = console()
        show_explanation(out, report.explanation)
        differ = len(report.differences)
        out.print(f"\n{report.checked} figures replayed, {differ} differ from the rules; {report.evidence}.")
        for line in report.unclaimed:
            out.print(f"not claimed yet: {line}")
        for line in report.unavailable:
            out.print(f"not checked: {line}")
    if report.differences:
        raise CliError(f"the chain differs from the rules: {report.differences[0]}")


def add_to(app: typer.Typer) -> None:
    """Add this module's command to the application."""
    app.command(rich_help_panel="Audit")(explain)
