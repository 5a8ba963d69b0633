"""Calls that move stake. Each function checks its arguments against the chain and returns calls; it sends nothing.

Amounts are wei of CVY. `Wallet.send_all` sends the calls.
"""

from __future__ import annotations

from covey.audit.chain import Chain
from covey.chain.contracts.base import Call
from covey.chain.contracts.staking import Pool
from covey.chain.units import about_cvy, cvy, format_time
from covey.client.errors import InsufficientBalance, InvalidInput, NothingToDo

ZERO_ADDRESS = "0x" + "00" * 20


def operator_of(chain: Chain, signer: str) -> str:
    """The operator that has named `signer` as its hot key.

    Raises:
        InvalidInput: no operator has.
    """
    operator = chain.contracts.staking.operator_of(signer)
    if operator == ZERO_ADDRESS:
        raise InvalidInput(
            f"no operator names {signer} as its signer: name the operator, or open a pool with `covey stake`"
        )
    return operator


def registered_pool(chain: Chain, operator: str) -> Pool:
    """The pool of an operator.

    Raises:
        InvalidInput: the address is no operator.
    """
    pool = chain.contracts.staking.pool_of(operator)
    if not pool.registered:
        raise InvalidInput(f"{operator} is not an operator: check the address")
    return pool


def stake_calls(
    chain: Chain,
    owner: str,
    amount: int,
    *,
    signer: str,
    reward_address: str | None = None,
    commission_bps: int = 500,
) -> list[Call]:
    """Open the owner's pool if it has none yet, then add `amount` to its self-bond.

    Args:
        signer: the hot key that acts for the owner; used when the pool is opened.
        reward_address: receives the commission; None is the owner. Used when the pool is opened.
        commission_bps: the operator's share of rewards before delegators, 1/10000. Used when the pool is opened.

    Raises:
        InvalidInput: the commission is above the highest allowed, or the self-bond would stay below the minimum.
        InsufficientBalance: the owner holds less than `amount`.
    """
    staking = chain.contracts.staking
    calls: list[Call] = []
    pool = staking.pool_of(owner)
    least = staking.min_self_bond()
    if pool.self_bond + amount < least:
        raise InvalidInput(
            f"a self-bond of {cvy(pool.self_bond + amount)} is below the network's minimum of {cvy(least)}: "
            f"stake at least {cvy(least - pool.self_bond)}"
        )
    if not pool.registered:
        highest = staking.max_commission_bps()
        if commission_bps > highest:
            raise InvalidInput(
                f"{commission_bps} is above the maximum of {highest} (1/10000)", parameter="commission_bps"
            )
        calls.append(staking.register_operator(signer, reward_address or owner, commission_bps))
    return calls + _approve_and_delegate(chain, owner, owner, amount)


def delegate_calls(chain: Chain, delegator: str, operator: str, amount: int) -> list[Call]:
    """Delegate `amount` to an operator's pool.

    Raises:
        InvalidInput: the address is no operator.
        InsufficientBalance: the delegator holds less than `amount`.
    """
    registered_pool(chain, operator)
    return _approve_and_delegate(chain, delegator, operator, amount)


def undelegate_calls(chain: Chain, delegator: str, operator: str, amount: int | None = None) -> list[Call]:
    """Start leaving a pool with `amount`, or with everything if None.

    The tokens stay slashable until the unbonding period is over; then `withdraw_calls` takes them out.

    Raises:
        InvalidInput: the address is no operator, or the delegator owns less than `amount` of its pool.
    """
    pool = registered_pool(chain, operator)
    staking = chain.contracts.staking
    owned = staking.shares_of(operator, delegator)
    if not owned:
        raise InvalidInput(f"{delegator} has nothing in the pool of {operator}")
    worth = staking.tokens_for(operator, owned)
    if amount is not None and amount > worth:
        raise InvalidInput(f"{delegator} owns {cvy(worth)} of the pool of {operator}, less than {cvy(amount)}")
    shares = owned if amount is None else min(owned, -(-amount * pool.active_shares // max(1, pool.active_tokens)))
    free = format_time(chain.now() + staking.unbonding_period())
    purpose = f"unbond {about_cvy(worth if amount is None else amount)} from the pool of {operator}"
    return [staking.undelegate(operator, shares, 0).named(f"{purpose}, to withdraw from {free} UTC on")]


def unbonding_ends(chain: Chain, owner: str) -> dict[int, int]:
    """The owner's unbonding entries that were not withdrawn: entry id to its end (chain time, unix seconds)."""
    ends: dict[int, int] = {}
    for event in chain.events():
        if event.contract == "Staking" and event.args.get("delegator") == owner:
            if event.name == "Undelegated":
                ends[event.args["entryId"]] = event.args["until"]
            elif event.name == "Withdrawn":
                ends.pop(event.args["entryId"], None)
    return ends


def withdraw_calls(chain: Chain, owner: str, entry: int | None = None) -> list[Call]:
    """Withdraw one finished unbonding entry, or (None) all of them and whatever the contracts owe the owner.

    Raises:
        NothingToDo: there is nothing to withdraw.
        InvalidInput: the entry is unknown or not over yet.
    """
    now = chain.now()
    ends = unbonding_ends(chain, owner)
    if entry is not None:
        if entry not in ends:
            others = f" (it has {sorted(ends)})" if ends else ""
            raise InvalidInput(f"{owner} has no unbonding entry {entry}{others}")
        if ends[entry] > now:
            raise InvalidInput(f"unbonding entry {entry} ends at {format_time(ends[entry])} UTC, not yet")
        return [_withdrawal(chain, entry, owner)]
    calls = [_withdrawal(chain, number, owner) for number, end in sorted(ends.items()) if end <= now]
    calls += credit_calls(chain, owner)
    if not calls:
        waiting = (
            f"; the next of {len(ends)} unbonding entries ends at {format_time(min(ends.values()))} UTC" if ends else ""
        )
        raise NothingToDo(f"nothing to withdraw for {owner}{waiting}")
    return calls


def credit_calls(chain: Chain, account: str) -> list[Call]:
    """Pay out whatever the contracts owe an account: returned bounties, bonds and fees, tips, reporters' shares."""
    rewards, appeals, staking = chain.contracts.rewards, chain.contracts.appeals, chain.contracts.staking
    calls = []
    for owed, call, what in (
        (rewards.owed_to(account), rewards.withdraw(account), "returned bounties, bonds and fees, and tips"),
        (appeals.owed_to(account), appeals.withdraw(account), "appeal bonds"),
        (staking.owed_to(account), staking.pay_owed(account), "shares of slashes and undripped rewards"),
    ):
        if owed:
            calls.append(call.named(f"withdraw {about_cvy(owed)} ({what}) to {account}"))
    return calls


def _withdrawal(chain: Chain, entry: int, owner: str) -> Call:
    """Withdraw one unbonding entry at its present value."""
    staking = chain.contracts.staking
    found = staking.unbonding_entry(entry)
    purpose = (
        f"withdraw {about_cvy(found.tokens)} (unbonding entry {entry}) from the pool of {found.operator} to {owner}"
    )
    return staking.withdraw(entry).named(purpose)


def _approve_and_delegate(chain: Chain, delegator: str, operator: str, amount: int) -> list[Call]:
    token, staking = chain.contracts.token, chain.contracts.staking
    balance = token.balance_of(delegator)
    if balance < amount:
        raise InsufficientBalance(f"{delegator} holds {cvy(balance)}, less than {cvy(amount)}")
    calls = []
    if token.allowance(delegator, staking.address) < amount:
        calls.append(token.approve(staking.address, amount))
    return [*calls, staking.delegate(operator, amount)]
