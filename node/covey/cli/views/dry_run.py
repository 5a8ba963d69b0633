"""Output of `covey run --dry-run`."""

from __future__ import annotations

from dataclasses import asdict

from covey.chain.units import format_time
from covey.cli.errors import CliError, InputError
from covey.cli.output import console, marked, print_json, table
from covey.cli.views.durations import format_duration
from covey.config.errors import ConfigError
from covey.config.node import NodeConfig


def look_ahead(config: NodeConfig, *, as_json: bool) -> None:
    """Print what a node would do now. Raises InputError or CliError if the node could not start."""
    from covey.chain.errors import ChainError
    from covey.config import logs
    from covey.daemon.dry_run import dry_run
    from covey.daemon.storage.journal import JournalError
    from covey.ipfs import IpfsError

    logs.configure("error", config.log_json)
    try:
        found = dry_run(config)
    except (ConfigError, JournalError, IpfsError) as error:
        raise InputError(str(error)) from None
    except ChainError as error:
        raise CliError(str(error)) from None
    if as_json:
        print_json(asdict(found))
        return
    out = console()
    out.print(f"operator  {found.operator}, signer {found.signer}")
    out.print(f"head      block {found.head_block}, {format_time(found.head_time)} UTC")
    for problem in found.problems:
        out.print(marked("[red]problem[/]   {}", problem))
    if found.actions:
        rows = [
            [action.duty, format_duration(action.seconds_left), action.would, action.why] for action in found.actions
        ]
        out.print(table("", ["duty", "time left>", "would", "because"], rows))
    else:
        out.print("No duty is due: the node would wait for the next block.")
    for note in found.notes:
        out.print(f"note      {note}")
    out.print("Nothing was sent or written.")
