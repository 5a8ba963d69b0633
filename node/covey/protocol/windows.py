"""In which window a task is, by chain time.

A window runs from its start up to but not including its end, as in the contracts. Settling does not wait for the end
of the reveals once every committed row is revealed.
"""

from __future__ import annotations

from enum import StrEnum

from covey.protocol.settlement import quorum
from covey.protocol.types import Evaluation, Outcome, Round, Schedule, TaskParams, TaskState


class Phase(StrEnum):
    """What a task waits for."""

    ENTRY_COMMIT = "entry commit"
    ENROL = "enrol"
    ENTRY_REVEAL = "entry reveal"
    OPEN = "open"
    """The creator opens the sealed set."""
    SEED_REQUEST = "seed request"
    SEED_FIX = "seed fix"
    SCORE_COMMIT = "score commit"
    SCORE_REVEAL = "score reveal"
    SETTLE = "settle"
    APPEAL = "appeal"
    FINALISE = "finalise"
    CLOSE = "close"
    """It cannot go on; anyone may close it: no entry, too little stake, or a sealed set that stayed shut."""
    FAIL = "fail"
    """The quorum was missed; anyone may say so."""
    EXPIRE = "expire"
    """Past its absolute deadline; anyone may force its end."""
    ENDED = "ended"


def phase(params: TaskParams, schedule: Schedule, state: TaskState, round_: Round | None, now: int) -> Phase:
    """The phase at chain time ``now``; ``round_`` is None until the seed was requested."""
    if state.outcome != Outcome.RUNNING:
        return Phase.ENDED
    if round_ is not None and round_.settled_at:  # a settled task does not expire
        return Phase.APPEAL if now < round_.settled_at + params.windows.appeal else Phase.FINALISE
    if now >= schedule.expires_at:
        return Phase.EXPIRE
    if now < schedule.entry_commit_end:
        return Phase.ENTRY_COMMIT
    if state.committed == 0:
        return Phase.CLOSE
    if now < schedule.enrol_end:
        return Phase.ENROL
    if state.total_earmarked < max(params.min_stake, 1):
        return Phase.CLOSE
    if now < schedule.entry_reveal_end:
        return Phase.ENTRY_REVEAL
    if state.revealed == 0:
        return Phase.CLOSE
    if params.evaluation == Evaluation.SEALED and not state.sealed_open:
        return Phase.OPEN if now < schedule.open_end else Phase.CLOSE
    return _scoring_phase(params, round_, now)


def _scoring_phase(params: TaskParams, round_: Round | None, now: int) -> Phase:
    if round_ is None or round_.target == 0:
        return Phase.SEED_REQUEST
    if not round_.seeded:
        return Phase.SEED_FIX
    if now < round_.score_commit_end:
        return Phase.SCORE_COMMIT
    if now < round_.score_reveal_end and round_.revealed_rows < round_.committed_rows:
        return Phase.SCORE_REVEAL
    if not quorum(round_.revealed_seats, round_.committed_seats, params.target_seats):
        return Phase.FAIL
    return Phase.SETTLE
