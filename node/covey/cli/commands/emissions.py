"""`covey emissions`: show the stream and the tasks' shares, vote with stake, push shares into bounties."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from covey.cli.settings import CHAIN, SIGNER, JsonOption, Settings, with_settings

if TYPE_CHECKING:
    from covey.client.emissions import EmissionsView

group = typer.Typer(
    name="emissions", help="Show emissions, vote for tasks, and push their shares.", no_args_is_help=True
)


@group.command()
@with_settings(*CHAIN)
def show(*, settings: Settings, json: JsonOption = False) -> None:
    """Show how much is released a day, and what the votes give to each task."""
    from dataclasses import asdict

    from covey.cli.access import connect
    from covey.cli.output import print_json

    network = connect(settings)
    found = network.emissions()
    if json:
        shares = [{"task": one.task, **asdict(one.share), "room": one.room, "ready": one.ready} for one in found.shares]
        print_json({"stream": asdict(found.stream), "shares": shares})
        return
    _show(found)


def _show(found: EmissionsView) -> None:
    from covey.chain.units import about_cvy, format_cvy, format_time
    from covey.cli.output import console, labelled, table

    out, stream = console(), found.stream
    if stream.daily:
        labelled(out, "a day", f"{about_cvy(stream.daily)} since {format_time(stream.day_start)} UTC")
    else:
        labelled(out, "a day", "nothing: emissions are off until governance configures them")
    labelled(out, "minted", f"{about_cvy(stream.minted)} of {about_cvy(stream.allotted)} allotted")
    labelled(out, "votes", f"{about_cvy(stream.total_weight)} of stake")
    if found.shares:
        rows = [
            [str(one.task), format_cvy(one.share.weight), format_cvy(one.ready), format_cvy(one.share.minted)]
            for one in found.shares
        ]
        out.print(table("Tasks", ["task>", "votes CVY>", "to push>", "minted>"], rows))


@group.command()
@with_settings(*SIGNER)
def vote(
    task: Annotated[int, typer.Argument(min=1, help="Task id.")],
    amount: Annotated[
        str, typer.Argument(help="Stake to vote with, for instance 250CVY; 'all' that votes for no other task; 'none'.")
    ],
    *,
    settings: Settings,
    json: JsonOption = False,
) -> None:
    """Vote with the operator's stake for a task to receive emissions.

    Replaces the operator's vote for this task. Delegators vote through their operator. Signs with the signer's key.
    """
    from covey.cli.access import connect, operator_address, signer_wallet
    from covey.cli.commands.stake import send_calls, send_nothing
    from covey.cli.parse import wei
    from covey.client.emissions import vote_calls
    from covey.client.errors import NothingToDo

    weight = {"all": None, "none": 0}[amount] if amount in ("all", "none") else wei(amount)
    network = connect(settings)
    network.task(task)
    operator = operator_address(network, settings)
    facts = {"operator": operator, "task": task}
    try:
        calls = vote_calls(network, operator, task, weight)
    except NothingToDo as nothing:
        send_nothing(str(nothing), json, facts)
        return
    send_calls(signer_wallet(network, settings), calls, json, facts)


@group.command()
@with_settings(*SIGNER)
def push(
    task: Annotated[int | None, typer.Argument(min=1, help=r"Task id. \[default: all tasks]")] = None,
    *,
    settings: Settings,
    json: JsonOption = False,
) -> None:
    """Mint what tasks were allotted into their bounties. Any key can sign."""
    from covey.cli.access import connect, signer_wallet
    from covey.cli.commands.stake import send_calls, send_nothing
    from covey.client.emissions import push_calls
    from covey.client.errors import NothingToDo

    network = connect(settings)
    if task is not None:
        network.task(task)
    try:
        calls = push_calls(network, task)
    except NothingToDo as nothing:
        send_nothing(str(nothing), json, {"task": task})
        return
    send_calls(signer_wallet(network, settings), calls, json, {"task": task})


def add_to(app: typer.Typer) -> None:
    """Add this module's commands to the application."""
    app.add_typer(group, rich_help_panel="Stake")
