"""One module per kind of duty. Each has `advance`, which takes the duty one step further without blocking.

A job, fetch or transaction that `advance` starts is stored under the duty's key. So repeated calls, also after a crash,
continue it and start nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable

from covey.daemon.context import Context
from covey.daemon.duties import (
    appeals,
    claims,
    enrol,
    enter,
    permissionless,
    publish,
    reports,
    reveal_entry,
    reveal_scores,
    score,
    settle,
)
from covey.daemon.duties.outcomes import Step
from covey.daemon.planning.duty import Duty, DutyKind
from covey.daemon.state.task import Task

Advance = Callable[[Context, Task, Duty], Step]

ADVANCE: dict[DutyKind, Advance] = {
    DutyKind.ENTER: enter.advance,
    DutyKind.REVEAL_ENTRY: reveal_entry.advance,
    DutyKind.PUBLISH_ENTRY: publish.entry,
    DutyKind.ENROL: enrol.advance,
    DutyKind.SCORE: score.advance,
    DutyKind.REVEAL_SCORES: reveal_scores.advance,
    DutyKind.PUBLISH_SHEET: publish.sheet,
    DutyKind.CLOSE_TASK: permissionless.close_task,
    DutyKind.REQUEST_SEED: permissionless.request_seed,
    DutyKind.FIX_SEED: permissionless.fix_seed,
    DutyKind.SETTLE_PAGE: settle.advance,
    DutyKind.FAIL_ROUND: permissionless.fail_round,
    DutyKind.FINALISE: permissionless.finalise,
    DutyKind.EXPIRE: permissionless.expire,
    DutyKind.REPORT_ABSENT: reports.absent,
    DutyKind.REPORT_UNREVEALED: reports.unrevealed,
    DutyKind.REPORT_MISSED: reports.missed,
    DutyKind.APPEAL_ABSTAIN: appeals.abstain,
    DutyKind.APPEAL_REQUEST_SEED: appeals.request_seed,
    DutyKind.APPEAL_FIX_SEED: appeals.fix_seed,
    DutyKind.SETTLE_CONTESTS: appeals.settle,
    DutyKind.FAIL_APPEAL: appeals.fail,
    DutyKind.RESOLVE_CONTEST: appeals.resolve,
    DutyKind.REPORT_OVERTURNED: appeals.report_overturned,
    DutyKind.REPORT_JUROR: appeals.report_juror,
    DutyKind.REPORT_SILENT: reports.silent_juror,
    DutyKind.APPEAL_REPORT_ABSENT: reports.appeal_absent,
    DutyKind.APPEAL_REPORT_UNREVEALED: reports.appeal_unrevealed,
    DutyKind.RELEASE_EARMARK: claims.release_earmark,
    DutyKind.CLAIM_ENTRY: claims.claim_entry,
    DutyKind.CLAIM_SCORING: claims.claim_scoring,
    DutyKind.CLAIM_FEE: claims.claim_fee,
    DutyKind.CLAIM_APPEAL: appeals.claim,
    DutyKind.RELEASE_APPEAL: appeals.release,
}
"""How to advance each duty of a task."""

WITHDRAWALS: dict[DutyKind, Callable[[Context, Duty], Step]] = {
    DutyKind.WITHDRAW: claims.withdraw,
    DutyKind.WITHDRAW_BONDS: appeals.withdraw,
    DutyKind.PAY_OWED: claims.pay_owed,
}
"""How to advance the duties that belong to an account and not to a task."""
