"""`covey retire`: leave a network as an operator, step by step, without losing a duty or a reward."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from covey.cli.settings import OWNER, JsonOption, Settings, with_settings

if TYPE_CHECKING:
    from covey.client.retirement import Retirement


@with_settings(*OWNER, "data_dir")
def retire(
    *,
    settings: Settings,
    cancel: Annotated[bool, typer.Option("--cancel", help="Let the node take tasks again.")] = False,
    json: JsonOption = False,
) -> None:
    """Leave the network as an operator: run it again until it says that nothing is left.

    The node of this data folder takes no new task from now on and finishes its duties: keep it running. Each run claims
    what ended tasks owe, undelegates the operator's own stake once no task holds any of it, and withdraws what is
    unbonded. Delegators keep their stake and can undelegate at any time. Signs with the owner's key.
    """
    from dataclasses import asdict

    from covey.cli.access import connect, owner_wallet
    from covey.cli.output import console, print_json
    from covey.client.retirement import read_retirement, retirement_calls
    from covey.daemon.storage.retiring import mark_retiring, unmark_retiring

    out = console()
    folder = settings.data_dir
    if cancel:
        was = folder is not None and unmark_retiring(folder)
        if json:
            print_json({"cancelled": was})
        else:
            where = f"the node of {folder}" if folder is not None else "no data folder is configured: no node"
            out.print(f"{where} takes tasks again" if was else f"Nothing to do: {where} was not retiring")
        return
    network = connect(settings)
    wallet = owner_wallet(network, settings)
    state = read_retirement(network, wallet.address)
    if folder is not None:
        mark_retiring(folder)
    sent = []
    for one in wallet.send_all(retirement_calls(network, state)):
        sent.append({"purpose": one.purpose, "transaction": one.hash, "block": one.block, "gas": one.gas_used})
        if not json:
            out.print(f"{one.purpose}: block {one.block}, {one.gas_used:,} gas, {one.hash}")
    if sent:
        state = read_retirement(network, wallet.address)
    if json:
        print_json(
            {
                "operator": state.operator,
                "done": state.done,
                "duties": [asdict(one) for one in state.duties],
                "own_stake": state.own_stake,
                "delegated": state.others_stake,
                "unbonding": [
                    {"entry": one.name, "worth": one.entry.worth, "until": one.entry.until} for one in state.entries
                ],
                "transactions": sent,
            }
        )
        return
    _show(state, marked=folder is not None)


def _show(state: Retirement, *, marked: bool) -> None:
    """Say what is left to wait for, and what to do then."""
    from covey.chain.units import about_cvy, format_time
    from covey.cli.output import console, labelled

    out = console()
    if marked:
        labelled(out, "node", "takes no new task, and finishes its duties: keep it running until its tasks have ended")
    else:
        labelled(out, "node", "no data_dir is configured here: run `covey retire` on the machine of the node")
    for duty in state.duties:
        latest = format_time(duty.latest)
        labelled(out, "task", f"{duty.task} holds {about_cvy(duty.held)} until it ends, at {latest} UTC at the latest")
    if state.own_stake:
        labelled(out, "stake", f"{about_cvy(state.own_stake)} of your own: undelegated once no task holds stake")
    for one in state.entries:
        until = format_time(one.entry.until)
        labelled(out, "unbonding", f"{about_cvy(one.entry.worth)} until {until} UTC, slashable until then")
    if state.others_stake:
        labelled(out, "delegated", f"{about_cvy(state.others_stake)} of others: theirs, to undelegate at any time")
    if state.done:
        out.print("Nothing of yours is left in the pool: the node can be stopped.")
    else:
        next_time = max((d.latest for d in state.duties), default=0) or max(
            (e.entry.until for e in state.entries), default=0
        )
        when = f" after {format_time(next_time)} UTC, or earlier if the tasks have ended" if state.duties else ""
        if not state.duties and next_time:
            when = f" after {format_time(next_time)} UTC"
        out.print(f"Run `covey retire` again{when}.")


def add_to(app: typer.Typer) -> None:
    """Add this module's commands to the application."""
    app.command(rich_help_panel="Stake")(retire)
