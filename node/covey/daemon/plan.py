"""What is due: a pure function of the tasks, chain time and who I am.

Nothing here reads the chain, the disk or a clock. A duty that the chain shows as done is not planned; a duty that ended
here without a trace on the chain (declined by policy, given up, published) is told by `ended`. Whether it was already
done at the head, blocks after what `World` knows, is checked by the duty itself just before it sends.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from enum import StrEnum

from eth_hash.auto import keccak

from covey.daemon.config import Role
from covey.daemon.state import Committee, Entry, Task, World
from covey.protocol.seats import seats
from covey.protocol.settlement import weight_of
from covey.protocol.types import Outcome
from covey.protocol.windows import Phase

NEVER = 2**48
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
    RELEASE_EARMARK = "release-earmark"
    CLAIM_ENTRY = "claim-entry"
    CLAIM_SCORING = "claim-scoring"
    CLAIM_FEE = "claim-fee"
    WITHDRAW = "withdraw"


ANYONE = frozenset(
    {
        DutyKind.CLOSE_TASK,
        DutyKind.REQUEST_SEED,
        DutyKind.FIX_SEED,
        DutyKind.SETTLE_PAGE,
        DutyKind.FAIL_ROUND,
        DutyKind.FINALISE,
        DutyKind.EXPIRE,
    }
)
"""Steps that any node could take: nodes stagger them and the first one wins."""


@dataclass(frozen=True, slots=True, order=True)
class Duty:
    """One thing to do. `deadline` in chain time; `round`, `page` and `account` where the kind has them."""

    deadline: int
    kind: DutyKind
    task: int
    round: int = 0
    page: int = 0
    account: str = ""

    @property
    def key(self) -> str:
        """Its name in the journal: the same duty always has the same."""
        tail = f"/{self.account}" if self.account else f"/{self.round}/{self.page}"
        return f"{self.kind.value}/{self.task}{tail}"


@dataclass(frozen=True, slots=True)
class Me:
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


def plan(world: World, me: Me, now: int, ended: Mapping[int, Container[str]]) -> list[Duty]:
    """All that is due at chain time `now`, most urgent first. `ended`: by task, keys of duties that ended here."""
    due: list[Duty] = []
    for task in world.tasks.values():
        closed = ended.get(task.id, ())
        due.extend(duty for duty in plan_task(task, me, now) if duty.key not in closed)
    if me.auto_claim:
        due.extend(_withdrawals(world, me, now))
    return sorted(due)


def plan_task(task: Task, me: Me, now: int) -> list[Duty]:
    """What is due in one task."""
    phase = task.phase(now)
    if phase == Phase.ENDED:
        return _after_end(task, me) if me.auto_claim else []
    due = _publications(task, me)
    schedule, number = task.schedule, task.committee.number if task.committee is not None else 0
    match phase:
        case Phase.ENTRY_COMMIT:
            if Role.TRAINER in me.roles and me.operator not in task.entries and me.operator not in task.enrolled:
                due.append(Duty(schedule.entry_commit_end, DutyKind.ENTER, task.id))
        case Phase.ENROL:
            if Role.VALIDATOR in me.roles and me.operator not in task.entries and me.operator not in task.enrolled:
                due.append(Duty(schedule.enrol_end, DutyKind.ENROL, task.id))
        case Phase.ENTRY_REVEAL:
            entry = task.entries.get(me.operator)
            if entry is not None and entry.lane is None:
                due.append(Duty(schedule.entry_reveal_end, DutyKind.REVEAL_ENTRY, task.id))
        case Phase.SCORE_COMMIT:
            due.extend(_score(task, me))
        case Phase.SCORE_REVEAL:
            due.extend(_reveal_scores(task, me))
        case Phase.SETTLE:
            assert task.committee is not None
            next_page = len(task.committee.pages)  # pages settle in order
            due.append(Duty(schedule.expires_at, DutyKind.SETTLE_PAGE, task.id, number, next_page))
        case _ if (step := _OPEN_STEPS.get(phase)) is not None:
            due.append(Duty(NEVER if step == DutyKind.EXPIRE else schedule.expires_at, step, task.id, number))
    return due


_OPEN_STEPS = {
    Phase.CLOSE: DutyKind.CLOSE_TASK,
    Phase.SEED_REQUEST: DutyKind.REQUEST_SEED,
    Phase.SEED_FIX: DutyKind.FIX_SEED,
    Phase.FAIL: DutyKind.FAIL_ROUND,
    Phase.FINALISE: DutyKind.FINALISE,
    Phase.EXPIRE: DutyKind.EXPIRE,
}


def urgent(task: Task, duty: Duty, now: int) -> bool:
    """Whether a duty is in the last third of its time, so that waiting for finality could cost it.

    Steps that anyone may take have the slack that the task's windows leave for them all.
    """
    windows = task.params.windows
    if duty.kind in ANYONE:
        window = windows.settle
    else:
        window = {
            DutyKind.ENTER: windows.entry_commit,
            DutyKind.ENROL: windows.enrol,
            DutyKind.REVEAL_ENTRY: windows.entry_reveal,
            DutyKind.SCORE: windows.score_commit,
            DutyKind.REVEAL_SCORES: windows.score_reveal,
        }.get(duty.kind, 0)
    return 3 * (duty.deadline - now) <= window


def my_seats(task: Task, me: Me) -> int:
    """Seats of this operator in the current round; 0 before the seed and for those who did not enrol."""
    c, earmark = task.committee, task.enrolled.get(me.operator, 0)
    if c is None or not c.seeded or earmark == 0:
        return 0
    return seats(
        me.chain_id, me.scoring, task.id, c.number, c.seed, me.operator, earmark, c.total, task.params.target_seats
    )


def missed(task: Task, me: Me, now: int) -> list[str]:
    """Duties of this operator whose time ran out: keys, for the health report."""
    gone: list[str] = []
    entry, c = task.entries.get(me.operator), task.committee
    if entry is not None and entry.lane is None and now >= task.schedule.entry_reveal_end:
        gone.append(Duty(0, DutyKind.REVEAL_ENTRY, task.id).key)
    if c is None or not c.seeded:
        return gone
    if me.operator in c.committed:
        if not c.has_revealed(me.operator) and now >= c.reveal_end:
            gone.append(Duty(0, DutyKind.REVEAL_SCORES, task.id, c.number).key)
    elif me.operator not in c.abstained and now >= c.commit_end and my_seats(task, me) > 0:
        gone.append(Duty(0, DutyKind.SCORE, task.id, c.number).key)
    return gone


def turn(operator: str, duty: Duty) -> float:
    """Where in the queue for an open step this operator stands, 0 ≤ turn < 1: by hash, another order for each step."""
    digest = keccak(f"{operator.lower()}/{duty.key}".encode())
    return int.from_bytes(digest[:6], "big") / 2**48


def _score(task: Task, me: Me) -> list[Duty]:
    c = _seeded(task)
    if me.operator in c.committed or me.operator in c.abstained or my_seats(task, me) == 0:
        return []
    return [Duty(c.commit_end, DutyKind.SCORE, task.id, c.number)]


def _reveal_scores(task: Task, me: Me) -> list[Duty]:
    c = _seeded(task)
    if me.operator not in c.committed or c.has_revealed(me.operator):
        return []
    return [Duty(c.reveal_end, DutyKind.REVEAL_SCORES, task.id, c.number)]


def _publications(task: Task, me: Me) -> list[Duty]:
    """What was revealed must be there to fetch. The chain has no trace of it: the journal remembers."""
    due: list[Duty] = []
    entry, c = task.entries.get(me.operator), task.committee
    if entry is not None and entry.lane is not None:
        due.append(Duty(task.schedule.expires_at, DutyKind.PUBLISH_ENTRY, task.id))
    if c is not None and c.has_revealed(me.operator):
        due.append(Duty(task.schedule.expires_at, DutyKind.PUBLISH_SHEET, task.id, c.number))
    return due


def _after_end(task: Task, me: Me) -> list[Duty]:
    due: list[Duty] = []
    entry, c = task.entries.get(me.operator), task.committee
    if me.operator in task.enrolled and me.operator not in task.freed:
        due.append(Duty(NEVER, DutyKind.RELEASE_EARMARK, task.id))
    if task.outcome == Outcome.PAID:
        due.extend(_publications(task, me))
        if entry is not None and earned_entry(task, entry):
            due.append(Duty(NEVER, DutyKind.CLAIM_ENTRY, task.id))
        if c is not None and me.operator not in task.claimed_scoring and earned_scoring(task, me.operator):
            due.append(Duty(NEVER, DutyKind.CLAIM_SCORING, task.id, c.number))
    elif entry is not None and entry.fee > 0 and me.operator not in task.claimed_fees:
        due.append(Duty(NEVER, DutyKind.CLAIM_FEE, task.id))
    return due


def earned_scoring(task: Task, operator: str) -> bool:
    """Whether a revealed row has anything to claim."""
    c = task.committee
    if c is None or c.totals is None or task.pools[1] == 0:
        return False
    row = next((row for row in c.revealed if row.operator == operator), None)
    if row is None or row.seats == 0:
        return False
    return c.totals.gain_seats == 0 or c.totals.spread > 2 * c.loss_of(row)


def earned_entry(task: Task, entry: Entry) -> bool:
    """Whether a revealed entry has anything to claim."""
    if entry.lane is None or entry.lane in task.claimed_lanes or task.pools[0] == 0:
        return False
    return _weight(task, entry.lane) > 0


def _weight(task: Task, lane: int) -> int:
    """An entry's weight by the settled medians; 0 for a lane of no settled page."""
    assert task.committee is not None
    word, per_page = lane // 16, task.words_a_page
    page = task.committee.pages.get(word // per_page)
    if page is None:
        return 0
    median = (page.medians[word % per_page] >> (16 * (15 - lane % 16))) & 0x7FFF
    return weight_of(median, task.params.floor_score, task.params.power)


def _withdrawals(world: World, me: Me, now: int) -> list[Duty]:
    """Credits of the operator and of its signer, whenever there is enough of them to be worth the gas."""
    accounts = dict.fromkeys((me.signer, me.operator, *me.accounts))
    least = max(1, me.withdraw_min)
    return [
        Duty(NEVER, DutyKind.WITHDRAW, 0, account=account)
        for account in accounts
        if world.owed.get(account, 0) >= least
    ]


def _seeded(task: Task) -> Committee:
    assert task.committee is not None
    return task.committee
