"""Faults of a validator that a third party can prove, and their penalties.

A fault costs a fixed share of the *unit* for each of the operator's seats. The unit is the part of the bounty that a
seat of the round decides on, so splitting or merging stake changes no expected penalty. A slash takes at most what the
earmark has left, and the pool's cap on absences may reduce it. The reporter is paid at most a tenth of the slash and at
most half of the operator's own loss.
"""

from __future__ import annotations

from covey.protocol.types import Fault, SlashKind

BPS = 10_000
RATE_BPS = {Fault.ABSENT: 500, Fault.UNREVEALED: 2_500, Fault.OVERTURNED: 5_000}
"""Penalty of a fault per seat, 1/10000 of the unit."""
MISSED_BPS = 2_500
"""Further penalty per silent seat of a missed round whose task did not fail, 1/10000 of the unit."""
FAILED_BPS = 10_000
"""The same in a missed round of a task that failed."""
KINDS = {Fault.ABSENT: SlashKind.CAPPED, Fault.UNREVEALED: SlashKind.CAPPED, Fault.OVERTURNED: SlashKind.OVERTURNED}
"""How the slash of a fault treats the pool."""
REPORTER_MAX_BPS = 1_000
"""Maximum share of the penalty that a reporter is paid, 1/10000."""


def bounty_limit(stake: int, stake_multiple_bps: int) -> int:
    """Largest bounty, top-ups included, that ``stake`` wei of enrolled stake may decide on, wei."""
    return stake * BPS // stake_multiple_bps


def unit(bounty: int, limit: int, stake: int, total: int, seats: int) -> int:
    """Part of the bounty for each of ``seats`` seats drawn from ``stake``: floor(min(bounty, limit) stake / (S seats)).

    Args:
        bounty: bounty with top-ups, wei.
        limit: `bounty_limit` of the larger of the task's minimum stake and its enrolled stake, wei.
        stake: stake from which the round is drawn, wei.
        total: S, all stake enrolled for the task, wei. Without any the unit is 0.
        seats: seats that the round asks for.
    """
    return min(bounty, limit) * stake // (total * seats) if total and seats else 0


def slash_of(fault: Fault, seats: int, seat_unit: int) -> int:
    """Penalty of a fault before the limits of earmark and cap, wei."""
    return seats * seat_unit * RATE_BPS[fault] // BPS


def missed_slash(seats: int, seat_unit: int, failed: bool) -> int:
    """Penalty of silent seats in a missed round before the limits of earmark and cap, wei.

    Args:
        failed: whether the task failed.
    """
    return seats * seat_unit * (FAILED_BPS if failed else MISSED_BPS) // BPS


def missed_kind(failed: bool) -> SlashKind:
    """How the slash for silent seats treats the pool."""
    return SlashKind.FAILED_TASK if failed else SlashKind.MISSED_ROUND


def stake_in_round(round_number: int, earmark: int, abstained: bool, unrevealed: bool, reported: bool) -> int:
    """The stake with which an operator takes part in a round's draw, wei.

    An operator that abstained in a missed first round, committed without revealing, or was reported is not drawn again.
    Nobody leaves for a void round: give False for all three.
    """
    return 0 if round_number > 0 and (abstained or unrevealed or reported) else earmark


def least_enrolment(min_stake: int, target_seats: int) -> int:
    """Smallest earmark with which an operator may enrol: the least stake of a seat, ceil(minStake / K), wei."""
    return -(-min_stake // target_seats)
