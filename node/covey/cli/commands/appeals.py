"""covey appeal: contest a median word of a sealed task, and see what became of contests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from covey.cli.settings import CHAIN, OWNER, JsonOption, Settings, with_settings

if TYPE_CHECKING:
    from covey.client.network import Network
    from covey.daemon.state.world import Task

group = typer.Typer(name="appeal", help="Contest medians of sealed tasks.", no_args_is_help=True)
TaskArgument = Annotated[int, typer.Argument(min=1, help="task id")]


@group.command()
@with_settings(*OWNER)
def contest(
    task: TaskArgument,
    lane: Annotated[int, typer.Argument(min=0, help="lane of the entry whose median is wrong")],
    *,
    settings: Settings,
    json: JsonOption = False,
) -> None:
    """Contest the median of an entry, and of the up to 15 that share its word, with a bond. Uses the owner's key."""
    from covey.chain.units import format_cvy, format_time
    from covey.cli.access import connect, owner_wallet
    from covey.cli.errors import InputError
    from covey.cli.output import console, print_json
    from covey.protocol.merkle import proof
    from covey.protocol.scores import LANES

    network = connect(settings)
    told = _task(network, task)
    appeals, c = network.contracts.appeals, told.committee
    if c is None or not c.payable_at:
        raise InputError(f"task {task} is not settled yet: there is no median to contest")
    if not told.params.windows.appeal or network.now() >= c.payable_at:
        raise InputError(
            f"task {task} cannot be contested: "
            + (
                "it is not sealed"
                if not told.params.windows.appeal
                else f"its appeal window was over at {format_time(c.payable_at)} UTC"
            )
        )
    if lane >= len(told.lanes):
        raise InputError(f"task {task} has {len(told.lanes)} entries: there is no lane {lane}")
    word = lane // LANES
    if appeals.contest_at(task, word):
        raise InputError(f"the word of lane {lane} is contested already")
    page, place = divmod(word, told.words_a_page)
    medians, bond = c.pages[page].medians, appeals.bond_of(task)
    wallet = owner_wallet(network, settings)
    held = network.contracts.token.balance_of(wallet.address)
    if held < bond:
        raise InputError(
            f"the bond is {format_cvy(bond)} CVY and {wallet.address} holds {format_cvy(held)}: send it some"
        )
    wallet.send(network.contracts.token.approve(appeals.address, bond))
    receipt = wallet.send(appeals.contest(task, word, medians[place], proof(medians, place)))
    if json:
        print_json({"task": task, "word": word, "bond": bond, "transaction": receipt.tx_hash})
        return
    out = console()
    out.print(f"Word {word} of task {task} is contested with a bond of {format_cvy(bond)} CVY ({receipt.tx_hash}).")
    out.print("It comes back with a premium if one of its medians moves; else it pays those who scored again.")


@group.command("list")
@with_settings(*CHAIN)
def list_contests(task: TaskArgument, *, settings: Settings, json: JsonOption = False) -> None:
    """Show the contests of a task and what its appeal waits for."""
    from covey.chain.units import format_cvy, format_time
    from covey.cli.access import connect
    from covey.cli.output import console, print_json, table

    network = connect(settings)
    told = _task(network, task)
    appeal = told.appeal
    if appeal is None:
        if json:
            print_json({"task": task, "phase": None, "contests": []})
        else:
            console().print(f"Nothing of task {task} is contested.")
        return
    phase = appeal.phase(told.params, network.now()).value
    facts = [
        {
            "word": one.word, "appellant": one.appellant, "bond": appeal.bond, "resolved": one.resolved,
            "moved": one.moved if one.resolved else None, "to_round": one.to_pool,
        }
        for one in appeal.contests
    ]  # fmt: skip
    if json:
        print_json({"task": task, "phase": phase, "deadline": appeal.deadline, "contests": facts})
        return
    answers = {None: "open", True: "moved", False: "stands"}
    rows = [
        [str(one.word), one.appellant, format_cvy(appeal.bond), answers[one.moved if one.resolved else None]]
        for one in appeal.contests
    ]
    title = f"Appeal of task {task}: {phase}, settled or failed by {format_time(appeal.deadline)} UTC"
    console().print(table(title, ["word>", "contested by", "bond, CVY>", "outcome"], rows))


def _task(network: Network, task_id: int) -> Task:
    """The task as its events tell it. Raises InputError if there is none of that id."""
    from covey.cli.errors import InputError
    from covey.daemon.state.world import ChainState

    world = ChainState()
    for event in network.events():
        world.apply(event)
    if task_id not in world.tasks:
        raise InputError(f"there is no task {task_id}")
    return world.tasks[task_id]


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.add_typer(group)
