"""Stake: open a pool, delegate, leave, withdraw, claim, enrol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from covey.cli.settings import OWNER, SIGNER, JsonOption, Settings, with_settings

if TYPE_CHECKING:
    from covey.chain.contracts.base import Call
    from covey.client.wallet import Wallet

AmountArgument = Annotated[str, typer.Argument(help="amount with its unit, for instance 250CVY")]
OperatorArgument = Annotated[str, typer.Argument(help="address of the operator")]
TaskArgument = Annotated[int, typer.Argument(min=1, help="task id")]


@with_settings(*OWNER, table="stake")
def stake(amount: AmountArgument, *, settings: Settings, json: JsonOption = False) -> None:
    """Stake on yourself: open your pool if you have none yet, and add to your own bond. Uses the owner's key."""
    from covey.cli.access import connect, owner_wallet, signer_address
    from covey.cli.parse import address, wei
    from covey.client.staking import stake_calls

    wanted = wei(amount)
    network = connect(settings)
    wallet = owner_wallet(network, settings)
    chosen = settings.stake
    signer = ""
    if not network.contracts.staking.pool_of(wallet.address).registered:
        signer = address(chosen.signer) if chosen.signer else signer_address(settings)
    calls = stake_calls(
        network, wallet.address, wanted,
        signer=signer, reward_address=chosen.reward_address, commission_bps=chosen.commission_bps,
    )  # fmt: skip
    _send(wallet, calls, json, {"operator": wallet.address, "amount": wanted})


@with_settings(*OWNER)
def delegate(
    operator: OperatorArgument, amount: AmountArgument, *, settings: Settings, json: JsonOption = False
) -> None:
    """Delegate CVY to an operator's pool. Uses the owner's key."""
    from covey.cli.access import connect, owner_wallet
    from covey.cli.parse import address, wei
    from covey.client.staking import delegate_calls, registered_pool

    target, wanted = address(operator), wei(amount)
    network = connect(settings)
    registered_pool(network, target)
    wallet = owner_wallet(network, settings)
    calls = delegate_calls(network, wallet.address, target, wanted)
    _send(wallet, calls, json, {"operator": target, "amount": wanted})


@with_settings(*OWNER)
def undelegate(
    operator: OperatorArgument,
    amount: Annotated[str, typer.Argument(help="amount with its unit, for instance 250CVY, or 'all'")],
    *,
    settings: Settings,
    json: JsonOption = False,
) -> None:
    """Start to leave a pool. What leaves stays slashable until the unbonding period is over; then `covey withdraw`."""
    from covey.cli.access import connect, owner_wallet
    from covey.cli.parse import address, wei
    from covey.client.staking import registered_pool, undelegate_calls

    target, wanted = address(operator), None if amount == "all" else wei(amount)
    network = connect(settings)
    registered_pool(network, target)
    wallet = owner_wallet(network, settings)
    calls = undelegate_calls(network, wallet.address, target, wanted)
    period = network.contracts.staking.unbonding_period()
    _send(wallet, calls, json, {"operator": target, "unbonding_s": period})


@with_settings(*OWNER)
def withdraw(
    entry: Annotated[int | None, typer.Argument(min=0, help="unbonding entry; not given: all that are over")] = None,
    *,
    settings: Settings,
    json: JsonOption = False,
) -> None:
    """Take out finished unbondings and what you are owed (bounties back, tips, bonds, fees). Uses the owner's key."""
    from covey.cli.access import connect, owner_wallet
    from covey.client.staking import withdraw_calls

    network = connect(settings)
    wallet = owner_wallet(network, settings)
    calls = withdraw_calls(network, wallet.address, entry)
    _send(wallet, calls, json, {"account": wallet.address})


@with_settings(*SIGNER)
def claim(
    task: Annotated[int | None, typer.Argument(min=1, help="task id; not given: all ended tasks")] = None,
    *,
    settings: Settings,
    json: JsonOption = False,
) -> None:
    """Claim what an operator earned into its pool: entries, scores, fees back; and free its earmarks. Anyone may."""
    from covey.cli.access import connect, operator_address, signer_wallet
    from covey.cli.errors import InputError
    from covey.client.claims import claim_calls

    network = connect(settings)
    wallet = signer_wallet(network, settings)
    operator = operator_address(network, settings)
    calls = claim_calls(network, operator, task)
    if not calls:
        raise InputError(f"nothing to claim for {operator}" + (f" in task {task}" if task else ""))
    _send(wallet, calls, json, {"operator": operator})


@with_settings(*SIGNER)
def enrol(task: TaskArgument, amount: AmountArgument, *, settings: Settings, json: JsonOption = False) -> None:
    """Back a task with stake, to validate it; `covey run --role validator` does it by policy. Uses the signer's key."""
    from covey.cli.access import connect, operator_address, signer_wallet
    from covey.cli.parse import wei

    wanted = wei(amount)
    network = connect(settings)
    network.task(task)
    wallet = signer_wallet(network, settings)
    operator = operator_address(network, settings)
    call = network.contracts.registry.enrol(task, operator, wanted)
    _send(wallet, [call], json, {"operator": operator, "task": task, "amount": wanted})


def _send(wallet: Wallet, calls: list[Call], json: bool, facts: dict[str, Any]) -> None:
    """Send calls in order and print each transaction as it is mined."""
    from covey.cli.output import console, print_json

    done = []
    for sent in wallet.send_all(calls):
        done.append({"what": sent.purpose, "transaction": sent.hash, "block": sent.block, "gas": sent.gas_used})
        if not json:
            console().print(f"{sent.purpose}: block {sent.block}, {sent.gas_used:,} gas, {sent.hash}")
    if json:
        print_json({**facts, "transactions": done})


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    for command in (enrol, stake, delegate, undelegate, withdraw, claim):
        app.command()(command)
