"""`covey init`, `check`, `run`, `status` and `ops`: set up, run and watch one node."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from covey.cli.settings import SIGNER, ConfigOption, JsonOption, Settings, with_node_config, with_settings
from covey.config.node import NodeConfig


@with_settings(*SIGNER, "roles", "training_records", "heldout_records", "peers")
def init(
    folder: Annotated[Path, typer.Argument(help="Folder for settings, key and data.")] = Path("~/.covey"),
    *,
    settings: Settings,
    import_key: Annotated[
        Path | None,
        typer.Option("--import-key", help="File with a private key (hexadecimal) to use instead of a new one."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Create a node's settings file and encrypted signer key.

    The settings file explains every setting. Existing files are never overwritten.
    """
    from covey.chain.units import cvy
    from covey.cli.output import console, print_json
    from covey.cli.setup.init import set_up
    from covey.config.amounts import SUGGESTED_STAKE

    created = set_up(folder.expanduser(), settings, import_key)
    if json:
        keystore = None if created.keystore is None else str(created.keystore)
        print_json({"settings": str(created.settings), "keystore": keystore, "signer": created.signer})
        return
    out, stake = console(), cvy(SUGGESTED_STAKE).replace(" ", "")
    out.print(f"settings  {created.settings}")
    out.print(f"signer    {created.signer}  ({created.keystore or 'held by a remote signer'})")
    out.print("Next: fill in the settings that are still commented out, then")
    out.print(f"  covey check --config {created.settings}")
    out.print(f"  send the signer native coin for gas, and (a trainer) CVY for entry fees: {created.signer}")
    out.print(f"  covey stake {stake} --config {created.settings}     opens your pool with this signer")
    out.print(f"  covey run --config {created.settings}")


def check(
    config: ConfigOption = None,
    probe: Annotated[
        bool, typer.Option("--probe", help="Also start a worker and show its hardware (imports torch).")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Check the installation and the configured keys, chain, data and store."""
    from covey.cli.errors import CliError
    from covey.cli.output import console, marked, print_json
    from covey.cli.setup.checks import run_checks

    findings = run_checks(config, probe=probe)
    if json:
        print_json([finding.as_dict() for finding in findings])
    else:
        colours = {"ok": "green", "failed": "red", "not set": "dim"}
        out = console()
        for finding in findings:
            colour, state = colours[finding.state], f"{finding.state:>8}"
            out.print(marked(f"[{colour}]{{}}[/]  [bold]{{}}[/bold]  {{}}", state, finding.check, finding.message))
    failed = [finding.check for finding in findings if finding.state == "failed"]
    if failed:
        raise CliError(f"{len(failed)} of {len(findings)} checks failed: {', '.join(failed)}")


@with_node_config
def run(
    *,
    settings: NodeConfig,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what the node would do now and why, without sending or writing.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="With --dry-run: print one JSON document.")] = False,
) -> None:
    """Run a node until SIGTERM or Ctrl-C."""
    from covey.cli.errors import CliError, InputError
    from covey.daemon.run import run as run_daemon

    if dry_run:
        from covey.cli.views.dry_run import look_ahead

        look_ahead(settings, as_json=json)
        return
    if json:
        raise InputError("--json requires --dry-run; for logs as JSON Lines give --log-json")
    code = run_daemon(settings)
    if code:
        raise CliError("the node stopped with an error; see its log above", code)


@with_settings(*SIGNER, "data_dir", "health_listen")
def status(*, settings: Settings, json: JsonOption = False) -> None:
    """Show a node's health, stake, earnings, duties and tasks on one screen."""
    from covey.cli.node_status import gather_status
    from covey.cli.output import print_json
    from covey.cli.views.status import show_status

    facts = gather_status(settings)
    if json:
        print_json(facts)
    else:
        show_status(facts)


def ops(
    folder: Annotated[Path, typer.Argument(help="Output folder.")] = Path("covey-ops"),
) -> None:
    """Write files to run and monitor a node: systemd, container, Prometheus, Grafana."""
    from covey import ops as files
    from covey.cli.errors import InputError
    from covey.cli.output import console

    try:
        written = files.copy(folder.expanduser())
    except FileExistsError as error:
        raise InputError(f"{error} exists and is never overwritten: choose another folder") from None
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror}") from None
    out = console()
    for path in written:
        out.print(str(path))


def add_to(app: typer.Typer) -> None:
    """Add this module's commands to the application."""
    for command in (init, check, run, status, ops):
        app.command(rich_help_panel="Node")(command)
