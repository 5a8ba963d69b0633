"""Sortition: the number of committee seats for an operator's earmarked stake.

Systematic rounding of the exact share: an operator with a fraction e/S of the stake expects exactly K e/S seats, and
gets one of the two nearest integers. Splitting stake between operators does not change the expected sum.
"""

from __future__ import annotations

from covey.protocol.abi import hash_of


def seats(
    chain_id: int,
    scoring: str,
    task_id: int,
    round_number: int,
    seed: bytes,
    operator: str,
    earmark: int,
    total: int,
    target_seats: int,
) -> int:
    """Seats of ``operator``: floor((K e + floor((u >> 128) S / 2^128)) / S), u a hash of seed and operator.

    Args:
        earmark: e, the operator's stake earmarked for the task, wei.
        total: S, all stake earmarked for the task, wei.
        target_seats: K, the task's target number of seats.

    Raises:
        ValueError: no stake, or an earmark that is larger than the total.
    """
    if total <= 0 or not 0 <= earmark <= total:
        raise ValueError(f"earmark {earmark} of {total} is not a share of the stake")
    draw = int.from_bytes(hash_of(chain_id, scoring, task_id, round_number, seed, operator), "big") >> 128
    return (target_seats * earmark + (draw * total >> 128)) // total
