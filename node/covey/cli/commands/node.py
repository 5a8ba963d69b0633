"""covey init, check, run, status, ops: one node from its settings file to its daily state."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from covey.cli.settings import SIGNER, ConfigOption, JsonOption, Settings, with_node_config, with_settings
from covey.config.node import NodeConfig


@with_settings(*SIGNER, "roles", "training_records", "heldout_records", "peers")
def init(
    folder: Annotated[Path, typer.Argument(help="folder for settings, key and data")] = Path("~/.covey"),
    *,
    settings: Settings,
    import_key: Annotated[
        Path | None, typer.Option("--import-key", help="file with a private key (hex) to use instead of a new one")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Set up a node: a settings file with every key explained, and an encrypted signer key. Overwrites nothing."""
    from covey.cli.output import console, print_json
    from covey.cli.setup.init import set_up

    made = set_up(folder.expanduser(), settings, import_key)
    if json:
        keystore = None if made.keystore is None else str(made.keystore)
        print_json({"settings": str(made.settings), "keystore": keystore, "signer": made.signer})
        return
    out = console()
    out.print(f"settings  {made.settings}")
    out.print(f"signer    {made.signer}  ({made.keystore or settings.remote_signer})")
    out.print("Next: fill in what is still commented out in the settings file, then")
    out.print(f"  covey check --config {made.settings}")
    out.print(f"  send the signer some of the chain's coin for gas, and (a trainer) CVY for entry fees: {made.signer}")
    out.print(f"  covey stake 1000CVY --config {made.settings}     opens your pool with this signer")
    out.print(f"  covey run --config {made.settings}")


def check(
    config: ConfigOption = None,
    probe: Annotated[
        bool, typer.Option("--probe", help="start a worker too and ask for its hardware (imports torch)")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Check an installation and, where there is one, a node's settings, keys, chain, data and store."""
    from covey.cli.errors import CliError
    from covey.cli.output import console, print_json
    from covey.cli.setup.checks import run_checks

    findings = run_checks(config, probe=probe)
    if json:
        print_json([{"what": one.what, "state": one.state, "told": one.told} for one in findings])
    else:
        colours = {"ok": "green", "bad": "red", "not set": "dim"}
        out = console()
        for one in findings:
            out.print(f"[{colours[one.state]}]{one.state:>8}[/]  [bold]{one.what}[/bold]  {one.told}")
    wrong = [one for one in findings if one.state == "bad"]
    if wrong:
        raise CliError(f"{len(wrong)} of {len(findings)} checks failed: {', '.join(one.what for one in wrong)}")


@with_node_config
def run(
    *,
    settings: NodeConfig,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="show what would be done now and why; send and write nothing")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="with --dry-run: print one JSON document")] = False,
) -> None:
    """Run a node until SIGTERM or Ctrl-C: it follows the chain and does its duties."""
    from covey.cli.errors import CliError, InputError
    from covey.daemon.run import run as run_daemon

    if dry_run:
        from covey.cli.views.dry_run import look_ahead

        look_ahead(settings, as_json=json)
        return
    if json:
        raise InputError("--json goes with --dry-run; for logs as JSON lines give --log-json")
    code = run_daemon(settings)
    if code:
        raise CliError("the node stopped with an error; see its log above", code)


@with_settings(*SIGNER, "data_dir", "health_listen")
def status(*, settings: Settings, json: JsonOption = False) -> None:
    """Show how a node is doing, on one screen: stake, seats, work under way, due duties, money, tasks."""
    from covey.cli.output import print_json
    from covey.cli.views.status import gather_standing, show_standing

    standing = gather_standing(settings)
    if json:
        print_json(standing)
    else:
        show_standing(standing)


def ops(
    folder: Annotated[Path, typer.Argument(help="folder to write them to")] = Path("covey-ops"),
) -> None:
    """Write the files to run and watch a node with: systemd unit, container file, Prometheus, Grafana."""
    from covey import ops as files
    from covey.cli.errors import InputError
    from covey.cli.output import console

    try:
        written = files.copy(folder.expanduser())
    except FileExistsError as error:
        raise InputError(f"{error} exists; it is never overwritten: choose another folder") from None
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror}") from None
    out = console()
    for path in written:
        out.print(str(path))


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    for command in (init, check, run, status, ops):
        app.command()(command)
