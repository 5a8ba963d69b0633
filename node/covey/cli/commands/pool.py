"""`covey pool`: show an operator's pool, and change its commission, its reward address, or leave jail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from covey.cli.settings import OWNER, SIGNER, JsonOption, Settings, with_settings

if TYPE_CHECKING:
    from covey.chain.contracts.staking import Pool
    from covey.client.network import Network

group = typer.Typer(name="pool", help="Show an operator's pool and change its terms.", no_args_is_help=True)


@group.command()
@with_settings(*SIGNER)
def show(*, settings: Settings, json: JsonOption = False) -> None:
    """Show a pool: signer, stake, commission, announced changes, unbonding and dripping amounts."""
    from dataclasses import asdict

    from covey.cli.access import connect, operator_address
    from covey.cli.output import console, labelled, print_json
    from covey.client.staking import registered_pool

    network = connect(settings)
    chosen = operator_address(network, settings)
    pool = registered_pool(network, chosen)
    staking = network.contracts.staking
    eligible, least = staking.is_eligible(chosen), staking.min_self_bond()
    if json:
        print_json({"operator": chosen, **asdict(pool), "eligible": eligible, "min_self_bond": least})
        return
    out = console()
    for label, text in _lines(chosen, pool, eligible=eligible, least=least):
        labelled(out, label, text)


def _lines(operator: str, pool: Pool, *, eligible: bool, least: int) -> list[tuple[str, str]]:
    from covey.chain.units import about_cvy, format_time

    own = f"self-bond {about_cvy(pool.self_bond)} (minimum {about_cvy(least)})"
    lines = [
        ("operator", f"{operator} ({'eligible' if eligible else 'not eligible'})"),
        ("signer", pool.signer),
        ("reward to", pool.reward_address),
        ("stake", f"{about_cvy(pool.active_tokens)}, of it {own}, earmarked {about_cvy(pool.earmarked)}"),
        ("unbonding", about_cvy(pool.unbonding_tokens)),
        ("commission", f"{pool.commission_bps / 100:g}%"),
    ]
    if pool.commission_from:
        when = format_time(pool.commission_from)
        lines.append(("announced", f"{pool.pending_commission_bps / 100:g}% commission from {when} UTC on"))
    if pool.undripped:
        lines.append(("dripping", f"{about_cvy(pool.undripped)} until {format_time(pool.drip_end)} UTC"))
    if pool.jailed_until:
        lines.append(("jailed", f"until {format_time(pool.jailed_until)} UTC; then `covey pool unjail`"))
    return lines


@group.command()
@with_settings(*OWNER)
def commission(
    basis_points: Annotated[int, typer.Argument(metavar="BPS", min=0, max=10_000, help="New commission, 1/10000.")],
    *,
    settings: Settings,
    json: JsonOption = False,
) -> None:
    """Set the operator's share of rewards before delegators.

    A lower commission holds at once. A higher one is announced, and holds when you run the command again after the
    notice period. Signs with the owner's key.
    """
    from covey.cli.access import connect, owner_wallet
    from covey.cli.errors import InputError

    network = connect(settings)
    wallet = owner_wallet(network, settings)
    staking, pool = network.contracts.staking, _own_pool(network, wallet.address)
    if basis_points > (highest := staking.max_commission_bps()):
        raise InputError(f"{basis_points} is above the network's highest commission of {highest} (1/10000)")
    announced = pool.commission_from and pool.pending_commission_bps == basis_points
    if announced and pool.commission_from <= network.now():
        call = staking.apply_commission(wallet.address)
    elif announced:
        _nothing(f"a commission of {basis_points / 100:g}% is announced already", wallet.address, pool, json)
        return
    elif pool.commission_bps == basis_points and not pool.commission_from:
        _nothing(f"the commission is {basis_points / 100:g}% already", wallet.address, pool, json)
        return
    else:
        call = staking.set_commission(basis_points)
    _send(network, wallet, call, json)


@group.command("reward-address")
@with_settings(*OWNER)
def reward_address(
    account: Annotated[str, typer.Argument(metavar="ADDRESS", help="Recipient of commission and returned fees.")],
    *,
    settings: Settings,
    json: JsonOption = False,
) -> None:
    """Set the account that receives the operator's commission and returned entry fees.

    To let returned fees pay for the next entries, name the signer. Signs with the owner's key.
    """
    from covey.cli.access import connect, owner_wallet
    from covey.cli.parse import address

    target = address(account)
    network = connect(settings)
    wallet = owner_wallet(network, settings)
    pool = _own_pool(network, wallet.address)
    if pool.reward_address == target:
        _nothing(f"the reward address is {target} already", wallet.address, pool, json)
        return
    _send(network, wallet, network.contracts.staking.set_reward_address(target), json)


@group.command()
@with_settings(*OWNER)
def unjail(*, settings: Settings, json: JsonOption = False) -> None:
    """Leave jail after its time, with the minimum self-bond. Signs with the owner's key."""
    from covey.chain.units import format_time
    from covey.cli.access import connect, owner_wallet
    from covey.cli.errors import InputError

    network = connect(settings)
    wallet = owner_wallet(network, settings)
    pool = _own_pool(network, wallet.address)
    if not pool.jailed_until:
        _nothing(f"{wallet.address} is not jailed", wallet.address, pool, json)
        return
    if pool.jailed_until > network.now():
        raise InputError(f"{wallet.address} is jailed until {format_time(pool.jailed_until)} UTC")
    _send(network, wallet, network.contracts.staking.unjail(), json)


def _own_pool(network: Network, owner: str) -> Pool:
    """The pool of the owner whose key signs. Raises InputError if the key is another's."""
    from covey.cli.errors import InputError

    pool = network.contracts.staking.pool_of(owner)
    if not pool.registered:
        operator = network.contracts.staking.operator_of(owner)
        hint = (
            f"it is the signer of {operator}: give --owner-keystore" if int(operator, 16) else "open one: `covey stake`"
        )
        raise InputError(f"{owner} has no pool; {hint}")
    return pool


def _nothing(why: str, operator: str, pool: Pool, json: bool) -> None:
    from covey.chain.units import format_time
    from covey.cli.output import console, print_json

    if json:
        print_json({"operator": operator, "transaction": None, "commission_from": pool.commission_from})
        return
    until = f"; it holds from {format_time(pool.commission_from)} UTC on" if pool.commission_from else ""
    console().print(f"Nothing to do: {why}{until}.")


def _send(network: Network, wallet: Any, call: Any, json: bool) -> None:
    """Send a call, and say what holds now and what is announced."""
    from covey.chain.units import format_time
    from covey.cli.output import console, print_json

    receipt = wallet.send(call)
    pool = network.contracts.staking.pool_of(wallet.address)
    if json:
        print_json(
            {
                "operator": wallet.address,
                "transaction": receipt.tx_hash,
                "commission_bps": pool.commission_bps,
                "pending_commission_bps": pool.pending_commission_bps,
                "commission_from": pool.commission_from,
                "reward_address": pool.reward_address,
                "jailed_until": pool.jailed_until,
            }
        )
        return
    out = console()
    out.print(f"{call.describe}: block {receipt.block}, {receipt.gas_used:,} gas, {receipt.tx_hash}")
    if pool.commission_from:
        when = format_time(pool.commission_from)
        out.print(
            f"It is announced: run the command again after {when} UTC, until then it is {pool.commission_bps / 100:g}%."
        )


def add_to(app: typer.Typer) -> None:
    """Add this module's commands to the application."""
    app.add_typer(group, rich_help_panel="Stake")
