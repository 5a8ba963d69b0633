"""Calls that move stake. Each function checks its arguments against the chain and returns calls; it sends nothing.

Amounts are wei of CVY. `Wallet.send_all` sends the calls.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from covey.audit.chain import Chain
from covey.chain.contracts import purposes
from covey.chain.contracts.base import Call
from covey.chain.contracts.staking import Pool, UnbondingEntry
from covey.chain.signing.consent import recover_consent
from covey.chain.units import about_cvy, cvy, format_time
from covey.client.errors import InsufficientBalance, InvalidInput, NothingToDo

ZERO_ADDRESS = "0x" + "00" * 20
MAX_COUNTED = 32
"""Slashes that one withdrawal counts; see IStaking.withdraw."""


@dataclass(frozen=True, slots=True)
class OwnedEntry:
    """An entry of stake that left a pool, and its place."""

    operator: str
    index: int
    entry: UnbondingEntry
    calls: int
    """Withdrawals that it takes; more than one only after more than 32 slashes."""

    @property
    def name(self) -> str:
        """OPERATOR/INDEX, as the command line takes it."""
        return f"{self.operator}/{self.index}"


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
    consent: bytes = b"",
    reward_address: str | None = None,
    commission_bps: int = 500,
) -> list[Call]:
    """Open the owner's pool if it has none yet, then add `amount` to its self-bond.

    Args:
        signer: the hot key that acts for the owner; used when the pool is opened.
        consent: the signer's signature of `contracts.staking.consent_of(owner)`; see `sign_consent`. Used when the pool
            is opened.
        reward_address: receives the commission; None is the owner. Used when the pool is opened.
        commission_bps: the operator's share of rewards before delegators, 1/10000. Used when the pool is opened.

    Raises:
        InvalidInput: the commission is above the highest allowed, the self-bond would stay below the minimum, or the
            consent is not the signer's.
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
        check_consent(chain, owner, signer, consent)
        calls.append(staking.register_operator(signer, reward_address or owner, commission_bps, consent))
    return calls + _approve_and_delegate(chain, owner, owner, amount)


def delegate_calls(chain: Chain, delegator: str, operator: str, amount: int) -> list[Call]:
    """Delegate `amount` to an operator's pool.

    Raises:
        InvalidInput: the address is no operator, or its pool is closed to others.
        InsufficientBalance: the delegator holds less than `amount`.
    """
    _open_pool(chain, delegator, operator)
    return _approve_and_delegate(chain, delegator, operator, amount)


def undelegate_calls(chain: Chain, delegator: str, operator: str, amount: int | None = None) -> list[Call]:
    """Start leaving a pool with `amount`, or with everything if None.

    The tokens stay slashable until the unbonding period is over; then `withdraw_calls` takes them out.

    Raises:
        InvalidInput: the address is no operator, or the delegator owns less than `amount` of its pool.
    """
    staking = chain.contracts.staking
    shares = _shares_worth(chain, delegator, operator, amount)
    free = format_time(chain.now() + staking.unbonding_period())
    worth = staking.tokens_for(operator, shares) if amount is None else amount
    purpose = f"unbond {about_cvy(worth)} from the pool of {operator}"
    return [staking.undelegate(operator, shares, 0).named(f"{purpose}, to withdraw from {free} UTC on")]


def redelegate_calls(chain: Chain, delegator: str, source: str, target: str, amount: int | None = None) -> list[Call]:
    """Move `amount`, or everything if None, from one pool to another, without unbonding first.

    For one unbonding period the stake is slashable in both pools; then `withdraw_calls` makes the shares free.

    Raises:
        InvalidInput: an address is no operator, the target is closed to others, or the delegator owns less.
    """
    if source == target:
        raise InvalidInput(f"{source} is both the source and the target")
    registered_pool(chain, source)
    _open_pool(chain, delegator, target)
    shares = _shares_worth(chain, delegator, source, amount)
    staking = chain.contracts.staking
    worth = staking.tokens_for(source, shares) if amount is None else amount
    purpose = f"move {about_cvy(worth)} from the pool of {source} to that of {target}"
    return [staking.redelegate(source, target, shares, 0).named(purpose)]


def cancel_calls(chain: Chain, owner: str, operator: str, index: int) -> list[Call]:
    """Delegate an entry to the pool that it left, at any time before it is withdrawn.

    Raises:
        InvalidInput: the entry is unknown or moved to another pool, or the pool is closed to others.
    """
    owned = _entry(chain, owner, operator, index)
    if owned.entry.moved:
        raise InvalidInput(f"entry {owned.name} moved to {owned.entry.moved_to} and cannot be cancelled")
    _open_pool(chain, owner, operator)
    return [chain.contracts.staking.cancel(operator, index)] * owned.calls


def operators(chain: Chain) -> list[str]:
    """All operators, in the order of registration."""
    staking = chain.contracts.staking
    return [staking.operator_at(index) for index in range(staking.operator_count())]


def entries_of(chain: Chain, owner: str, among: Iterable[str] | None = None) -> list[OwnedEntry]:
    """The owner's entries that are not withdrawn or cancelled, in the pools `among`, or in all (None)."""
    staking = chain.contracts.staking
    found = []
    for operator in operators(chain) if among is None else among:
        for index in range(staking.entry_count(operator, owner)):
            entry = staking.entry_of(operator, owner, index)
            if entry.open:
                found.append(_owned(chain, operator, index, entry))
    return found


def withdraw_calls(chain: Chain, owner: str, operator: str | None = None, index: int | None = None) -> list[Call]:
    """End one finished entry, all of one pool, or (None) all of them and take whatever the contracts owe the owner.

    Raises:
        NothingToDo: there is nothing to withdraw.
        InvalidInput: the entry is unknown or not over yet.
    """
    now = chain.now()
    if operator is not None and index is not None:
        owned = _entry(chain, owner, operator, index)
        if owned.entry.until > now:
            raise InvalidInput(f"entry {owned.name} ends at {format_time(owned.entry.until)} UTC, not yet")
        return _withdrawals(chain, owned, owner)
    entries = entries_of(chain, owner, None if operator is None else [operator])
    calls = []
    for one in sorted(entries, key=lambda one: one.entry.until):
        if one.entry.until <= now:
            calls += _withdrawals(chain, one, owner)
    if operator is None:
        calls += credit_calls(chain, owner)
    if not calls:
        waiting = ""
        if entries:
            first = format_time(min(one.entry.until for one in entries))
            waiting = f"; the next of {len(entries)} unbonding entries ends at {first} UTC"
        raise NothingToDo(f"nothing to withdraw for {owner}{waiting}")
    return calls


def credit_calls(chain: Chain, account: str) -> list[Call]:
    """Pay out whatever the contracts owe an account: returned bounties, bonds and fees, tips, reporters' shares."""
    rewards, appeals, staking = chain.contracts.rewards, chain.contracts.appeals, chain.contracts.staking
    calls = []
    for owed, call, what in (
        (rewards.owed_to(account), rewards.withdraw(account), purposes.CREDITS),
        (appeals.owed_to(account), appeals.withdraw(account), purposes.BOND_CREDITS),
        (staking.owed_to(account), staking.pay_owed(account), purposes.SHARES),
    ):
        if owed:
            calls.append(call.named(purposes.withdrawn(owed, what, account)))
    return calls


def _withdrawals(chain: Chain, owned: OwnedEntry, owner: str) -> list[Call]:
    """Withdraw one entry at its present worth; more than one call counts the slashes first."""
    entry = owned.entry
    where = f"from the pool of {owned.operator}"
    if entry.moved:
        purpose = f"free {about_cvy(entry.worth)} (entry {owned.name}) that moved {where} to that of {entry.moved_to}"
    else:
        purpose = f"withdraw {about_cvy(entry.worth)} (entry {owned.name}) {where} to {owner}"
    return [chain.contracts.staking.withdraw(owned.operator, owner, owned.index).named(purpose)] * owned.calls


def check_consent(chain: Chain, operator: str, signer: str, consent: bytes) -> None:
    """Check a signer's consent to act for an operator.

    Raises:
        InvalidInput: it is missing, of another key, or for another operator, deployment or nonce.
    """
    wanted = chain.contracts.staking.consent_of(operator)
    found = recover_consent(wanted, consent)
    if found is None or found.lower() != signer.lower():
        problem = "there is no consent" if not consent else "the consent is not"
        raise InvalidInput(
            f"{problem} of {signer} to act for {operator}: sign it with that key, `covey keys consent {operator}`",
            parameter="consent",
        )


def _entry(chain: Chain, owner: str, operator: str, index: int) -> OwnedEntry:
    entry = chain.contracts.staking.entry_of(operator, owner, index)
    if not entry.open:
        names = [one.name for one in entries_of(chain, owner)]
        others = f" (it has {', '.join(names)})" if names else ""
        raise InvalidInput(f"{owner} has no unbonding entry {operator}/{index}{others}")
    return _owned(chain, operator, index, entry)


def _owned(chain: Chain, operator: str, index: int, entry: UnbondingEntry) -> OwnedEntry:
    left = chain.contracts.staking.pool_of(operator).records - entry.records
    return OwnedEntry(operator, index, entry, max(1, -(-left // MAX_COUNTED)))


def _open_pool(chain: Chain, delegator: str, operator: str) -> None:
    """Raises InvalidInput if the delegator cannot add to the pool."""
    pool = registered_pool(chain, operator)
    if not pool.bonded and delegator != operator:
        least = chain.contracts.staking.min_self_bond()
        raise InvalidInput(
            f"the pool of {operator} is closed: its operator holds {cvy(pool.self_bond)}, less than {cvy(least)}"
        )


def _shares_worth(chain: Chain, delegator: str, operator: str, amount: int | None) -> int:
    """The delegator's shares of a pool that are worth `amount`; all of them for None."""
    pool = registered_pool(chain, operator)
    staking = chain.contracts.staking
    owned = staking.shares_of(operator, delegator)
    if not owned:
        raise InvalidInput(f"{delegator} has nothing in the pool of {operator}")
    if delegator == operator and pool.earmarked:
        raise InvalidInput(
            f"{cvy(pool.earmarked)} of {operator} are behind tasks: its own stake stays until they are released"
        )
    worth = staking.tokens_for(operator, owned)
    if amount is not None and amount > worth:
        raise InvalidInput(f"{delegator} owns {cvy(worth)} of the pool of {operator}, less than {cvy(amount)}")
    return owned if amount is None else min(owned, -(-amount * pool.active_shares // max(1, pool.active_tokens)))


def _approve_and_delegate(chain: Chain, delegator: str, operator: str, amount: int) -> list[Call]:
    token, staking = chain.contracts.token, chain.contracts.staking
    balance = token.balance_of(delegator)
    if balance < amount:
        raise InsufficientBalance(f"{delegator} holds {cvy(balance)}, less than {cvy(amount)}")
    calls = []
    if token.allowance(delegator, staking.address) < amount:
        calls.append(token.approve(staking.address, amount))
    return [*calls, staking.delegate(operator, amount)]
