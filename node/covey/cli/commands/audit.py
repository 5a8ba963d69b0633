"""covey audit: is what runs on the chain what the sources say, and what it decided what the rules say?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from covey.cli.settings import CHAIN, JsonOption, Settings, with_settings

group = typer.Typer(
    name="audit",
    help="Check a deployment against its sources, and what it paid against the rules.",
    no_args_is_help=True,
)

SourcesOption = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="a checkout of covey; not given: the compiler input beside the deployment"),
]
ContractOption = Annotated[list[str] | None, typer.Option(metavar="NAME", help="look at this one only; repeatable")]


@group.command()
@with_settings(*CHAIN)
def bytecode(
    *, sources: SourcesOption = None, contract: ContractOption = None, settings: Settings, json: JsonOption = False
) -> None:
    """Compile the contracts of a deployment again and compare every byte of their code with the chain's."""
    from dataclasses import asdict

    from covey.audit.bytecode import check_bytecode, summary
    from covey.audit.record import AuditError
    from covey.audit.sources import from_checkout, from_deployment
    from covey.chain.errors import ChainError
    from covey.cli.access import connect
    from covey.cli.errors import CliError, InputError
    from covey.cli.output import console, print_json

    network = connect(settings)
    assert settings.deployment is not None  # connect has read it
    records = network.deployment.contracts
    progress = console(stderr=True)
    try:
        chosen = [records[name] for name in contract or records if name in records]
        whole = from_deployment(settings.deployment) if sources is None else from_checkout(sources, chosen)
        found = check_bytecode(network.rpc, network.deployment, whole, contract or (), progress.print)
    except AuditError as error:
        raise InputError(str(error)) from None
    except ChainError as error:
        raise CliError(str(error)) from None
    if json:
        print_json({"chain": network.deployment.chain_id, "contracts": [asdict(checked) for checked in found]})
    else:
        out = console()
        for checked in found:
            colour = "red" if checked.differences else "green"
            out.print(f"[{colour}]{checked.name}[/{colour}] {checked.address}: {summary(checked)}")
            for line in checked.differences[1:]:
                out.print(f"  {line}")
            for line in checked.unavailable:
                out.print(f"  not checked: {line}")
    wrong = [checked for checked in found if checked.differences]
    if wrong:
        raise CliError(f"{len(wrong)} of {len(found)} contracts differ; {wrong[0].name}: {wrong[0].differences[0]}")


TasksArgument = Annotated[
    list[int] | None, typer.Argument(metavar="[TASK]...", help="task ids; none: all tasks", min=1)
]


@group.command()
@with_settings(*CHAIN)
def replay(tasks: TasksArgument = None, *, settings: Settings, json: JsonOption = False) -> None:
    """Recompute every seat, median, gain and payout from the chain's events, and compare with what was decided."""
    from covey.audit.record import AuditError, gather
    from covey.audit.replay import replay as replayed
    from covey.chain.errors import ChainError
    from covey.cli.access import connect
    from covey.cli.errors import CliError, InputError
    from covey.cli.output import console, print_json

    network = connect(settings)
    try:
        events = network.events()
        known = gather(events)
        if missing := sorted(set(tasks or ()) - set(known)):
            raise InputError(f"there is no task {missing[0]}; tasks so far: {len(known)}")
        found = replayed(events, network.domain, tasks or None)
    except AuditError as error:
        raise InputError(str(error)) from None
    except ChainError as error:
        raise CliError(str(error)) from None
    differences = [str(one) for one in found.differences]
    count = len(tasks) if tasks else len(known)
    if json:
        facts = {"tasks": count, "checked": found.checked, "differences": differences}
        print_json({"chain": network.deployment.chain_id, **facts, "unclaimed": found.unclaimed})
    else:
        out = console()
        for line in differences:
            out.print(f"[red]differs[/red] {line}")
        for line in found.unclaimed:
            out.print(f"not claimed yet: {line}")
        out.print(f"{found.checked} figures of {count} tasks replayed, {len(differences)} differ from the rules.")
    if differences:
        raise CliError(f"the chain and the rules disagree: {differences[0]}")


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.add_typer(group)
