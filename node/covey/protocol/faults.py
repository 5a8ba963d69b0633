"""What a third party can prove of a validator, and what it costs.

A fault takes a share of the earmark, never more. The cap on absences of a pool may make it less; the reporter gets at
most a tenth of what was taken, and at most half of what the operator itself lost.
"""

from __future__ import annotations

from covey.protocol.types import Fault

BPS = 10_000
SLASH_BPS = {Fault.ABSENT: 100, Fault.UNREVEALED: 500, Fault.OVERTURNED: 1_000}
"""What a fault takes of the earmark, 1/10000."""
REPORTER_MAX_BPS = 1_000
"""Most that a reporter is paid of what was taken, 1/10000."""


def slash_of(fault: Fault, earmark: int) -> int:
    """What a fault takes of an earmark before the cap on absences, wei."""
    return earmark * SLASH_BPS[fault] // BPS


def stake_in_round(round_number: int, earmark: int, abstained: bool, unrevealed: bool, reported: bool) -> int:
    """The stake by which an operator is drawn into a round, wei.

    Whoever abstained in the first round, committed there without revealing, or was reported for it, is not drawn again.
    """
    return 0 if round_number > 0 and (abstained or unrevealed or reported) else earmark
