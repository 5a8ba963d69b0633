"""`covey run --dry-run` for people and scripts."""

from __future__ import annotations

from dataclasses import asdict

from covey.chain.units import format_time
from covey.cli.errors import CliError, InputError
from covey.cli.output import console, print_json, table
from covey.config.node import ConfigError, NodeConfig


def look_ahead(config: NodeConfig, *, as_json: bool) -> None:
    """Print what a node would do now. Raises InputError or CliError where it could not start."""
    from covey.chain.errors import ChainError
    from covey.config import logs
    from covey.daemon.dry_run import outlook
    from covey.daemon.storage.journal import JournalError
    from covey.ipfs import IpfsError

    logs.configure("error", config.log_json)
    try:
        found = outlook(config)
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
        out.print(f"[red]problem[/]   {problem}")
    if found.actions:
        rows = [[one.duty, left_text(one.seconds_left), one.would, one.why] for one in found.actions]
        out.print(table("", ["duty", "time left>", "would", "because"], rows))
    else:
        out.print("Nothing is due: it would wait for the next block.")
    for note in found.notes:
        out.print(f"note      {note}")
    out.print("Nothing was sent and nothing was written.")


def left_text(seconds: int | None) -> str:
    """A time span for people: 3d 4h, 2h 5m, 4m 30s; a dash for none."""
    if seconds is None:
        return "–"
    sign, rest = ("-" if seconds < 0 else ""), abs(seconds)
    days, rest = divmod(rest, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, rest = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (rest, "s")]
    first = next((place for place, (number, _) in enumerate(parts) if number), 3)
    return sign + " ".join(f"{number}{unit}" for number, unit in parts[first : first + 2])
