"""`covey task`: post, list and show tasks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from covey.cli.settings import CHAIN, OWNER, STORE, JsonOption, Settings, with_settings

if TYPE_CHECKING:
    from covey.client.tasks import TaskView
    from covey.protocol.types import TaskParams

group = typer.Typer(name="task", help="Post, list and show tasks.", no_args_is_help=True)
TaskArgument = Annotated[int, typer.Argument(min=1, help="Task id.")]


@group.command()
@with_settings(*OWNER, *STORE, "bases", table="task")
def create(
    spec: Annotated[Path, typer.Argument(help="JSON file with the task spec.")],
    *,
    settings: Settings,
    yes: Annotated[
        bool, typer.Option("--yes", help="Post it even if nodes with default settings miss a window.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Post a task.

    Shows the timetable and the whole cost, pins the spec in your block store and pays the bounty and the bond. Signs
    with the owner's key. A spec that trainers or validators could not meet is refused; its base must be on this machine
    to check that.
    """
    from covey.chain.units import about_cvy
    from covey.cli.access import connect, open_block_store, owner_wallet
    from covey.cli.errors import InputError
    from covey.cli.output import console, marked, print_json
    from covey.client.errors import InvalidInput
    from covey.client.posting import check_spec, read_spec, task_params
    from covey.client.task_windows import unusable

    document = read_spec(spec)
    check_spec(document, settings.bases, None if settings.data_dir is None else settings.data_dir / "bases")
    network = connect(settings)
    try:
        params = task_params(network, document, **settings.task.model_dump())
    except InvalidInput as error:
        option = (error.parameter or "").replace("_", "-")
        text = str(error)
        raise InputError(f"--{option}{text[len(option) :]}" if option else text) from None
    if (short := unusable(params.windows)) and not yes:
        raise InputError(
            f"nobody would work on this task: {', '.join(short)}; make these windows longer, or give --yes to post it"
        )
    wallet = owner_wallet(network, settings)
    if not json:
        _show_plan(params, network.now(), wallet.address)
    with open_block_store(settings) as store:
        posted = network.post_task(wallet, store, document, params)
    if json:
        print_json({"task": posted.id, "spec": posted.spec_cid, "transaction": posted.tx_hash, "bounty": params.bounty})
        return
    out = console()
    out.print(
        marked(
            "Posted [bold]task {}[/bold] with a bounty of {} ({}).",
            posted.id,
            about_cvy(params.bounty),
            posted.tx_hash,
        )
    )
    out.print(f"Its spec is {posted.spec_cid}. Keep your block store reachable until all entries are committed.")
    out.print(f"Follow it with `covey task show {posted.id}`.")


def _show_plan(params: TaskParams, now: int, payer: str) -> None:
    """Show what will be signed: the timetable of the task, and what it costs."""
    from covey.chain.units import about_cvy, format_time
    from covey.cli.output import console, labelled, table
    from covey.cli.views.durations import format_duration
    from covey.client.task_windows import timetable

    out = console()
    rows = [
        [name.replace("_", "-"), format_duration(length), format_time(end)]
        for name, length, end in timetable(params.windows, now)
    ]
    out.print(table("Timetable, if it is posted now", ["window", "length>", "until (UTC)"], rows))
    bounty, bond, fee = about_cvy(params.bounty), about_cvy(params.bond), params.entry_fee
    returned = "the bond comes back less tips, unless you break the task"
    total = about_cvy(params.bounty + params.bond)
    labelled(out, "cost", f"{total} from {payer}: a bounty of {bounty} and a bond of {bond}; {returned}")
    labelled(out, "entries", f"at most {params.max_entries}; each pays {about_cvy(fee)} to {about_cvy(4 * fee)}")
    labelled(out, "stake", f"the task is refunded if less than {about_cvy(params.min_stake)} is earmarked for it")


@group.command("list")
@with_settings(*CHAIN)
def list_tasks(
    *,
    settings: Settings,
    running: Annotated[bool, typer.Option("--running", help="List only tasks that have not ended.")] = False,
    json: JsonOption = False,
) -> None:
    """List tasks, newest first."""
    from covey.chain.units import format_cvy, format_time
    from covey.cli.access import connect
    from covey.cli.output import console, print_json, table

    network = connect(settings)
    views = [view for view in network.tasks() if not running or view.running]
    if json:
        print_json([_facts(view) for view in views])
        return
    if not views:
        console().print("No tasks yet." if not running else "No running tasks.")
        return
    rows = [
        [
            str(view.id),
            view.phase.value,
            format_time(view.deadline or 0),
            format_cvy(view.params.bounty, 0),
            f"{view.state.revealed}/{view.state.committed}",
            format_cvy(view.state.total_earmarked, 0),
            view.state.outcome.name.lower(),
        ]
        for view in views
    ]
    columns = ["task>", "phase", "until (UTC)", "bounty>", "revealed>", "earmarked>", "outcome"]
    console().print(table("Tasks (amounts in CVY; revealed of committed entries)", columns, rows))


@group.command()
@with_settings(*CHAIN, *STORE, "peers")
def show(task: TaskArgument, *, settings: Settings, json: JsonOption = False) -> None:
    """Show a task's parameters, schedule, state and spec."""
    from covey.chain.units import format_cvy, format_time
    from covey.cli.access import connect
    from covey.cli.output import console, marked, print_json, table

    network = connect(settings)
    view = network.task(task)
    spec = _fetch_spec(settings, view)
    if json:
        print_json({**_facts(view), "spec": spec})
        return
    out = console()
    params, schedule, state = view.params, view.schedule, view.state
    until = format_time(view.deadline or 0)
    out.print(marked("[bold]Task {}[/bold] by {}: {}, until {}", task, state.creator, view.phase.value, until))
    rows = [
        ["bounty", f"{format_cvy(params.bounty)} CVY, of which {params.validator_bps / 100:g}% for validators"],
        ["entry fee", f"{format_cvy(params.entry_fee)} CVY for the first of at most {params.max_entries} entries"],
        [
            "rules",
            f"K = {params.target_seats}, floor = {params.floor_score}, h = {params.h}, τ = {params.tau}, "
            f"p = {params.power}",
        ],
        ["entries", f"{state.committed} committed, {state.revealed} revealed"],
        ["stake", f"{format_cvy(state.total_earmarked)} CVY earmarked, at least {format_cvy(params.min_stake)} needed"],
        ["outcome", state.outcome.name.lower()],
        ["entries until", format_time(schedule.entry_commit_end)],
        ["enrolment until", format_time(schedule.enrol_end)],
        ["reveals until", format_time(schedule.entry_reveal_end)],
        ["expires", format_time(schedule.expires_at)],
    ]
    out.print(table("", ["", ""], rows))
    if spec is None:
        tried = [*settings.peers, *([settings.store_location] if settings.store_location else [])]
        if tried:
            out.print(f"The spec could not be fetched: none of {', '.join(tried)} has it.", markup=False)
        else:
            out.print("The spec was not fetched: give gateways with --peers, or a store that has it with --store.")
        return
    out.print(f"base {spec['base']['name']} ({spec['base']['digest'][:16]}…), domain: {spec['domain']}")
    strata = [
        [stratum["name"], f"{stratum['weight'] / 100:g}%", str(stratum["min_records"])] for stratum in spec["strata"]
    ]
    out.print(table("", ["stratum", "weight>", "minimum records>"], strata))


def _fetch_spec(settings: Settings, view: TaskView) -> dict[str, Any] | None:
    """The task's spec from the block store or the peers; None if no source has it."""
    from covey.cli.access import fetch_spec

    document = fetch_spec(settings, view.params.spec_digest)
    return None if document is None else document.model_dump(mode="json", exclude_none=True)


def _facts(view: TaskView) -> dict[str, Any]:
    from dataclasses import asdict

    params = asdict(view.params)
    params["kind"], params["evaluation"] = view.params.kind.name.lower(), view.params.evaluation.name.lower()
    state = asdict(view.state)
    state["outcome"] = view.state.outcome.name.lower()
    return {
        "task": view.id,
        "phase": view.phase.value,
        "until": view.deadline,
        "params": params,
        "schedule": asdict(view.schedule),
        "state": state,
    }


def add_to(app: typer.Typer) -> None:
    """Add this module's commands to the application."""
    app.add_typer(group, rich_help_panel="Tasks")
