"""Faults of a validator that a third party can prove, and their penalties.

A fault costs a fixed share of the earmark. The pool's cap on absences may reduce it. The reporter is paid at most a
tenth of the penalty and at most half of the operator's own loss.
"""

from __future__ import annotations

from covey.protocol.types import Fault

BPS = 10_000
SLASH_BPS = {Fault.ABSENT: 100, Fault.UNREVEALED: 500, Fault.OVERTURNED: 1_000}
"""Penalty of a fault as a share of the earmark, 1/10000."""
REPORTER_MAX_BPS = 1_000
"""Maximum share of the penalty that a reporter is paid, 1/10000."""


def slash_of(fault: Fault, earmark: int) -> int:
    """Penalty of a fault before the cap on absences, wei."""
    return earmark * SLASH_BPS[fault] // BPS


def stake_in_round(round_number: int, earmark: int, abstained: bool, unrevealed: bool, reported: bool) -> int:
    """The stake with which an operator takes part in a round's draw, wei.

    An operator that abstained in the first round, committed without revealing, or was reported is not drawn again.
    """
    return 0 if round_number > 0 and (abstained or unrevealed or reported) else earmark
