"""covey demo: one task on a local network, from posting to payout."""

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
    """Run one task on a local network: four hospitals, a cheat, validators; train, score, settle, pay, check."""
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
        raise CliError(f"what was paid is not what the rules say: {done.result.check.differences[0]}")


class LiveView:
    """Progress on standard error: one line a phase, the current one alive."""

    def __init__(self, *, quiet: bool) -> None:
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        from covey.cli.output import console

        self._quiet = quiet
        self._console = console(stderr=True)
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[told]}"),
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
        """End the live display; what it showed stays. Safe to call twice."""
        if finished:
            self._finish()
        self._progress.stop()

    def phase(self, name: str) -> None:
        """See `covey.devnet.demo.View`."""
        self._finish()
        self._task = self._progress.add_task(f"{name:<22}", total=None, told="")

    def progress(self, what: str, done: int, total: int, share: float) -> None:
        """See `covey.devnet.demo.View`."""
        if self._task is not None:
            self._progress.update(self._task, completed=share, total=1.0, told=f"{done}/{total} {what}")

    def note(self, text: str) -> None:
        """See `covey.devnet.demo.View`."""
        if not self._quiet:
            self._progress.console.print(f"[dim]  {text}[/]")

    def _finish(self) -> None:
        if self._task is not None:
            task = self._progress.tasks[self._task]
            total = task.total or 1
            self._progress.update(self._task, total=total, completed=total)
            self._task = None


def _show(done: Demo) -> None:
    from covey.cli.output import console
    from covey.cli.views.demo_tables import NOTE, entry_table, matrix_table, validator_table

    out, result = console(), done.result
    out.print()
    for made in (entry_table(result), validator_table(result), matrix_table(result)):
        out.print(made)
        out.print()
    out.print(f"[dim]{NOTE}[/]")
    out.print(f"Spearman's ρ between medians on chain and true held-out improvement: [bold]{result.spearman:.2f}[/]")
    check = result.check
    if check.differences:
        out.print(f"[red]{len(check.differences)} of {check.checked} figures differ from the rules:[/]")
        for line in check.differences[:10]:
            out.print(f"  {line}")
    else:
        out.print(
            f"Rewards paid equal the rules: {check.checked} figures replayed from events, [green]none differs[/]."
        )
    out.print(f"{result.total_s:.0f} s from start to rewards claimed and checked.")
    out.print(f"\nReport: [bold]{done.report}[/]  (open it in a browser: it needs no network)")


def _keep(done: Demo) -> None:
    from covey.cli.output import console

    out, network = console(stderr=True), done.network
    out.print("\nThe network stays up until Ctrl-C. Look around with, for instance:")
    where = f"--rpc-urls {network.anvil.url} --deployment {network.deployment_folder}"
    out.print(f"  covey explain {done.result.chain.task_id} {where}")
    out.print(f"  covey task list {where}")
    try:
        while True:
            network.anvil.wait(1.0)
    except KeyboardInterrupt:
        out.print("Ending the network.")


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(demo)
