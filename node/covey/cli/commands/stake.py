"""Stake: open a pool, delegate, leave, withdraw, claim, enrol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from covey.cli.settings import OWNER, SIGNER, JsonOption, Settings, with_settings

if TYPE_CHECKING:
    from covey.chain.contracts.base import Call
    from covey.client.access import Network
    from covey.client.wallet import Wallet

AmountArgument = Annotated[str, typer.Argument(help="amount with its unit, for instance 250CVY")]
OperatorArgument = Annotated[str, typer.Argument(help="address of the operator")]
TaskArgument = Annotated[int, typer.Argument(min=1, help="task id")]


@with_settings(*OWNER, table="stake")
def stake(amount: AmountArgument, *, settings: Settings, json: JsonOption = False) -> None:
    """Stake on yourself: open your pool if you have none yet, and add to your own bond. Uses the owner's key."""
    from covey.cli.parse import address, wei
    from covey.client.access import connect

    wanted = wei(amount)
    network = connect(settings)
    wallet = network.wallet(settings, "owner")
    staking = network.contracts.staking
    calls: list[Call] = []
    if not staking.pool_of(wallet.address).registered:
        chosen = settings.stake
        signer = address(chosen.signer) if chosen.signer else network.signer_address(settings)
        _check_commission(network, chosen.commission_bps)
        calls.append(staking.register_operator(signer, chosen.reward_address or wallet.address, chosen.commission_bps))
    calls += _delegation(network, wallet, wallet.address, wanted)
    _send(network, wallet, calls, json, {"operator": wallet.address, "amount": wanted})


@with_settings(*OWNER)
def delegate(
    operator: OperatorArgument, amount: AmountArgument, *, settings: Settings, json: JsonOption = False
) -> None:
    """Delegate CVY to an operator's pool. Uses the owner's key."""
    from covey.cli.parse import address, wei
    from covey.client.access import connect

    target, wanted = address(operator), wei(amount)
    network = connect(settings)
    _registered(network, target)
    wallet = network.wallet(settings, "owner")
    calls = _delegation(network, wallet, target, wanted)
    _send(network, wallet, calls, json, {"operator": target, "amount": wanted})


@with_settings(*OWNER)
def undelegate(
    operator: OperatorArgument,
    amount: Annotated[str, typer.Argument(help="amount with its unit, for instance 250CVY, or 'all'")],
    *,
    settings: Settings,
    json: JsonOption = False,
) -> None:
    """Start to leave a pool. What leaves stays slashable until the unbonding period is over; then `covey withdraw`."""
    from covey.chain.units import format_cvy
    from covey.cli.errors import InputError
    from covey.cli.parse import address, wei
    from covey.client.access import connect

    target, wanted = address(operator), None if amount == "all" else wei(amount)
    network = connect(settings)
    pool = _registered(network, target)
    wallet = network.wallet(settings, "owner")
    staking = network.contracts.staking
    owned = staking.shares_of(target, wallet.address)
    worth = staking.tokens_for(target, owned)
    if not owned:
        raise InputError(f"{wallet.address} has nothing in the pool of {target}")
    if wanted is not None and wanted > worth:
        raise InputError(
            f"{wallet.address} owns {format_cvy(worth)} CVY of the pool of {target}, less than {format_cvy(wanted)}"
        )
    shares = owned if wanted is None else min(owned, -(-wanted * pool.active_shares // max(1, pool.active_tokens)))
    call = staking.undelegate(target, shares, 0)
    facts = {"operator": target, "shares": shares, "unbonding_s": staking.unbonding_period()}
    _send(network, wallet, [call], json, facts)


@with_settings(*OWNER)
def withdraw(
    entry: Annotated[int | None, typer.Argument(min=0, help="unbonding entry; not given: all that are over")] = None,
    *,
    settings: Settings,
    json: JsonOption = False,
) -> None:
    """Take out finished unbondings and what you are owed (bounties back, tips, bonds, fees). Uses the owner's key."""
    from covey.chain.units import format_time
    from covey.cli.errors import InputError
    from covey.client.access import connect

    network = connect(settings)
    wallet = network.wallet(settings, "owner")
    staking, rewards = network.contracts.staking, network.contracts.rewards
    now = network.now()
    mine = network.unbondings(wallet.address)
    if entry is not None:
        if entry not in mine:
            raise InputError(
                f"{wallet.address} has no unbonding entry {entry}" + (f" (it has {sorted(mine)})" if mine else "")
            )
        if mine[entry] > now:
            raise InputError(f"unbonding entry {entry} is over at {format_time(mine[entry])} UTC, not yet")
        calls = [staking.withdraw(entry)]
    else:
        calls = [staking.withdraw(one) for one, until in sorted(mine.items()) if until <= now]
        if rewards.owed_to(wallet.address):
            calls.append(rewards.withdraw(wallet.address))
        if network.contracts.appeals.owed_to(wallet.address):
            calls.append(network.contracts.appeals.withdraw(wallet.address))
        if staking.owed_to(wallet.address):
            calls.append(staking.pay_owed(wallet.address))
    if not calls:
        waiting = f"; the next of {len(mine)} is over at {format_time(min(mine.values()))} UTC" if mine else ""
        raise InputError(f"nothing to withdraw for {wallet.address}{waiting}")
    _send(network, wallet, calls, json, {"account": wallet.address})


@with_settings(*SIGNER)
def claim(
    task: Annotated[int | None, typer.Argument(min=1, help="task id; not given: all ended tasks")] = None,
    *,
    settings: Settings,
    json: JsonOption = False,
) -> None:
    """Claim what an operator earned into its pool: entries, scores, fees back; and free its earmarks. Anyone may."""
    from covey.cli.errors import InputError
    from covey.client.access import connect
    from covey.client.claims import due_claims

    network = connect(settings)
    wallet = network.wallet(settings, "signer")
    operator = network.operator(settings)
    calls = due_claims(network, operator, task)
    if not calls:
        raise InputError(f"nothing to claim for {operator}" + (f" in task {task}" if task else ""))
    _send(network, wallet, calls, json, {"operator": operator})


@with_settings(*SIGNER)
def enrol(task: TaskArgument, amount: AmountArgument, *, settings: Settings, json: JsonOption = False) -> None:
    """Back a task with stake, to validate it; `covey run --role validator` does it by policy. Uses the signer's key."""
    from covey.cli.parse import wei
    from covey.client.access import connect

    wanted = wei(amount)
    network = connect(settings)
    network.task(task)
    wallet = network.wallet(settings, "signer")
    operator = network.operator(settings)
    call = network.contracts.registry.enrol(task, operator, wanted)
    _send(network, wallet, [call], json, {"operator": operator, "task": task, "amount": wanted})


def _check_commission(network: Network, bps: int) -> None:
    from covey.cli.errors import InputError

    highest = network.contracts.staking.max_commission_bps()
    if bps > highest:
        raise InputError(f"a commission of {bps} is above the highest of {highest} (1/10000)")


def _registered(network: Network, operator: str) -> Any:
    from covey.cli.errors import InputError

    pool = network.contracts.staking.pool_of(operator)
    if not pool.registered:
        raise InputError(f"{operator} is not an operator: check the address")
    return pool


def _delegation(network: Network, wallet: Wallet, operator: str, amount: int) -> list[Call]:
    """Approve what is missing, then delegate."""
    from covey.chain.units import format_cvy
    from covey.cli.errors import InputError

    token, staking = network.contracts.token, network.contracts.staking
    balance = token.balance_of(wallet.address)
    if balance < amount:
        raise InputError(f"{wallet.address} holds {format_cvy(balance)} CVY, less than {format_cvy(amount)}")
    calls = []
    if token.allowance(wallet.address, staking.address) < amount:
        calls.append(token.approve(staking.address, amount))
    return [*calls, staking.delegate(operator, amount)]


def _send(network: Network, wallet: Wallet, calls: list[Call], json: bool, facts: dict[str, Any]) -> None:
    """Send calls in order; a later one is sent only when the one before it succeeded."""
    from covey.cli.output import console, print_json

    done = []
    for call in calls:
        receipt = wallet.send(call)
        done.append(
            {"what": call.describe, "transaction": receipt.tx_hash, "block": receipt.block, "gas": receipt.gas_used}
        )
        if not json:
            console().print(f"{call.describe}: block {receipt.block}, {receipt.gas_used:,} gas, {receipt.tx_hash}")
    if json:
        print_json({**facts, "transactions": done})


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    for command in (enrol, stake, delegate, undelegate, withdraw, claim):
        app.command()(command)
