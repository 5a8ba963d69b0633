"""What a payment does, in words: how much, from where, to where. Amounts are wei. For `Call.named`."""

from __future__ import annotations

from covey.chain.units import about_cvy

CREDITS = "returned bounties, bonds and fees, and tips"
BOND_CREDITS = "appeal bonds"
SHARES = "shares of slashes and undripped rewards"


def claimed_scoring(task: int, operator: str, amount: int) -> str:
    """The reward of a validator."""
    return f"claim {about_cvy(amount)} for scoring task {task} into the pool of {operator}"


def claimed_entry(task: int, operator: str, amount: int) -> str:
    """The reward of an entry."""
    return f"claim {about_cvy(amount)} for the entry to task {task} into the pool of {operator}"


def returned_fee(task: int, amount: int) -> str:
    """The fee of an entry to a task that was refunded or failed."""
    return f"return the entry fee of {about_cvy(amount)} of task {task} to the operator's reward address"


def released(task: int, operator: str, amount: int) -> str:
    """The earmark of a task that has ended."""
    return f"release the earmark of {about_cvy(amount)} for task {task} in the pool of {operator}"


def withdrawn(amount: int, what: str, account: str) -> str:
    """A credit; `what` it consists of is one of the constants of this module."""
    return f"withdraw {about_cvy(amount)} ({what}) to {account}"
