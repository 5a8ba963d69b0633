"""What is due in the appeal of a sealed task: steps that anyone may take. This node scores no sealed set yet."""

from __future__ import annotations

from collections.abc import Iterator

from covey.daemon.planning.duty import NO_DEADLINE, Duty, DutyKind, Identity
from covey.daemon.planning.faults import appeal_reports, owes, seats_in
from covey.daemon.state.world import Appeal, Task
from covey.protocol.appeals import AppealPhase, is_overturned
from covey.protocol.scores import LANES, unpack
from covey.protocol.types import AppealState

_STEPS = {
    AppealPhase.SEED_REQUEST: DutyKind.APPEAL_REQUEST_SEED,
    AppealPhase.SEED_FIX: DutyKind.APPEAL_FIX_SEED,
    AppealPhase.FAIL: DutyKind.FAIL_APPEAL,
}


def appeal_steps(task: Task, me: Identity, now: int) -> Iterator[Duty]:
    """What is due in a task's appeal while it runs and after: steps anyone may take, and to abstain where seated."""
    appeal = task.appeal
    if appeal is None:
        return
    phase = appeal.phase(task.params, now)
    match phase:
        case AppealPhase.SCORE_COMMIT:
            c = appeal.committee
            assert c is not None
            if c.is_silent(me.operator) and seats_in(task, c, me, me.operator, appeal) > 0:
                yield Duty(c.commit_end, DutyKind.APPEAL_ABSTAIN, task.id)
        case AppealPhase.SETTLE:
            assert appeal.committee is not None
            yield Duty(appeal.deadline, DutyKind.SETTLE_CONTESTS, task.id, page=len(appeal.committee.pages))
        case AppealPhase.RESOLVE:
            for index in _resolvable(task, appeal):
                yield Duty(NO_DEADLINE, DutyKind.RESOLVE_CONTEST, task.id, page=index)
        case _ if (step := _STEPS.get(phase)) is not None:
            yield Duty(NO_DEADLINE if step == DutyKind.FAIL_APPEAL else appeal.deadline, step, task.id)
    yield from appeal_reports(task, appeal, me, now)
    if appeal.state == AppealState.SETTLED:
        yield from _overturned(task, appeal, me)


def appeal_claims(task: Task, me: Identity, now: int) -> list[Duty]:
    """After the task's end: pay for the appeal's round, and the stake behind it."""
    appeal = task.appeal
    if appeal is None or appeal.is_open:
        return []
    due = []
    if me.operator not in appeal.claimed and appeal.pool * paid_seats(appeal, me.operator) > 0:
        due.append(Duty(NO_DEADLINE, DutyKind.CLAIM_APPEAL, task.id))
    c = appeal.committee
    mine = me.operator in appeal.enrolled and me.operator not in appeal.freed
    if mine and not (c is not None and owes(task, c, me, me.operator, appeal)):
        due.append(Duty(NO_DEADLINE, DutyKind.RELEASE_APPEAL, task.id))
    return due


def paid_seats(appeal: Appeal, operator: str) -> int:
    """Seats for which an operator is paid: its own where every score is within 8h of what was found."""
    c = appeal.committee
    row = None if c is None else next((row for row in c.revealed if row.operator == operator), None)
    if c is None or row is None or appeal.state != AppealState.SETTLED:
        return 0
    scores = unpack(row.words, LANES * len(appeal.contests))
    found = unpack(appeal.found, LANES * len(appeal.contests))
    near = all(abs(x - m) <= appeal.tolerance for x, m in zip(scores, found, strict=True))
    return row.seats if near else 0


def _resolvable(task: Task, appeal: Appeal) -> Iterator[int]:
    """The first unresolved contest of each page: a proof is of the page as it is, and each resolution changes it."""
    seen: set[int] = set()
    for index, contest in enumerate(appeal.contests):
        page = contest.word // task.words_a_page
        if not contest.resolved and page not in seen:
            seen.add(page)
            yield index


def _overturned(task: Task, appeal: Appeal, me: Identity) -> Iterator[Duty]:
    """Rows of the task that are far from what the appeal found. What this operator said is left to others."""
    assert task.committee is not None
    for row in task.committee.revealed:
        if row.operator == me.operator or row.operator in appeal.overturned or row.operator in task.freed:
            continue
        for index, contest in enumerate(appeal.contests):
            if is_overturned(row.words[contest.word], appeal.found[index], task.params.h):
                yield Duty(NO_DEADLINE, DutyKind.REPORT_OVERTURNED, task.id, page=index, account=row.operator)
                break
