"""`covey audit`: compare deployed bytecode with the sources, and payments with the protocol's rules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from covey.cli.settings import CHAIN, STORE, JsonOption, Settings, with_settings

group = typer.Typer(
    name="audit",
    help="Check a deployment against its sources, and its payments against the rules.",
    no_args_is_help=True,
)

SourcesOption = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help=r"Checkout of covey. \[default: the compiler input in the deployment folder]"),
]
ContractOption = Annotated[
    list[str] | None, typer.Option(metavar="NAME", help="Check only this contract. May be repeated.")
]
TasksArgument = Annotated[
    list[int] | None, typer.Argument(metavar="task", help=r"Task ids. \[default: all tasks]", min=1)
]


@group.command()
@with_settings(*CHAIN)
def bytecode(
    *, sources: SourcesOption = None, contract: ContractOption = None, settings: Settings, json: JsonOption = False
) -> None:
    """Recompile the contracts and compare every byte with the deployed code."""
    from dataclasses import asdict

    from covey.audit.bytecode import check_bytecode, summary
    from covey.audit.record import AuditError
    from covey.audit.sources import from_checkout, from_deployment
    from covey.chain.errors import ChainError
    from covey.cli.access import connect
    from covey.cli.errors import CliError, InputError
    from covey.cli.output import console, marked, print_json

    network = connect(settings)
    assert settings.deployment is not None  # connect() has loaded it
    records = network.deployment.contracts
    progress = console(stderr=True)
    try:
        chosen = [records[name] for name in contract or records if name in records]
        whole = from_deployment(settings.deployment) if sources is None else from_checkout(sources, chosen)
        results = check_bytecode(network.rpc, network.deployment, whole, contract or (), progress.print)
    except AuditError as error:
        raise InputError(str(error)) from None
    except ChainError as error:
        raise CliError(str(error)) from None
    if json:
        print_json({"chain": network.deployment.chain_id, "contracts": [asdict(result) for result in results]})
    else:
        out = console()
        for result in results:
            colour = "red" if result.differences else "green"
            out.print(marked(f"[{colour}]{{}}[/] {{}}: {{}}", result.name, result.address, summary(result)))
            for line in result.differences[1:]:
                out.print(f"  {line}")
            for line in result.unavailable:
                out.print(f"  not checked: {line}")
    wrong = [result for result in results if result.differences]
    if not json:
        unchecked = sum(len(result.unavailable) for result in results)
        note = f"; {unchecked} checks were not possible" if unchecked else ""
        out.print(f"{len(results) - len(wrong)} of {len(results)} contracts match their sources{note}.")
    if wrong:
        raise CliError(f"{len(wrong)} of {len(results)} contracts differ; {wrong[0].name}: {wrong[0].differences[0]}")


@group.command()
@with_settings(*CHAIN)
def replay(tasks: TasksArgument = None, *, settings: Settings, json: JsonOption = False) -> None:
    """Recompute every seat, median, gain and payout from events and compare them with the chain."""
    from covey.audit.record import AuditError, gather
    from covey.audit.replay import replay as replay_events
    from covey.chain.errors import ChainError
    from covey.cli.access import connect
    from covey.cli.errors import CliError, InputError
    from covey.cli.output import console, marked, print_json

    network = connect(settings)
    try:
        events = network.events()
        known = gather(events)
        if missing := sorted(set(tasks or ()) - set(known)):
            raise InputError(f"there is no task {missing[0]}; there are {len(known)} tasks")
        audit = replay_events(events, network.domain, tasks or None)
    except AuditError as error:
        raise InputError(str(error)) from None
    except ChainError as error:
        raise CliError(str(error)) from None
    differences = [str(difference) for difference in audit.differences]
    count = len(tasks) if tasks else len(known)
    if json:
        facts = {"tasks": count, "checked": audit.checked, "differences": differences}
        print_json({"chain": network.deployment.chain_id, **facts, "unclaimed": audit.unclaimed})
    else:
        out = console()
        for line in differences:
            out.print(marked("[red]differs[/red] {}", line))
        for line in audit.unclaimed:
            out.print(f"not claimed yet: {line}")
        out.print(f"{audit.checked} figures of {count} tasks replayed, {len(differences)} differ from the rules.")
    if differences:
        raise CliError(f"the chain differs from the rules: {differences[0]}")


@group.command("all")
@with_settings(*CHAIN, *STORE, "peers")
def all_(*, sources: SourcesOption = None, settings: Settings, json: JsonOption = False) -> None:
    """Check the bytecode, every figure of every task, and the evidence, and give one verdict.

    The exit code is 0 only if everything was checked and agrees.
    """
    from covey.cli.access import connect, content_reader
    from covey.cli.errors import CliError
    from covey.cli.output import console, print_json
    from covey.client.audits import audit_all, verdict

    network = connect(settings)
    assert settings.deployment is not None  # connect() has loaded it
    progress = console(stderr=True)

    def report(line: str) -> None:
        progress.print(line, markup=False)

    with content_reader(settings) as reader:
        parts = audit_all(network, settings.deployment, sources=sources, reader=reader, progress=report)
    if json:
        facts = {"chain": network.deployment.chain_id, "parts": [part.as_dict() for part in parts]}
        print_json({**facts, "verdict": verdict(parts)})
    else:
        out = console()
        for part in parts:
            out.print(f"{part.name:<10}{part.verdict}" + (f": {part.summary}" if part.summary else ""), markup=False)
            for line in part.differences:
                out.print(f"          differs: {line}", markup=False)
            for line in part.unchecked:
                out.print(f"          not checked: {line}", markup=False)
        out.print(verdict(parts), markup=False)
    if any(part.verdict != "agrees" for part in parts):
        raise CliError(verdict(parts))


def add_to(app: typer.Typer) -> None:
    """Add this module's commands to the application."""
    app.add_typer(group, rich_help_panel="Audit")
