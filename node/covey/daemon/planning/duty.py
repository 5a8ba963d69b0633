"""What can be due, by what name the journal knows it, and whose turn it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from eth_hash.auto import keccak

from covey.config.node import Role

NO_DEADLINE = 2**48
"""Deadline of what has none, in the place of a unix time."""


class DutyKind(StrEnum):
    ENTER = "enter"
    REVEAL_ENTRY = "reveal-entry"
    PUBLISH_ENTRY = "publish-entry"
    ENROL = "enrol"
    SCORE = "score"
    REVEAL_SCORES = "reveal-scores"
    PUBLISH_SHEET = "publish-sheet"
    CLOSE_TASK = "close-task"
    REQUEST_SEED = "request-seed"
    FIX_SEED = "fix-seed"
    SETTLE_PAGE = "settle-page"
    FAIL_ROUND = "fail-round"
    FINALISE = "finalise"
    EXPIRE = "expire"
    REPORT_ABSENT = "report-absent"
    REPORT_UNREVEALED = "report-unrevealed"
    APPEAL_ABSTAIN = "appeal-abstain"
    APPEAL_REQUEST_SEED = "appeal-request-seed"
    APPEAL_FIX_SEED = "appeal-fix-seed"
    SETTLE_CONTESTS = "settle-contests"
    FAIL_APPEAL = "fail-appeal"
    RESOLVE_CONTEST = "resolve-contest"
    REPORT_OVERTURNED = "report-overturned"
    APPEAL_REPORT_ABSENT = "appeal-report-absent"
    APPEAL_REPORT_UNREVEALED = "appeal-report-unrevealed"
    RELEASE_EARMARK = "release-earmark"
    RELEASE_APPEAL = "release-appeal"
    CLAIM_ENTRY = "claim-entry"
    CLAIM_SCORING = "claim-scoring"
    CLAIM_FEE = "claim-fee"
    CLAIM_APPEAL = "claim-appeal"
    WITHDRAW = "withdraw"
    WITHDRAW_BONDS = "withdraw-bonds"
    PAY_OWED = "pay-owed"


PERMISSIONLESS = frozenset(
    {
        DutyKind.CLOSE_TASK,
        DutyKind.REQUEST_SEED,
        DutyKind.FIX_SEED,
        DutyKind.SETTLE_PAGE,
        DutyKind.FAIL_ROUND,
        DutyKind.FINALISE,
        DutyKind.EXPIRE,
        DutyKind.REPORT_ABSENT,
        DutyKind.REPORT_UNREVEALED,
        DutyKind.APPEAL_REQUEST_SEED,
        DutyKind.APPEAL_FIX_SEED,
        DutyKind.SETTLE_CONTESTS,
        DutyKind.FAIL_APPEAL,
        DutyKind.RESOLVE_CONTEST,
        DutyKind.REPORT_OVERTURNED,
        DutyKind.APPEAL_REPORT_ABSENT,
        DutyKind.APPEAL_REPORT_UNREVEALED,
    }
)
"""Steps that any node could take: nodes stagger them and the first one wins."""


@dataclass(frozen=True, slots=True, order=True)
class Duty:
    """One thing to do. `deadline` in chain time; `round`, `page` (a contest's number too) and `account` where the kind
    has them."""

    deadline: int
    kind: DutyKind
    task: int
    round: int = 0
    page: int = 0
    account: str = ""

    @property
    def key(self) -> str:
        """Its name in the journal: the same duty always has the same."""
        if not self.task:  # of an account
            return f"{self.kind.value}/0/{self.account}"
        about = f"/{self.account}" if self.account else ""
        return f"{self.kind.value}/{self.task}/{self.round}/{self.page}{about}"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who plans, on which network. Addresses in checksum form, as events carry them."""

    operator: str
    signer: str
    roles: tuple[Role, ...]
    chain_id: int
    scoring: str
    auto_claim: bool = True
    withdraw_min: int = 0
    accounts: tuple[str, ...] = ()
    """Whose credits to withdraw beside the operator's and the signer's: the reward address."""
    appeal_committee: str = ""


def stagger_fraction(operator: str, duty: Duty) -> float:
    """Where in the queue for an open step this operator stands, 0 ≤ turn < 1: by hash, another order for each step."""
    digest = keccak(f"{operator.lower()}/{duty.key}".encode())
    return int.from_bytes(digest[:6], "big") / 2**48
