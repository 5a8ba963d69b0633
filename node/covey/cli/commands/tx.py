"""covey tx: what a node has sent and is about to send, out of its own database, whether it runs or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from covey.cli.settings import SIGNER, JsonOption, Settings, with_settings

if TYPE_CHECKING:
    from covey.client.tx_requests import ActionResult

group = typer.Typer(name="tx", help="List, bump and cancel a node's transactions.", no_args_is_help=True)
RequestArgument = Annotated[int, typer.Argument(min=1, help="number of the transaction in `covey tx list`")]
WaitOption = Annotated[float, typer.Option("--wait", min=0, help="seconds to wait for a running node to do it")]
_WISHES = (*SIGNER, "data_dir", "confirmations", "max_gas_price", "max_priority_fee", "bump_blocks")


@group.command("list")
@with_settings("data_dir")
def list_(
    *,
    settings: Settings,
    only_open: Annotated[bool, typer.Option("--open", help="only those that are not over")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="how many, newest first")] = 20,
    json: JsonOption = False,
) -> None:
    """List a node's transactions, newest first: what each is for, how far it is, what it offered, and why it failed."""
    from covey.cli.output import console, print_json
    from covey.client.tx_requests import facts_of, journal_store

    with journal_store(settings) as store:
        requests = [facts_of(store, request) for request in store.recent(limit, only_open=only_open)]
        foreign = [use for one in {facts["sender"] for facts in requests} if (use := store.last_foreign(one))]
    if json:
        print_json(requests)
        return
    out = console()
    for facts in requests:
        for line in _lines(facts):
            out.print(line, markup=False)
    if not requests:
        out.print("no transactions")
    for use in foreign:
        by = f"by {use.tx_hash} in block {use.block}" if use.tx_hash else "by somebody"
        out.print(f"[yellow]note[/]  nonce {use.nonce} of {use.sender} was used {by}, which this node did not send")


def _lines(facts: dict[str, Any]) -> list[str]:
    """A transaction for people: what it is, what was signed for it, and what there is to say."""
    attempts = facts["attempts"]
    lines = [f"{facts['id']:>5}  {facts['status']:<9}  {facts['what']}"]
    if attempts:
        newest = attempts[-1]
        offers = "1 offer" if len(attempts) == 1 else f"{len(attempts)} offers"
        where = f"block {facts['block']}, " if facts["block"] else ""
        shown = facts["transaction"] or newest["transaction"]
        lines.append(f"nonce {newest['nonce']}, {offers}, up to {newest['max_fee'] / 1e9:.3f} gwei; {where}{shown}")
    lines += [facts["outcome"]] if facts["outcome"] else []
    lines += [f"{facts['wish']} asked for"] if facts["wish"] else []
    return [lines[0], *(" " * 18 + line for line in lines[1:])]


@group.command()
@with_settings(*_WISHES)
def bump(request: RequestArgument, *, settings: Settings, wait: WaitOption = 60.0, json: JsonOption = False) -> None:
    """Offer an eighth more for a transaction that waits, at its nonce. A running node does it; else this command."""
    from covey.chain.tx.records import TxAction
    from covey.client.tx_requests import make_wish

    _tell(make_wish(settings, request, TxAction.BUMP, wait), json)


@group.command()
@with_settings(*_WISHES)
def cancel(request: RequestArgument, *, settings: Settings, wait: WaitOption = 60.0, json: JsonOption = False) -> None:
    """Give a transaction up: a transfer of nothing takes its nonce, for an eighth more. What is mined first wins."""
    from covey.chain.tx.records import TxAction
    from covey.client.tx_requests import make_wish

    _tell(make_wish(settings, request, TxAction.CANCEL, wait), json)


@group.command()
@with_settings("data_dir")
def retry(request: RequestArgument, *, settings: Settings, json: JsonOption = False) -> None:
    """Queue a transaction once more that was cancelled, failed or reverted; the node sends it if it is in time."""
    from covey.client.tx_requests import queue_again

    _tell(queue_again(settings, request), json)


def _tell(wished: ActionResult, json: bool) -> None:
    from covey.cli.output import console, print_json

    if json:
        print_json({"done_by": wished.by, **wished.facts})
        return
    console().print(f"{wished.facts['what']}: {wished.told}")


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.add_typer(group)
