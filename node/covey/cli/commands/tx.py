"""`covey tx`: list, bump, cancel and retry a node's transactions, whether the node runs or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from covey.cli.settings import SIGNER, JsonOption, Settings, with_settings

if TYPE_CHECKING:
    from pathlib import Path

    from covey.client.tx_requests import ActionResult, TransactionView

group = typer.Typer(name="tx", help="List, bump, cancel and retry a node's transactions.", no_args_is_help=True)
NumberArgument = Annotated[int, typer.Argument(min=1, help="Number of the transaction in `covey tx list`.")]
WaitOption = Annotated[
    float, typer.Option("--wait", min=0, metavar="SECONDS", help="Time to wait for a running node to do it.")
]
_SIGNING = (*SIGNER, "data_dir", "confirmations", "max_gas_price", "max_priority_fee", "bump_blocks")


@group.command("list")
@with_settings("data_dir")
def list_(
    *,
    settings: Settings,
    only_open: Annotated[bool, typer.Option("--open", help="List only transactions that are not finished.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Maximum number of transactions.")] = 20,
    json: JsonOption = False,
) -> None:
    """List a node's transactions, newest first.

    Shows the purpose, status, offered fees and, for failed transactions, the reason.
    """
    from covey.cli.output import console, marked, print_json
    from covey.client.tx_requests import external_uses, list_transactions

    folder = _data_dir(settings)
    transactions = list_transactions(folder, limit=limit, only_open=only_open)
    external = external_uses(folder, {transaction.sender for transaction in transactions})
    if json:
        print_json([transaction.as_dict() for transaction in transactions])
        return
    out = console()
    for transaction in transactions:
        for line in _lines(transaction):
            out.print(line)
    if not transactions:
        out.print("no transactions")
    for use in external:
        by = f"by {use.tx_hash} in block {use.block}" if use.tx_hash else "by an unknown transaction"
        text = "[yellow]note[/]  nonce {} of {} was used {}, which this node did not send"
        out.print(marked(text, use.nonce, use.sender, by))


def _data_dir(settings: Settings) -> Path:
    """The node's data directory. Raises InputError if none is set."""
    from covey.cli.errors import InputError

    if settings.data_dir is None:
        raise InputError("no node: give --data-dir, COVEY_DATA_DIR or a settings file with data_dir")
    return settings.data_dir


def _lines(transaction: TransactionView) -> list[str]:
    """A transaction as text: its purpose, its newest attempt, its outcome and an open request."""
    attempts = transaction.attempts
    lines = [f"{transaction.id:>5}  {transaction.status:<9}  {transaction.what}"]
    if attempts:
        newest = attempts[-1]
        offers = "1 offer" if len(attempts) == 1 else f"{len(attempts)} offers"
        where = f"block {transaction.block}, " if transaction.block else ""
        shown = transaction.transaction or newest.transaction
        lines.append(f"nonce {newest.nonce}, {offers}, up to {newest.max_fee / 1e9:.3f} gwei; {where}{shown}")
    lines += [transaction.outcome] if transaction.outcome else []
    lines += [f"{transaction.action} requested"] if transaction.action else []
    return [lines[0], *(" " * 18 + line for line in lines[1:])]


@group.command()
@with_settings(*_SIGNING)
def bump(number: NumberArgument, *, settings: Settings, wait: WaitOption = 60.0, json: JsonOption = False) -> None:
    """Raise the fees of a pending transaction by one eighth.

    A running node does it. Otherwise this command signs and sends the replacement.
    """
    _request(settings, number, "bump", wait, json)


@group.command()
@with_settings(*_SIGNING)
def cancel(number: NumberArgument, *, settings: Settings, wait: WaitOption = 60.0, json: JsonOption = False) -> None:
    """Replace a pending transaction with an empty transfer at its nonce.

    The replacement offers fees that are one eighth higher. Whichever of the two is mined first wins.
    """
    _request(settings, number, "cancel", wait, json)


@group.command()
@with_settings("data_dir")
def retry(number: NumberArgument, *, settings: Settings, json: JsonOption = False) -> None:
    """Queue a cancelled, failed or reverted transaction again.

    The node sends it if its deadline has not passed.
    """
    from covey.client.tx_requests import retry_transaction

    _show(retry_transaction(_data_dir(settings), number), json)


def _request(settings: Settings, number: int, action: str, wait_s: float, json: bool) -> None:
    from covey.chain.tx.fees import FeePolicy
    from covey.chain.tx.records import TxAction
    from covey.cli.access import connect, signer_wallet
    from covey.client.tx_requests import request_action

    fees = FeePolicy(cap=settings.max_gas_price, max_priority=settings.max_priority_fee, patience=settings.bump_blocks)
    result = request_action(
        _data_dir(settings),
        number,
        TxAction(action),
        open_wallet=lambda: signer_wallet(connect(settings), settings),
        fees=fees,
        confirmations=settings.confirmations,
        wait_s=wait_s,
    )
    _show(result, json)


def _show(result: ActionResult, json: bool) -> None:
    from covey.cli.output import console, print_json

    if json:
        print_json({"done_by": result.by, **result.transaction.as_dict()})
        return
    console().print(f"{result.transaction.what}: {result.summary}")


def add_to(app: typer.Typer) -> None:
    """Add this module's commands to the application."""
    app.add_typer(group, rich_help_panel="Keys and transactions")
