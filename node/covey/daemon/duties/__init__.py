"""One module a duty. Each has `advance`: take the duty one step further, never blocking, and say what it waits for.

Whatever `advance` has begun (a job, a fetch, a transaction) is kept under the duty's key, so calling it again after a
crash, or a thousand times over, goes on where it was and does nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable

from covey.daemon.context import Context, Step
from covey.daemon.duties import (
    appeals,
    claims,
    enrol,
    enter,
    publish,
    reports,
    reveal_entry,
    reveal_scores,
    score,
    settle,
)
from covey.daemon.duties import permissionless as open_steps
from covey.daemon.planning.plan import Duty, DutyKind
from covey.daemon.state.world import Task

Advance = Callable[[Context, Task, Duty], Step]

ADVANCE: dict[DutyKind, Advance] = {
    DutyKind.ENTER: enter.advance,
    DutyKind.REVEAL_ENTRY: reveal_entry.advance,
    DutyKind.PUBLISH_ENTRY: publish.entry,
    DutyKind.ENROL: enrol.advance,
    DutyKind.SCORE: score.advance,
    DutyKind.REVEAL_SCORES: reveal_scores.advance,
    DutyKind.PUBLISH_SHEET: publish.sheet,
    DutyKind.CLOSE_TASK: open_steps.close_task,
    DutyKind.REQUEST_SEED: open_steps.request_seed,
    DutyKind.FIX_SEED: open_steps.fix_seed,
    DutyKind.SETTLE_PAGE: settle.advance,
    DutyKind.FAIL_ROUND: open_steps.fail_round,
    DutyKind.FINALISE: open_steps.finalise,
    DutyKind.EXPIRE: open_steps.expire,
    DutyKind.REPORT_ABSENT: reports.absent,
    DutyKind.REPORT_UNREVEALED: reports.unrevealed,
    DutyKind.APPEAL_ABSTAIN: appeals.abstain,
    DutyKind.APPEAL_REQUEST_SEED: appeals.request_seed,
    DutyKind.APPEAL_FIX_SEED: appeals.fix_seed,
    DutyKind.SETTLE_CONTESTS: appeals.settle,
    DutyKind.FAIL_APPEAL: appeals.fail,
    DutyKind.RESOLVE_CONTEST: appeals.resolve,
    DutyKind.REPORT_OVERTURNED: appeals.report_overturned,
    DutyKind.APPEAL_REPORT_ABSENT: reports.appeal_absent,
    DutyKind.APPEAL_REPORT_UNREVEALED: reports.appeal_unrevealed,
    DutyKind.RELEASE_EARMARK: claims.release_earmark,
    DutyKind.CLAIM_ENTRY: claims.claim_entry,
    DutyKind.CLAIM_SCORING: claims.claim_scoring,
    DutyKind.CLAIM_FEE: claims.claim_fee,
    DutyKind.CLAIM_APPEAL: appeals.claim,
    DutyKind.RELEASE_APPEAL: appeals.release,
}
"""What every duty of a task is done by."""

WITHDRAWALS: dict[DutyKind, Callable[[Context, Duty], Step]] = {
    DutyKind.WITHDRAW: claims.withdraw,
    DutyKind.WITHDRAW_BONDS: appeals.withdraw,
    DutyKind.PAY_OWED: claims.pay_owed,
}
"""What has no task: paying out what an account is owed."""
