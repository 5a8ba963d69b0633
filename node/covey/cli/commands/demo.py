"""`covey demo`: one task on a local network, from posting to payout."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

import typer

from covey.cli.settings import JsonOption, Settings, with_settings

if TYPE_CHECKING:
    from covey.devnet.demo import Demo


@with_settings(table="demo")
def demo(*, settings: Settings, json: JsonOption = False) -> None:
    """Run one task on a local network, from posting to payout.

    Four hospitals train, one participant cheats, validators score. The command settles and pays the task, checks every
    payment against the rules, and writes a report.
    """
    from covey.cli import STARTED
    from covey.cli.errors import CliError, InputError
    from covey.devnet.demo import DemoOptions, run_demo
    from covey.devnet.errors import BadInput, DevnetError
    from covey.devnet.results import as_json

    chosen = settings.demo
    options = DemoOptions(chosen.seed, chosen.validators, chosen.base, chosen.out, STARTED)
    try:
        with LiveView(quiet=json) as view, run_demo(options, view) as done:
            view.stop()
            if json:
                typer.echo(as_json(done.result))
            else:
                _show(done)
            if chosen.keep:
                _keep(done)
    except BadInput as error:
        raise InputError(str(error)) from None
    except DevnetError as error:
        raise CliError(str(error)) from None
    if done.result.check.differences:
        raise CliError(f"the payments differ from the rules: {done.result.check.differences[0]}")


class LiveView:
    """Progress on standard error: one line for each phase, the current one animated."""

    def __init__(self, *, quiet: bool) -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        from covey.cli.output import console

        self._quiet = quiet
        self._console = console(stderr=True)
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[status]}"),
            TimeElapsedColumn(),
            console=self._console,
            disable=quiet,
        )
        self._task: Any = None
        self._began = time.monotonic()

    def __enter__(self) -> LiveView:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(finished=value is None)

    def stop(self, *, finished: bool = True) -> None:
        """Stop the live display and leave its last state on the terminal. Idempotent."""
        if finished:
            self._finish()
        self._progress.stop()

    def phase(self, name: str) -> None:
        """See `covey.devnet.demo.View`."""
        self._finish()
        self._task = self._progress.add_task(f"{name:<22}", total=None, status="")

    def progress(self, what: str, done: int, total: int, share: float) -> None:
        """See `covey.devnet.demo.View`."""
        if self._task is not None:
            self._progress.update(self._task, completed=share, total=1.0, status=f"{done}/{total} {what}")

    def note(self, text: str) -> None:
        """See `covey.devnet.demo.View`."""
        from covey.cli.output import marked

        if not self._quiet:
            self._progress.console.print(marked("[dim]  {}[/]", text))

    def _finish(self) -> None:
        if self._task is not None:
            task = self._progress.tasks[self._task]
            total = task.total or 1
            self._progress.update(self._task, total=total, completed=total)
            self._task = None


def _show(done: Demo) -> None:
    from covey.cli.output import console, marked
    from covey.cli.views.demo_tables import NOTE, entry_table, matrix_table, validator_table

    out, result = console(), done.result
    out.print()
    for table in (entry_table(result), validator_table(result), matrix_table(result)):
        out.print(table)
        out.print()
    out.print(marked("[dim]{}[/]", NOTE))
    spearman = f"{result.spearman:.2f}"
    out.print(marked("Spearman's ρ between on-chain medians and true held-out improvement: [bold]{}[/]", spearman))
    check = result.check
    if check.differences:
        text = "[red]{} of {} figures differ from the rules:[/]"
        out.print(marked(text, len(check.differences), check.checked))
        for line in check.differences[:10]:
            out.print(f"  {line}")
    else:
        text = "Payments match the rules: {} figures replayed from events, [green]no differences[/]."
        out.print(marked(text, check.checked))
    out.print(f"{result.total_s:.0f} s from start to claimed and checked rewards.")
    out.print(marked("\nReport: [bold]{}[/]  (open it in a browser; it works offline)", done.report))


def _keep(done: Demo) -> None:
    """Keep the network running until Ctrl-C, with the web page."""
    from covey.chain.deployment import Deployment
    from covey.cli.output import console
    from covey.web.server import WebServer, page_deployment

    out, network = console(stderr=True), done.network
    out.print("\nThe network keeps running until Ctrl-C. Try, for instance:")
    where = f"--rpc-urls {network.anvil.url} --deployment {network.deployment_folder}"
    out.print(f"  covey explain {done.result.chain.task_id} {where}")
    out.print(f"  covey task list {where}")
    record = Deployment.load(network.deployment_folder)
    page = WebServer("127.0.0.1:0", [page_deployment(record.chain_id, record.contracts)], network.anvil.url)
    out.print(f"The web page shows the task: {page.url}#/task/{done.result.chain.task_id}", markup=False)
    try:
        while True:
            network.anvil.wait(1.0)
    except KeyboardInterrupt:
        out.print("Stopping the network.")
    finally:
        page.close()


def add_to(app: typer.Typer) -> None:
    """Add this module's command to the application."""
    app.command(rich_help_panel="Local networks")(demo)
