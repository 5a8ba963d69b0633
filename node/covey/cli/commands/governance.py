"""`covey governance`: who may change what, which changes are announced; propose, execute and veto one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from covey.cli.settings import CHAIN, OWNER, JsonOption, Settings, with_settings

if TYPE_CHECKING:
    from covey.chain.contracts.base import Call
    from covey.client.governance import GovernanceView
    from covey.client.network import Network

group = typer.Typer(
    name="governance",
    help="Show roles and announced changes; propose, execute, veto.",
    no_args_is_help=True,
)
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="Id of the scheduled call, or its first digits.")]


@group.command()
@with_settings(*CHAIN)
def show(*, settings: Settings, json: JsonOption = False) -> None:
    """Show the holders of roles and all scheduled calls with their state.

    A change is announced before it holds: it waits for the delay of its role, can be executed for a week, then expires.
    """
    from dataclasses import asdict

    from covey.cli.access import connect
    from covey.cli.output import print_json
    from covey.client.governance import read_governance

    network = connect(settings)
    found = read_governance(network)
    if json:
        print_json(
            {
                "holders": [asdict(one) for one in found.holders],
                "proposals": [
                    {
                        "id": one.id,
                        "call": one.text,
                        "state": one.state,
                        "caller": one.operation.caller,
                        "target": one.operation.target,
                        "data": one.operation.data,
                        "ready_at": one.operation.ready_at,
                        "expires_at": one.expires_at,
                    }
                    for one in found.proposals
                ],
            }
        )
        return
    _show(found)


def _show(found: GovernanceView) -> None:
    from covey.chain.units import format_time
    from covey.cli.output import console, table
    from covey.cli.views.durations import format_duration

    out = console()
    holders = [[one.role, one.account, format_duration(one.delay) if one.delay else "none"] for one in found.holders]
    out.print(table("Roles", ["role", "held by", "delay"], holders))
    if not found.proposals:
        out.print("No call was ever scheduled.")
        return
    rows = [
        [one.id[:18], one.text, one.state, format_time(one.operation.ready_at), format_time(one.expires_at)]
        for one in reversed(found.proposals)
    ]
    out.print(table("Scheduled calls, newest first", ["id", "call", "state", "from (UTC)", "until (UTC)"], rows))


@group.command()
@with_settings(*OWNER)
def propose(
    function: Annotated[str, typer.Argument(metavar="CONTRACT.FUNCTION", help="Governed function.")],
    arguments: Annotated[list[str] | None, typer.Argument(help="Its arguments, as JSON.")] = None,
    *,
    settings: Settings,
    json: JsonOption = False,
) -> None:
    """Announce a change, or make it at once where the role has no delay.

    For instance `covey governance propose Staking.setPaused true`. Signs with the owner's key. For a multi-signature
    wallet, --json of `show` has target and data of what was scheduled.
    """
    from covey.cli.access import connect, owner_wallet
    from covey.client.governance import governed_call, propose_call

    network = connect(settings)
    call = governed_call(network, function, arguments or [])
    wallet = owner_wallet(network, settings)
    _send(network, settings, propose_call(network, wallet.address, call), json)


@group.command()
@with_settings(*OWNER)
def execute(id: IdArgument, *, settings: Settings, json: JsonOption = False) -> None:
    """Execute a scheduled call whose delay is over.

    Signs with the owner's key, which must be its proposer's.
    """
    from covey.cli.access import connect
    from covey.client.governance import execute_call, find_proposal

    network = connect(settings)
    _send(network, settings, execute_call(network, find_proposal(network, id)), json)


@group.command()
@with_settings(*OWNER)
def veto(id: IdArgument, *, settings: Settings, json: JsonOption = False) -> None:
    """Cancel a scheduled call, as its proposer or as the guardian. Signs with the owner's key."""
    from covey.cli.access import connect
    from covey.client.governance import find_proposal, veto_call

    network = connect(settings)
    _send(network, settings, veto_call(network, find_proposal(network, id)), json)


def _send(network: Network, settings: Settings, call: Call, json: bool) -> None:
    from covey.cli.access import owner_wallet
    from covey.cli.commands.stake import send_calls

    send_calls(owner_wallet(network, settings), [call], json, {"call": call.describe})


def add_to(app: typer.Typer) -> None:
    """Add this module's commands to the application."""
    app.add_typer(group, rich_help_panel="Network")
