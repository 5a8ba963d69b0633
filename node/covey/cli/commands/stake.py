"""`covey stake`, `delegate`, `undelegate`, `redelegate`, `cancel`, `entries`, `withdraw`, `claim` and `enrol`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from covey.cli.settings import OWNER, SIGNER, JsonOption, Settings, with_settings

if TYPE_CHECKING:
    from covey.chain.contracts.base import Call
    from covey.client.wallet import Wallet

AmountArgument = Annotated[str, typer.Argument(help="Amount with its unit, for instance 250CVY.")]
OperatorArgument = Annotated[str, typer.Argument(help="Address of the operator.")]
TaskArgument = Annotated[int, typer.Argument(min=1, help="Task id.")]


@with_settings(*OWNER, table="stake")
def stake(amount: AmountArgument, *, settings: Settings, json: JsonOption = False) -> None:
    """Open your operator pool, or add to its self-bond.

    Signs with the owner's key. Options of the pool are used only when it is opened. The signer must consent: its key
    signs that here or, elsewhere, by `covey keys consent`.
    """
    from covey.cli.access import connect, has_signer, owner_wallet, signer_address, signer_consent
    from covey.cli.errors import InputError
    from covey.cli.parse import address, wei
    from covey.client.staking import stake_calls

    parsed = wei(amount)
    network = connect(settings)
    wallet = owner_wallet(network, settings)
    pool = settings.stake
    existing = network.contracts.staking.pool_of(wallet.address)
    signer, consent = address(pool.signer) if pool.signer else "", b""
    if not signer and (not existing.registered or settings.owner_keystore is not None):
        signer = signer_address(settings) if not existing.registered or has_signer(settings) else ""
    if existing.registered and signer not in ("", wallet.address, existing.signer):
        raise InputError(
            f"the pool of {wallet.address} names {existing.signer} as its signer, these settings {signer}; nothing was "
            f"sent. To replace the signer, run `covey keys rotate --to {signer}` with the owner's keystore; "
            f"to add stake only, run `covey stake` with --owner-keystore and without a keystore of another signer"
        )
    if not existing.registered:
        consent = signer_consent(network, settings, signer, wallet.address)
    calls = stake_calls(
        network,
        wallet.address,
        parsed,
        signer=signer,
        consent=consent,
        reward_address=pool.reward_address,
        commission_bps=pool.commission_bps,
    )
    send_calls(wallet, calls, json, {"operator": wallet.address, "amount": parsed})


@with_settings(*OWNER)
def delegate(
    operator: OperatorArgument, amount: AmountArgument, *, settings: Settings, json: JsonOption = False
) -> None:
    """Delegate CVY to an operator's pool.

    Signs with the owner's key.
    """
    from covey.cli.access import connect, owner_wallet
    from covey.cli.parse import address, wei
    from covey.client.staking import delegate_calls, registered_pool

    target, parsed = address(operator), wei(amount)
    network = connect(settings)
    registered_pool(network, target)
    wallet = owner_wallet(network, settings)
    calls = delegate_calls(network, wallet.address, target, parsed)
    send_calls(wallet, calls, json, {"operator": target, "amount": parsed})


@with_settings(*OWNER)
def undelegate(
    operator: OperatorArgument,
    amount: Annotated[str, typer.Argument(help="Amount with its unit, for instance 250CVY, or 'all'.")],
    *,
    settings: Settings,
    json: JsonOption = False,
) -> None:
    """Start to unbond CVY from an operator's pool.

    The amount can be slashed until the unbonding period ends; then withdraw it with `covey withdraw`. Signs with the
    owner's key.
    """
    from covey.cli.access import connect, owner_wallet
    from covey.cli.parse import address, wei
    from covey.client.staking import registered_pool, undelegate_calls

    target, parsed = address(operator), None if amount == "all" else wei(amount)
    network = connect(settings)
    registered_pool(network, target)
    wallet = owner_wallet(network, settings)
    calls = undelegate_calls(network, wallet.address, target, parsed)
    period = network.contracts.staking.unbonding_period()
    send_calls(wallet, calls, json, {"operator": target, "unbonding_s": period})


@with_settings(*OWNER)
def redelegate(
    source: Annotated[str, typer.Argument(help="Address of the operator to leave.")],
    target: Annotated[str, typer.Argument(help="Address of the operator to join.")],
    amount: Annotated[str, typer.Argument(help="Amount with its unit, for instance 250CVY, or 'all'.")],
    *,
    settings: Settings,
    json: JsonOption = False,
) -> None:
    """Move CVY from one operator's pool to another's at once.

    For one unbonding period the amount can be slashed for faults of both operators; then `covey withdraw` frees the
    shares. Signs with the owner's key.
    """
    from covey.cli.access import connect, owner_wallet
    from covey.cli.parse import address, wei
    from covey.client.staking import redelegate_calls, registered_pool

    left, joined, parsed = address(source), address(target), None if amount == "all" else wei(amount)
    network = connect(settings)
    registered_pool(network, left)
    wallet = owner_wallet(network, settings)
    calls = redelegate_calls(network, wallet.address, left, joined, parsed)
    period = network.contracts.staking.unbonding_period()
    send_calls(wallet, calls, json, {"from": left, "to": joined, "unbonding_s": period})


@with_settings(*OWNER)
def cancel(
    entry: Annotated[str, typer.Argument(help="Unbonding entry, OPERATOR/INDEX.")],
    *,
    settings: Settings,
    json: JsonOption = False,
) -> None:
    """Cancel an unbonding entry: delegate it to the pool that it left.

    Signs with the owner's key.
    """
    from covey.cli.access import connect, owner_wallet
    from covey.cli.errors import InputError
    from covey.cli.parse import entry_name
    from covey.client.staking import cancel_calls

    operator, index = entry_name(entry)
    if index is None:
        raise InputError(f"name the entry, {operator}/INDEX; `covey entries` lists them")
    network = connect(settings)
    wallet = owner_wallet(network, settings)
    calls = cancel_calls(network, wallet.address, operator, index)
    send_calls(wallet, calls, json, {"operator": operator, "index": index})


@with_settings(*OWNER)
def entries(
    account: Annotated[
        str | None, typer.Argument(help=r"Account whose entries to list. \[default: the owner's]")
    ] = None,
    *,
    settings: Settings,
    json: JsonOption = False,
) -> None:
    """List stake that left pools and is not withdrawn: its worth, and when it ends."""
    from covey.chain.units import cvy, format_time
    from covey.cli.access import connect, owner_address
    from covey.cli.output import console, print_json
    from covey.cli.parse import address

    network = connect(settings)
    owner = address(account) if account is not None else owner_address(settings)
    found = network.entries_of(owner)
    if json:
        print_json(
            [
                {
                    "entry": one.name, "tokens": one.entry.tokens, "worth": one.entry.worth, "until": one.entry.until,
                    "moved_to": one.entry.moved_to if one.entry.moved else None,
                }
                for one in found
            ]
        )  # fmt: skip
        return
    for one in found:
        moved = f", moved to {one.entry.moved_to}" if one.entry.moved else ""
        ends = format_time(one.entry.until)
        console().print(f"{one.name}: {cvy(one.entry.worth)}{moved}, ends at {ends} UTC", markup=False)
    if not found:
        console().print(f"{owner} has no unbonding entries")


@with_settings(*OWNER)
def withdraw(
    entry: Annotated[
        str | None,
        typer.Argument(
            help=r"OPERATOR/INDEX, or OPERATOR for all of its pool. \[default: all finished entries and all credits]"
        ),
    ] = None,
    *,
    settings: Settings,
    owner: Annotated[
        str | None, typer.Option("--for", metavar="ADDRESS", help="Owner of the entries, who is paid. \\[default: you]")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Withdraw finished unbonding entries and credits.

    Credits are returned bounties, bonds and fees, and tips. Any key can sign; what is withdrawn goes to its owner.
    """
    from covey.cli.access import connect, owner_wallet
    from covey.cli.parse import address, entry_name
    from covey.client.errors import NothingToDo
    from covey.client.staking import withdraw_calls

    operator, index = (None, None) if entry is None else entry_name(entry)
    network = connect(settings)
    wallet = owner_wallet(network, settings)
    account = wallet.address if owner is None else address(owner)
    facts = {"account": account}
    try:
        calls = withdraw_calls(network, account, operator, index)
    except NothingToDo as nothing:
        send_nothing(str(nothing), json, facts)
        return
    send_calls(wallet, calls, json, facts)


@with_settings(*SIGNER)
def claim(
    task: Annotated[int | None, typer.Argument(min=1, help=r"Task id. \[default: all ended tasks]")] = None,
    *,
    settings: Settings,
    json: JsonOption = False,
) -> None:
    """Claim an operator's rewards into its pool and release its earmarks.

    Claims rewards for entries and scores, and returned fees. Any key can sign.
    """
    from covey.cli.access import connect, operator_address, signer_wallet
    from covey.client.claims import claim_calls

    network = connect(settings)
    wallet = signer_wallet(network, settings)
    operator = operator_address(network, settings)
    calls = claim_calls(network, operator, task)
    if not calls:
        where = f" in task {task}" if task else ""
        send_nothing(f"nothing to claim for {operator}{where}", json, {"operator": operator})
        return
    send_calls(wallet, calls, json, {"operator": operator})


@with_settings(*SIGNER)
def enrol(task: TaskArgument, amount: AmountArgument, *, settings: Settings, json: JsonOption = False) -> None:
    """Enrol as a validator of a task with an earmark of stake.

    `covey run --role validator` enrols by its policy. Signs with the signer's key.
    """
    from covey.cli.access import connect, operator_address, signer_wallet
    from covey.cli.parse import wei

    parsed = wei(amount)
    network = connect(settings)
    network.task(task)
    wallet = signer_wallet(network, settings)
    operator = operator_address(network, settings)
    call = network.contracts.registry.enrol(task, operator, parsed)
    send_calls(wallet, [call], json, {"operator": operator, "task": task, "amount": parsed})


def send_calls(wallet: Wallet, calls: list[Call], json: bool, facts: dict[str, Any]) -> None:
    """Send calls in order and print each transaction as it is mined."""
    from covey.cli.output import console, print_json

    transactions = []
    for sent in wallet.send_all(calls):
        transactions.append(
            {"purpose": sent.purpose, "transaction": sent.hash, "block": sent.block, "gas": sent.gas_used}
        )
        if not json:
            console().print(f"{sent.purpose}: block {sent.block}, {sent.gas_used:,} gas, {sent.hash}", markup=False)
    if json:
        print_json({**facts, "transactions": transactions})


def send_nothing(why: str, json: bool, facts: dict[str, Any]) -> None:
    """Report that there was nothing to do, which is no error."""
    from covey.cli.output import console, print_json

    if json:
        print_json({**facts, "transactions": []})
    else:
        console().print(why, markup=False)


def add_to(app: typer.Typer) -> None:
    """Add this module's commands to the application."""
    for command in (stake, delegate, undelegate, redelegate, cancel, entries, withdraw, claim):
        app.command(rich_help_panel="Stake")(command)
    app.command(rich_help_panel="Tasks")(enrol)
