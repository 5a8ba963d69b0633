"""Duties: their kinds, journal keys and order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from covey.config.types import Role

NO_DEADLINE = 2**48
"""Stands for a missing deadline; later than any unix time."""

_TASK_DIGITS = 78
"""Digits of the largest task number, 2^256 - 1."""


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
    REPORT_MISSED = "report-missed"
    APPEAL_ABSTAIN = "appeal-abstain"
    APPEAL_REQUEST_SEED = "appeal-request-seed"
    APPEAL_FIX_SEED = "appeal-fix-seed"
    SETTLE_CONTESTS = "settle-contests"
    FAIL_APPEAL = "fail-appeal"
    RESOLVE_CONTEST = "resolve-contest"
    REPORT_OVERTURNED = "report-overturned"
    REPORT_JUROR = "report-juror"
    REPORT_SILENT = "report-silent"
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


DUTY_KINDS = frozenset(kind.value for kind in DutyKind)


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
        DutyKind.REPORT_MISSED,
        DutyKind.APPEAL_REQUEST_SEED,
        DutyKind.APPEAL_FIX_SEED,
        DutyKind.SETTLE_CONTESTS,
        DutyKind.FAIL_APPEAL,
        DutyKind.RESOLVE_CONTEST,
        DutyKind.REPORT_OVERTURNED,
        DutyKind.REPORT_JUROR,
        DutyKind.REPORT_SILENT,
        DutyKind.APPEAL_REPORT_ABSENT,
        DutyKind.APPEAL_REPORT_UNREVEALED,
    }
)
"""Steps that any node may take. Nodes take turns, see `covey.daemon.planning.turns`; the first one is paid the tip."""


@dataclass(frozen=True, slots=True, order=True)
class Duty:
    """One thing to do by `deadline` (chain time). Sorts by urgency.

    `round`, `page` (also the number of a contest) and `account` are set where the kind has them.
    """

    deadline: int
    kind: DutyKind
    task: int
    round: int = 0
    page: int = 0
    account: str = ""

    @property
    def key(self) -> str:
        """The duty's stable name in the journal: `kind/task/round/page[/account]`."""
        if not self.task:  # a duty of an account, not of a task
            return f"{self.kind.value}/0/{self.account}"
        account = f"/{self.account}" if self.account else ""
        return f"{self.kind.value}/{self.task}/{self.round}/{self.page}{account}"

    def tx_key(self, tag: str = "") -> str:
        """The sender's idempotency key of the duty's transaction. A tag distinguishes several of one duty."""
        return f"{self.key}/{tag}" if tag else self.key


def task_of_key(key: str) -> int:
    """The task number in the key of a duty or of its transaction.

    0 for a duty of an account, and for a transaction that no duty sent: a command's, or one of another version.
    """
    kind, _, rest = key.partition("/")
    number = rest.partition("/")[0]
    is_number = number.isascii() and number.isdecimal() and len(number) <= _TASK_DIGITS
    return int(number) if kind in DUTY_KINDS and is_number else 0


@dataclass(frozen=True, slots=True)
class Identity:
    """The planning operator and its network. Addresses are in checksum form, as in events."""

    operator: str
    signer: str
    roles: tuple[Role, ...]
    chain_id: int
    scoring: str
    auto_claim: bool = True
    withdraw_min: int = 0
    accounts: tuple[str, ...] = ()
    """Further accounts whose credits to withdraw: the reward address."""
    appeal_committee: str = ""

    @property
    def all_accounts(self) -> tuple[str, ...]:
        """The signer, the operator and the further accounts, without duplicates."""
        return tuple(dict.fromkeys((self.signer, self.operator, *self.accounts)))
