"""What one account holds in a network: stake in pools and what it gained there, stake that leaves, credits, tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from covey.audit.chain import Chain
from covey.chain.events.decoder import Event
from covey.client.staking import OwnedEntry, entries_of


@dataclass(frozen=True, slots=True)
class PoolPosition:
    """An account's shares of one pool. Amounts are wei."""

    operator: str
    shares: int
    value: int
    """What the shares are worth now."""
    gained: int
    """Rewards less slashes since the account joined: `value` and what left the pool, less what came in."""


@dataclass(frozen=True, slots=True)
class Position:
    """All that an account holds, at the newest block. Amounts are wei."""

    account: str
    tokens: int
    """In the account itself."""
    pools: list[PoolPosition]
    entries: list[OwnedEntry]
    """Stake that left pools and is not withdrawn; see `entries_of`."""
    credits: int
    """Owed by the contracts: returned bounties, bonds and fees, tips, reporters' shares."""

    @property
    def total(self) -> int:
        """Everything together, entries at their present worth."""
        return self.tokens + self.credits + sum(p.value for p in self.pools) + sum(e.entry.worth for e in self.entries)


def read_position(chain: Chain, account: str) -> Position:
    """Read the position of an account from the contracts; what it gained follows from its events."""
    contracts = chain.contracts
    staking = contracts.staking
    flows = count_flows(chain.events(), account)
    pools = []
    for operator, invested in flows.items():
        shares = staking.shares_of(operator, account)
        value = staking.tokens_for(operator, shares) if shares else 0
        if shares or value != invested:
            pools.append(PoolPosition(operator, shares, value, value - invested))
    owed = contracts.rewards.owed_to(account) + contracts.appeals.owed_to(account) + staking.owed_to(account)
    return Position(account, contracts.token.balance_of(account), pools, entries_of(chain, account, flows), owed)


def count_flows(events: Iterable[Event], account: str) -> dict[str, int]:
    """By pool, what the account brought in less what it took out, wei; an empty pool may be 0 or below."""
    flows: Counter[str] = Counter()
    moves: dict[tuple[str, int], int] = {}
    for event in events:
        args = event.args
        if event.contract != "Staking" or args.get("delegator") != account:
            continue
        if event.name == "Delegated":
            flows[args["operator"]] += args["amount"]
        elif event.name == "Undelegated":
            flows[args["operator"]] -= args["amount"]
        elif event.name == "Cancelled":
            flows[args["operator"]] += args["amount"]
        elif event.name == "Redelegated":
            flows[args["from"]] -= args["amount"]
            moves[args["from"], args["index"]] = args["amount"]
        elif event.name == "MoveEnded":  # the shares of the pool that it moved to become the owner's
            flows[args["to"]] += moves.get((args["operator"], args["index"]), 0)
    return dict(flows)
