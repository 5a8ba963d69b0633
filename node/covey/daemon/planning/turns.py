"""When a node takes a step that anybody may take, so that few nodes send the same transaction.

All nodes see at once that such a step is due, but only the first transaction counts; the others are reverted and burn
gas. So each node waits for a pseudo-random part of n · δ, where n is the number of nodes that may act and δ the time
after which a sent transaction is seen by the others: one block and its propagation. The first of n acts after about one
δ, whatever n is, and about one more acts before it sees the first one's transaction.
"""

from __future__ import annotations

from eth_hash.auto import keccak

from covey.daemon.planning.duty import Duty
from covey.daemon.state.task import Task

OTHERS_LATER = 8
"""Operators without a part in the task wait for so many δ more, in case none of its own acts."""


def turn_fraction(operator: str, duty: Duty) -> float:
    """The operator's place in the queue for a step, 0 ≤ fraction < 1, by hash of operator and step."""
    digest = keccak(f"{operator.lower()}/{duty.key}".encode())
    return int.from_bytes(digest[:6], "big") / 2**48


def wait_in_turn(operator: str, duty: Duty, participants: frozenset[str], operators: int) -> float:
    """How long the operator leaves a step to others, counted in δ.

    Args:
        participants: entrants and enrolled validators of the duty's task; empty for a duty without a task.
        operators: number of registered operators of the network.
    """
    fraction = turn_fraction(operator, duty)
    if operator in participants:
        return fraction * len(participants)
    later = OTHERS_LATER if participants else 0
    return later + fraction * max(1, operators, len(participants))


def participants_of(task: Task | None) -> frozenset[str]:
    """Operators with an entry or an enrolment in the task."""
    return frozenset() if task is None else frozenset((*task.entries, *task.enrolled))
