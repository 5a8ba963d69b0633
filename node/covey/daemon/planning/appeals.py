"""Duties of a sealed task's appeal: permissionless steps, abstaining and claims. This node scores no sealed set yet."""

from __future__ import annotations

from collections.abc import Iterator

from covey.daemon.planning.duty import NO_DEADLINE, Duty, DutyKind, Identity
from covey.daemon.planning.faults import appeal_fault_reports, owes, seats_in, silent_in_appeal
from covey.daemon.state.appeal import Appeal
from covey.daemon.state.task import Task
from covey.protocol.appeals import AppealPhase, is_overturned, row_stands_within
from covey.protocol.scores import LANES, unpack
from covey.protocol.types import AppealState

_STEPS = {
    AppealPhase.SEED_REQUEST: DutyKind.APPEAL_REQUEST_SEED,
    AppealPhase.SEED_FIX: DutyKind.APPEAL_FIX_SEED,
    AppealPhase.FAIL: DutyKind.FAIL_APPEAL,
}


def appeal_steps(task: Task, identity: Identity, now: int) -> Iterator[Duty]:
    """Duties due in a task's appeal, during it and after it: permissionless steps, and abstaining if seated."""
    appeal = task.appeal
    if appeal is None:
        return
    phase = appeal.phase(task.params, now)
    match phase:
        case AppealPhase.SCORE_COMMIT:
            committee = appeal.drawn_committee
            seated = seats_in(task, committee, identity, identity.operator, appeal) > 0
            if committee.is_silent(identity.operator) and seated:
                yield Duty(committee.commit_end, DutyKind.APPEAL_ABSTAIN, task.id)
        case AppealPhase.SETTLE:
            next_page = len(appeal.drawn_committee.pages)
            yield Duty(appeal.deadline, DutyKind.SETTLE_CONTESTS, task.id, page=next_page)
        case AppealPhase.RESOLVE:
            for index in _resolvable(task, appeal):
                yield Duty(NO_DEADLINE, DutyKind.RESOLVE_CONTEST, task.id, page=index)
        case _ if (step := _STEPS.get(phase)) is not None:
            yield Duty(NO_DEADLINE if step == DutyKind.FAIL_APPEAL else appeal.deadline, step, task.id)
    yield from appeal_fault_reports(task, appeal, identity, now)
    if appeal.state == AppealState.SETTLED:
        yield from _overturned(task, appeal, identity)


def appeal_claims(task: Task, identity: Identity, now: int) -> list[Duty]:
    """Duties after the appeal: claim the pay for its round, and release the stake behind it after reports."""
    appeal, operator = task.appeal, identity.operator
    if appeal is None or appeal.is_open:
        return []
    due = []
    if operator not in appeal.claimed and appeal.pool * paid_seats(task, appeal, operator) > 0:
        due.append(Duty(NO_DEADLINE, DutyKind.CLAIM_APPEAL, task.id))
    committee = appeal.committee
    has_stake = operator in appeal.enrolled and operator not in appeal.freed and now >= appeal.report_end
    held = silent_in_appeal(task, appeal, identity, operator) > 0
    held = held or (committee is not None and owes(task, committee, identity, operator, appeal))
    if has_stake and not held:
        due.append(Duty(NO_DEADLINE, DutyKind.RELEASE_APPEAL, task.id))
    return due


def paid_seats(task: Task, appeal: Appeal, operator: str) -> int:
    """Seats for which the operator is paid: its own if every score is within h of the appeal's median, else 0."""
    committee = appeal.committee
    row = None if committee is None else committee.row_of(operator)
    if row is None or appeal.state != AppealState.SETTLED:
        return 0
    scores = unpack(row.words, LANES * len(appeal.contests))
    medians = unpack(appeal.found, LANES * len(appeal.contests))
    near = all(abs(score - median) <= task.params.h for score, median in zip(scores, medians, strict=True))
    return row.seats if near else 0


def _resolvable(task: Task, appeal: Appeal) -> Iterator[int]:
    """The first unresolved contest of each page. A proof is against the page's root, and each resolution changes it."""
    seen: set[int] = set()
    for index, contest in enumerate(appeal.contests):
        page = contest.word // task.words_per_page
        if not contest.resolved and page not in seen:
            seen.add(page)
            yield index


def _overturned(task: Task, appeal: Appeal, identity: Identity) -> Iterator[Duty]:
    """Rows of the task that are far from the appeal's medians. The operator's own row is left to others."""
    beyond = row_stands_within(task.params.h, task.params.tau)
    for row in task.drawn_committee.revealed:
        if row.operator == identity.operator or row.operator in appeal.overturned or row.operator in task.freed:
            continue
        for index, contest in enumerate(appeal.contests):
            if is_overturned(row.words[contest.word], appeal.found[index], beyond):
                yield Duty(NO_DEADLINE, DutyKind.REPORT_OVERTURNED, task.id, page=index, account=row.operator)
                break
