"""`covey devnet`: a local chain with the contracts and funded accounts."""

from __future__ import annotations

from typing import Any

import typer

from covey.cli.settings import JsonOption, Settings, with_settings


@with_settings(table="devnet")
def devnet(*, settings: Settings, json: JsonOption = False) -> None:
    """Run a local chain with the contracts and funded accounts, until Ctrl-C."""
    from covey.cli.errors import CliError, InputError
    from covey.cli.output import console, print_json
    from covey.devnet.errors import BadInput, DevnetError
    from covey.devnet.local import run_devnet

    def report(facts: dict[str, Any]) -> None:
        if json:
            print_json(facts)
            return
        out = console()
        out.print(f"[bold]chain[/bold]       {facts['rpc_url']} (chain id {facts['chain_id']})")
        out.print(f"[bold]deployment[/bold]  {facts['deployment']}")
        for account in facts["accounts"]:
            out.print(f"[bold]account[/bold]     {account['address']}  {account['keystore']}")
        out.print(f"Password of the keystores: {facts['password_file']}. Press Ctrl-C to stop the network.")

    chosen = settings.devnet
    try:
        run_devnet(chosen.out, chosen.port, chosen.block_time, chosen.accounts, report)
    except BadInput as error:
        raise InputError(str(error)) from None
    except DevnetError as error:
        raise CliError(str(error)) from None


def add_to(app: typer.Typer) -> None:
    """Add this module's command to the application."""
    app.command(rich_help_panel="Local networks")(devnet)
