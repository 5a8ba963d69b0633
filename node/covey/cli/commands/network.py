"""`covey devnet`: a local chain with the contracts and funded accounts, and commands for a running one."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from covey.cli.settings import JsonOption, Settings, with_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

group = typer.Typer(name="devnet", no_args_is_help=False)


@group.callback(invoke_without_command=True)
@with_settings(table="devnet")
def devnet(context: typer.Context, *, settings: Settings, json: JsonOption = False) -> None:
    """Run a local chain with the contracts and funded accounts, until Ctrl-C.

    A new start in the same folder begins a new chain with the same accounts; --resume continues the old one.
    """
    from covey.cli.output import print_json
    from covey.devnet.standing import Options, run_devnet

    if context.invoked_subcommand is not None:
        return
    chosen = settings.devnet
    options = Options(
        chosen.out, chosen.port, chosen.block_time, chosen.accounts, chosen.operators, resume=chosen.resume
    )
    with _devnet_errors():
        run_devnet(options, print_json if json else _show)


@group.command()
@with_settings(table="devnet", of_table=["out"])
def skip(
    duration: Annotated[str, typer.Argument(help="Time to let pass, for instance 90s, 4h or '1d 12h'.")],
    *,
    settings: Settings,
    json: JsonOption = False,
) -> None:
    """Let time pass on the running local chain at once."""
    from covey.chain.units import format_time
    from covey.cli.output import console, print_json
    from covey.cli.parse import seconds
    from covey.devnet.standing import RunningDevnet

    parsed = seconds(duration)
    with _devnet_errors():
        now = RunningDevnet(settings.devnet.out).skip(parsed)
    if json:
        print_json({"skipped": parsed, "chain_time": now})
    else:
        console().print(f"Skipped {parsed:,} seconds; the chain's time is {format_time(now)} UTC.")


@group.command()
@with_settings(table="devnet", of_table=["out"])
def fund(
    account: Annotated[str, typer.Argument(metavar="ADDRESS", help="Account to fund.")],
    *,
    settings: Settings,
    cvy: Annotated[str, typer.Option("--cvy", metavar="CVY", help="Amount with its unit to transfer.")] = "1000CVY",
    coin: Annotated[int, typer.Option("--coin", min=0, help="Coin for gas to add, whole units.")] = 10,
    json: JsonOption = False,
) -> None:
    """Give an account coin for gas and CVY on the running local chain."""
    from covey.chain.units import CVY, about_cvy, format_cvy
    from covey.cli.output import console, print_json
    from covey.cli.parse import address, wei
    from covey.devnet.standing import RunningDevnet

    target, amount = address(account), wei(cvy)
    with _devnet_errors():
        coins, tokens = RunningDevnet(settings.devnet.out).fund(target, coin * CVY, amount)
    if json:
        print_json({"address": target, "coin": coins, "cvy": tokens})
    else:
        console().print(f"{target} has {format_cvy(coins)} coin for gas and {about_cvy(tokens)}.")


@contextmanager
def _devnet_errors() -> Iterator[None]:
    """Raise the errors of local networks as errors of commands."""
    from covey.cli.errors import CliError, InputError
    from covey.devnet.errors import BadInput, DevnetError

    try:
        yield
    except BadInput as error:
        raise InputError(str(error)) from None
    except DevnetError as error:
        raise CliError(str(error)) from None


def _show(facts: dict[str, Any]) -> None:
    from covey.chain.units import about_cvy, cvy, format_cvy
    from covey.cli.output import console
    from covey.config.amounts import SUGGESTED_STAKE

    out = console()

    def show(text: str) -> None:
        out.print(text, markup=False)

    def holds(account: dict[str, Any]) -> str:
        return f"{account['address']}  {format_cvy(account['coin'], 0)} coin, {about_cvy(account['cvy'])}"

    show(f"chain       {facts['rpc_url']} (chain id {facts['chain_id']}{', continued' if facts['resumed'] else ''})")
    show(f"deployment  {facts['deployment']}")
    show(f"password    {facts['password_file']} (of all keystores)")
    for account in facts["accounts"]:
        show(f"{account['name']:<12}{holds(account)}\n            {account['keystore']}")
    for operator in facts["operators"]:
        owner, signer = operator["owner"], operator["signer"]
        show(f"{signer['name'].removesuffix('-signer'):<12}a pool with a stake of {about_cvy(operator['stake'])}")
        for role, account in (("owner", owner), ("signer", signer)):
            show(f"  {role:<10}{holds(account)}\n            {account['keystore']}")
    show("\nNext, in another terminal:")
    show(f"  export COVEY_RPC_URLS={facts['rpc_url']} COVEY_DEPLOYMENT={facts['deployment']}")
    show(f"  export COVEY_PASSWORD_FILE={facts['password_file']} COVEY_OWNER_PASSWORD_FILE=$COVEY_PASSWORD_FILE")
    key = (facts["operators"] or [{"signer": facts["accounts"][0]}])[0]["signer"]["keystore"]
    show(f"  covey init my-node --role validator --heldout-records FILE --keystore {key}")
    if not facts["operators"]:
        show(
            f"  covey stake {cvy(SUGGESTED_STAKE).replace(' ', '')} --config my-node/covey.toml "
            f"--owner-keystore {facts['accounts'][-1]['keystore']}"
        )
    show("  covey run --config my-node/covey.toml --confirmations 2")
    show(
        "`covey devnet skip 4h` lets time pass, `covey devnet fund ADDRESS` funds an account. Ctrl-C stops the network."
    )


def add_to(app: typer.Typer) -> None:
    """Add this module's commands to the application."""
    app.add_typer(group, rich_help_panel="Local networks")
