"""The phase of a task at a chain time.

A window includes its start and excludes its end, as in the contracts. Settlement starts before the end of the reveal
window once every committed row is revealed.
"""

from __future__ import annotations

from enum import StrEnum

from covey.protocol.settlement import quorum
from covey.protocol.types import Evaluation, Outcome, Round, Schedule, TaskParams, TaskState, Windows


class Phase(StrEnum):
    """The step that a task waits for."""

    ENTRY_COMMIT = "entry commit"
    ENROL = "enrol"
    ENTRY_REVEAL = "entry reveal"
    OPEN = "open"
    """The creator opens the sealed set."""
    REPORTS = "reports"
    """A missed quorum is reported before the seed of the second committee can be requested."""
    SEED_REQUEST = "seed request"
    SEED_FIX = "seed fix"
    SCORE_COMMIT = "score commit"
    SCORE_REVEAL = "score reveal"
    SETTLE = "settle"
    APPEAL = "appeal"
    """Words can be contested, or a contested word is not resolved yet."""
    FINALISE = "finalise"
    CLOSE = "close"
    """Anyone may close it: too few entries, too little stake, or a sealed set that was not opened."""
    FAIL = "fail"
    """The quorum was missed; anyone may fail the round."""
    WAIT = "deadline"
    """Too late to settle, too early to expire."""
    EXPIRE = "expire"
    """The absolute deadline has passed; anyone may force the end."""
    ENDED = "ended"


def phase(
    params: TaskParams,
    schedule: Schedule,
    state: TaskState,
    round_: Round | None,
    now: int,
    contested: bool = False,
    request_from: int = 0,
) -> Phase:
    """The phase at chain time ``now``. ``round_`` is None until the (second) committee's seed is requested.

    Args:
        contested: whether a contested word is not resolved yet, which blocks finalisation.
        request_from: time from which the seed of a second committee can be requested; 0 for a first one.
    """
    if state.outcome != Outcome.RUNNING:
        return Phase.ENDED
    if round_ is not None and round_.settled_at:  # a settled task does not expire
        open_to_appeal = contested or now < round_.settled_at + params.windows.appeal
        return Phase.APPEAL if open_to_appeal else Phase.FINALISE
    if now >= schedule.expires_at:
        return Phase.EXPIRE
    if now < schedule.entry_commit_end:
        return Phase.ENTRY_COMMIT
    if state.committed < params.min_entries:
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
    return _scoring_phase(params, schedule, round_, now, request_from)


def reports_end(failed_at: int, settle: int) -> int:
    """Time from which a second committee's seed can be requested: a quarter of ``settle`` after the round was lost."""
    return failed_at + settle // 4


def seed_in_time(now: int, windows: Windows, until: int, appeal: int) -> bool:
    """Whether a seed requested or fixed at ``now`` leaves time for the score windows and ``appeal`` before ``until``.

    The contracts refuse a later seed, so that validators do not work on a round that would expire.
    """
    return now + windows.score_commit + windows.score_reveal + appeal <= until


def _scoring_phase(params: TaskParams, schedule: Schedule, round_: Round | None, now: int, request_from: int) -> Phase:
    if round_ is None or round_.target == 0:
        return Phase.REPORTS if now < request_from else Phase.SEED_REQUEST
    if not round_.seeded:
        return Phase.SEED_FIX
    if now < round_.score_commit_end:
        return Phase.SCORE_COMMIT
    if now < round_.score_reveal_end and round_.revealed_rows < round_.committed_rows:
        return Phase.SCORE_REVEAL
    if not quorum(round_.revealed_seats, round_.committed_seats, params.target_seats):
        return Phase.FAIL
    # The contract settles no page later, so that reports against an appeal's rows end in time.
    return Phase.SETTLE if now < schedule.expires_at - params.windows.appeal else Phase.WAIT
