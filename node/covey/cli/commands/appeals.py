"""`covey appeal`: contest medians of a sealed task and list its contests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from covey.cli.settings import CHAIN, OWNER, JsonOption, Settings, with_settings

if TYPE_CHECKING:
    from covey.client.network import Network
    from covey.daemon.state.world import Task

group = typer.Typer(name="appeal", help="Contest the medians of a sealed task.", no_args_is_help=True)
TaskArgument = Annotated[int, typer.Argument(min=1, help="Task id.")]


@group.command()
@with_settings(*OWNER)
def contest(
    task: TaskArgument,
    lane: Annotated[int, typer.Argument(min=0, help="Lane of the entry whose median is wrong.")],
    *,
    settings: Settings,
    json: JsonOption = False,
) -> None:
    """Contest the median of an entry.

    Medians are contested by the word: the 16 lanes that share a storage word are scored again together. The contest
    posts a bond. Signs with the owner's key.
    """
    from covey.chain.units import format_cvy, format_time
    from covey.cli.access import connect, owner_wallet
    from covey.cli.errors import InputError
    from covey.cli.output import console, print_json
    from covey.protocol.merkle import proof
    from covey.protocol.scores import LANES

    network = connect(settings)
    state = _read_task(network, task)
    appeals, committee = network.contracts.appeals, state.committee
    if committee is None or not committee.payable_at:
        raise InputError(f"task {task} is not settled yet: there is no median to contest")
    if not state.params.windows.appeal:
        raise InputError(f"task {task} cannot be contested: it is not sealed")
    if network.now() >= committee.payable_at:
        ended = format_time(committee.payable_at)
        raise InputError(f"task {task} cannot be contested: its appeal window ended at {ended} UTC")
    if lane >= len(state.lanes):
        raise InputError(f"task {task} has {len(state.lanes)} entries: there is no lane {lane}")
    word = lane // LANES
    if appeals.contest_at(task, word):
        raise InputError(f"the word of lane {lane} is contested already")
    page, index = divmod(word, state.words_per_page)
    medians, bond = committee.pages[page].medians, appeals.bond_of(task)
    wallet = owner_wallet(network, settings)
    balance = network.contracts.token.balance_of(wallet.address)
    if balance < bond:
        raise InputError(
            f"{wallet.address} holds {format_cvy(balance)} CVY, less than the bond of {format_cvy(bond)} CVY"
        )
    wallet.send(network.contracts.token.approve(appeals.address, bond))
    receipt = wallet.send(appeals.contest(task, word, medians[index], proof(medians, index)))
    if json:
        print_json({"task": task, "word": word, "bond": bond, "transaction": receipt.tx_hash})
        return
    out = console()
    out.print(f"Contested word {word} of task {task} with a bond of {format_cvy(bond)} CVY ({receipt.tx_hash}).")
    out.print("If a median of the word changes, you get the bond back with an award.")
    out.print("Otherwise the bond pays the validators who score again, and the tips of the steps.")


@group.command("list")
@with_settings(*CHAIN)
def list_contests(task: TaskArgument, *, settings: Settings, json: JsonOption = False) -> None:
    """List the contests of a task, and the phase of its appeal."""
    from covey.chain.units import format_cvy, format_time
    from covey.cli.access import connect
    from covey.cli.output import console, print_json, table

    network = connect(settings)
    state = _read_task(network, task)
    appeal = state.appeal
    if appeal is None:
        if json:
            print_json({"task": task, "phase": None, "contests": []})
        else:
            console().print(f"Task {task} has no contests.")
        return
    phase = appeal.phase(state.params, network.now()).value
    if json:
        contests = [
            {
                "word": contest.word,
                "appellant": contest.appellant,
                "bond": appeal.bond,
                "resolved": contest.resolved,
                "moved": contest.moved if contest.resolved else None,
                "to_round": contest.to_pool,
            }
            for contest in appeal.contests
        ]
        print_json({"task": task, "phase": phase, "deadline": appeal.deadline, "contests": contests})
        return
    outcomes = {None: "open", True: "changed", False: "unchanged"}
    rows = [
        [
            str(contest.word),
            contest.appellant,
            format_cvy(appeal.bond),
            outcomes[contest.moved if contest.resolved else None],
        ]
        for contest in appeal.contests
    ]
    title = f"Appeal of task {task}: {phase}, deadline {format_time(appeal.deadline)} UTC"
    console().print(table(title, ["word>", "appellant", "bond, CVY>", "outcome"], rows))


def _read_task(network: Network, task_id: int) -> Task:
    """A task's state from its events. Raises InputError for an unknown id."""
    from covey.cli.errors import InputError
    from covey.daemon.state.folds import apply_event
    from covey.daemon.state.world import ChainState

    state = ChainState()
    for event in network.events():
        apply_event(state, event)
    if task_id not in state.tasks:
        raise InputError(f"there is no task {task_id}")
    return state.tasks[task_id]


def add_to(app: typer.Typer) -> None:
    """Add this module's commands to the application."""
    app.add_typer(group, rich_help_panel="Tasks")
