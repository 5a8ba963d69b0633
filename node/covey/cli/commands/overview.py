"""`covey operators`, `position` and `network`: what a network consists of, and what one account holds in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from covey.cli.settings import CHAIN, OWNER, JsonOption, Settings, with_settings

if TYPE_CHECKING:
    from covey.client.operators import OperatorView
    from covey.client.parameters import Parameter
    from covey.client.positions import Position


@with_settings(*CHAIN)
def operators(*, settings: Settings, json: JsonOption = False) -> None:
    """List all operators: stake, commission, eligibility, and their record.

    The record is counted from the events: seats whose scores were revealed, reported faults, slashes and rewards.
    `covey pool show --operator ADDRESS` shows one pool.
    """
    from dataclasses import asdict

    from covey.cli.access import connect
    from covey.cli.output import console, print_json

    network = connect(settings)
    found = network.operators()
    if json:
        print_json(
            [
                {
                    "operator": one.address,
                    "eligible": one.eligible,
                    **asdict(one.pool),
                    "record": {**asdict(one.record), "faults": one.record.faults},
                }
                for one in found
            ]
        )
        return
    out = console()
    if not found:
        out.print("no operators yet: open a pool with `covey stake`")
        return
    out.print(_operators_table(found))


def _operators_table(found: list[OperatorView]) -> object:
    from covey.chain.units import format_cvy
    from covey.cli.output import table

    rows = []
    for one in sorted(found, key=lambda one: -one.pool.active_tokens):
        pool, record = one.pool, one.record
        state = "eligible" if one.eligible else ("jailed" if pool.jailed_until else "not eligible")
        rows.append(
            [
                one.address,
                format_cvy(pool.active_tokens),
                format_cvy(pool.self_bond),
                f"{pool.commission_bps / 100:g}%",
                state,
                str(record.seats),
                str(record.faults),
                format_cvy(record.slashed),
                format_cvy(record.earned),
            ]
        )
    columns = ["operator", "stake CVY>", "own>", "commission>", "state", "seats>", "faults>", "slashed>", "earned>"]
    return table("Operators", columns, rows)


@with_settings(*OWNER)
def position(
    account: Annotated[str | None, typer.Argument(help=r"Account to show. \[default: the owner's]")] = None,
    *,
    settings: Settings,
    json: JsonOption = False,
) -> None:
    """Show what an account holds: stake and its gain, unbonding stake, credits, tokens.

    Each pool with the value of the shares and what they gained: rewards less slashes. Unbonding stake with the time
    when it is free. Credits are what the contracts owe the account.
    """
    from dataclasses import asdict

    from covey.cli.access import connect, owner_address
    from covey.cli.output import print_json
    from covey.cli.parse import address

    holder = address(account) if account is not None else None
    network = connect(settings)
    found = network.position(holder if holder is not None else owner_address(settings))
    if json:
        print_json(
            {
                "account": found.account,
                "tokens": found.tokens,
                "pools": [asdict(one) for one in found.pools],
                "entries": [
                    {
                        "entry": one.name,
                        "worth": one.entry.worth,
                        "until": one.entry.until,
                        "moved_to": one.entry.moved_to if one.entry.moved else None,
                    }
                    for one in found.entries
                ],
                "credits": found.credits,
                "total": found.total,
            }
        )
        return
    _show_position(found, network.now())


def _show_position(found: Position, now: int) -> None:
    from covey.chain.units import about_cvy, format_cvy, format_time
    from covey.cli.output import console, labelled, table

    out = console()
    labelled(out, "account", found.account)
    labelled(out, "total", about_cvy(found.total))
    labelled(out, "tokens", about_cvy(found.tokens))
    credit = "; `covey withdraw` pays them out" if found.credits else ""
    labelled(out, "credits", f"{about_cvy(found.credits)}{credit}")
    if found.pools:
        rows = [[one.operator, format_cvy(one.value), format_cvy(one.gained)] for one in found.pools]
        out.print(table("Pools", ["operator", "value CVY>", "gained>"], rows))
    if found.entries:
        rows = []
        for one in found.entries:
            what = f"moved to {one.entry.moved_to}" if one.entry.moved else "unbonds"
            when = format_time(one.entry.until)
            free = (
                "free now: `covey withdraw`" if one.entry.until <= now else f"free at {when} UTC, slashable until then"
            )
            rows.append([one.name, format_cvy(one.entry.worth), what, free])
        out.print(table("Left pools, not withdrawn", ["entry", "worth CVY>", "state", "when"], rows))
    if not found.pools and not found.entries:
        out.print("It holds no stake.")


@with_settings(*CHAIN)
def network(*, settings: Settings, json: JsonOption = False) -> None:
    """Show every parameter of the network with its unit, and the addresses of its contracts."""
    from dataclasses import asdict

    from covey.cli.access import connect
    from covey.cli.output import console, labelled, print_json, table

    chain = connect(settings)
    found = chain.parameters()
    contracts = {name: record.address for name, record in sorted(chain.deployment.contracts.items())}
    if json:
        print_json(
            {"chain_id": chain.deployment.chain_id, "contracts": contracts, "parameters": [asdict(p) for p in found]}
        )
        return
    out = console()
    labelled(out, "chain", str(chain.deployment.chain_id))
    out.print(table("Contracts", ["contract", "address"], list(contracts.items())))
    rows = [[f"{one.contract}.{one.name}", _value(one), one.meaning] for one in found]
    out.print(table("Parameters", ["parameter", "value>", "meaning"], rows))


def _value(parameter: Parameter) -> str:
    """The value with its unit, as people write it."""
    from covey.chain.units import cvy
    from covey.cli.views.durations import format_duration

    value, unit = parameter.value, parameter.unit
    if unit == "wei":
        return cvy(value)
    if unit == "s":
        return format_duration(value)
    if unit == "bps":
        return f"{value / 100:g}%"
    if unit == "1e-18":
        return f"{value / 10**16:g}%"
    return f"{value}{' score units' if unit == 'score' else ''}"


def add_to(app: typer.Typer) -> None:
    """Add this module's commands to the application."""
    for command in (operators, position):
        app.command(rich_help_panel="Stake")(command)
    app.command(rich_help_panel="Network")(network)
