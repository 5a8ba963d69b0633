"""What is due: a pure function of the tasks, chain time and who I am.

Nothing here reads the chain, the disk or a clock. A duty that the chain shows as done is not planned; a duty that ended
here without a trace on the chain (declined by policy, given up, published) is told by `ended`. Whether it was already
done at the head, blocks after what `ChainState` knows, is checked by the duty itself just before it sends.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

from covey.config.node import Role
from covey.daemon.planning.appeals import appeal_claims, appeal_steps
from covey.daemon.planning.duty import NO_DEADLINE, PERMISSIONLESS, Duty, DutyKind, Identity
from covey.daemon.planning.faults import owes, reports, seats_in
from covey.daemon.state.world import ChainState, Committee, Entry, Task
from covey.protocol.settlement import gain_of, weight_of
from covey.protocol.types import Outcome
from covey.protocol.windows import Phase, seed_in_time

__all__ = [
    "NO_DEADLINE",
    "PERMISSIONLESS",
    "Duty",
    "DutyKind",
    "Identity",
    "missed",
    "my_seats",
    "plan",
    "plan_task",
    "urgent",
]


def plan(world: ChainState, me: Identity, now: int, ended: Mapping[int, Container[str]]) -> list[Duty]:
    """All that is due at chain time `now`, most urgent first. `ended`: by task, keys of duties that ended here."""
    due: list[Duty] = []
    for task in world.tasks.values():
        closed = ended.get(task.id, ())
        due.extend(duty for duty in plan_task(task, me, now) if duty.key not in closed)
    if me.auto_claim:
        due.extend(_withdrawals(world, me))
    return sorted(due)


def plan_task(task: Task, me: Identity, now: int) -> list[Duty]:
    """What is due in one task."""
    phase = task.phase(now)
    if phase == Phase.ENDED:
        after = _after_end(task, me, now) if me.auto_claim else []
        return [*reports(task, me, now), *appeal_steps(task, me, now), *after]
    due = [*_publications(task, me), *reports(task, me, now), *appeal_steps(task, me, now)]
    schedule, number = task.schedule, task.round_number
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
        case Phase.SEED_REQUEST | Phase.SEED_FIX if not _seed_is_wanted(task, due, now):
            pass
        case _ if (step := _OPEN_STEPS.get(phase)) is not None:
            due.append(Duty(NO_DEADLINE if step == DutyKind.EXPIRE else schedule.expires_at, step, task.id, number))
    return due


_OPEN_STEPS = {
    Phase.CLOSE: DutyKind.CLOSE_TASK,
    Phase.SEED_REQUEST: DutyKind.REQUEST_SEED,
    Phase.SEED_FIX: DutyKind.FIX_SEED,
    Phase.FAIL: DutyKind.FAIL_ROUND,
    Phase.FINALISE: DutyKind.FINALISE,
    Phase.EXPIRE: DutyKind.EXPIRE,
}


def _seed_is_wanted(task: Task, due: list[Duty], now: int) -> bool:
    """Whether a seed can still be of use, and whether all is told of the first committee that a second one waits for.

    Those that are found to have failed are not drawn again, so they are reported first, for a quarter of the slack.
    """
    windows = task.params.windows
    if not seed_in_time(now, windows, task.schedule.expires_at, windows.appeal):
        return False  # refused: the task will expire
    first = task.earlier
    if first is None or now >= first.reveal_end + windows.settle // 4:
        return True
    return not any(duty.kind in (DutyKind.REPORT_ABSENT, DutyKind.REPORT_UNREVEALED) for duty in due)


def urgent(task: Task, duty: Duty, now: int) -> bool:
    """Whether a duty is in the last third of its time, so that waiting for finality could cost it.

    Steps that anyone may take have the slack that the task's windows leave for them all.
    """
    windows = task.params.windows
    if duty.kind in PERMISSIONLESS:
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


def my_seats(task: Task, me: Identity) -> int:
    """Seats of this operator in the current round; 0 before the seed and for those who did not enrol."""
    return 0 if task.committee is None else seats_in(task, task.committee, me, me.operator)


def missed(task: Task, me: Identity, now: int) -> list[str]:
    """Duties of this operator whose time ran out: keys, for the health report."""
    gone: list[str] = []
    entry = task.entries.get(me.operator)
    if entry is not None and entry.lane is None and now >= task.schedule.entry_reveal_end:
        gone.append(Duty(0, DutyKind.REVEAL_ENTRY, task.id).key)
    for c in task.committees:
        if not c.seeded:
            continue
        if c.owes_row(me.operator):
            if now >= c.reveal_end:
                gone.append(Duty(0, DutyKind.REVEAL_SCORES, task.id, c.number).key)
        elif me.operator in c.committed or me.operator in c.abstained or now < c.commit_end:
            continue
        elif me.operator in c.faults or seats_in(task, c, me, me.operator) > 0:
            gone.append(Duty(0, DutyKind.SCORE, task.id, c.number).key)
    return gone


def _score(task: Task, me: Identity) -> list[Duty]:
    c = _seeded(task)
    if me.operator in c.committed or me.operator in c.abstained or my_seats(task, me) == 0:
        return []
    return [Duty(c.commit_end, DutyKind.SCORE, task.id, c.number)]


def _reveal_scores(task: Task, me: Identity) -> list[Duty]:
    c = _seeded(task)
    if me.operator not in c.committed or c.has_revealed(me.operator):
        return []
    return [Duty(c.reveal_end, DutyKind.REVEAL_SCORES, task.id, c.number)]


def _publications(task: Task, me: Identity) -> list[Duty]:
    """What was revealed must be there to fetch. The chain has no trace of it: the journal remembers."""
    due: list[Duty] = []
    entry = task.entries.get(me.operator)
    if entry is not None and entry.lane is not None:
        due.append(Duty(task.schedule.expires_at, DutyKind.PUBLISH_ENTRY, task.id))
    shown = (c for c in task.committees if c.has_revealed(me.operator))
    due.extend(Duty(task.schedule.expires_at, DutyKind.PUBLISH_SHEET, task.id, c.number) for c in shown)
    return due


def _after_end(task: Task, me: Identity, now: int) -> list[Duty]:
    due = appeal_claims(task, me, now)
    entry, c = task.entries.get(me.operator), task.committee
    if me.operator in task.enrolled and me.operator not in task.freed and not _held(task, me, now):
        due.append(Duty(NO_DEADLINE, DutyKind.RELEASE_EARMARK, task.id))
    if task.outcome == Outcome.PAID:
        due.extend(_publications(task, me))
        if entry is not None and earned_entry(task, entry):
            due.append(Duty(NO_DEADLINE, DutyKind.CLAIM_ENTRY, task.id))
        if c is not None and me.operator not in task.claimed_scoring and earned_scoring(task, me.operator):
            due.append(Duty(NO_DEADLINE, DutyKind.CLAIM_SCORING, task.id, c.number))
    elif entry is not None and entry.fee > 0 and me.operator not in task.claimed_fees:
        due.append(Duty(NO_DEADLINE, DutyKind.CLAIM_FEE, task.id))
    return due


def _held(task: Task, me: Identity, now: int) -> bool:
    """Whether the earmark must stay: a fault of this operator is not reported yet, or an appeal may still find one."""
    if any(owes(task, c, me, me.operator) for c in task.committees):
        return True
    appeal = task.appeal
    if appeal is None:
        return False
    committee = appeal.committee
    late = committee is not None and owes(task, committee, me, me.operator, appeal)
    return late or appeal.is_open or now < appeal.report_end


def earned_scoring(task: Task, operator: str) -> bool:
    """Whether a revealed row has anything to claim."""
    c = task.committee
    if c is None or c.totals is None or task.pools[1] == 0:
        return False
    row = next((row for row in c.revealed if row.operator == operator), None)
    if row is None or row.seats == 0:
        return False
    return c.totals.gain_seats == 0 or gain_of(c.totals.spread, c.loss_of(row), c.number) > 0


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


def _withdrawals(world: ChainState, me: Identity) -> Iterator[Duty]:
    """Credits of the operator and of its signer, whenever there is enough of them to be worth the gas."""
    sources = (
        (DutyKind.WITHDRAW, world.owed),
        (DutyKind.WITHDRAW_BONDS, world.appeal_bonds),
        (DutyKind.PAY_OWED, world.slash_shares),
    )
    least = max(1, me.withdraw_min)
    for account in dict.fromkeys((me.signer, me.operator, *me.accounts)):
        for kind, owed in sources:
            if owed.get(account, 0) >= least:
                yield Duty(NO_DEADLINE, kind, 0, account=account)


def _seeded(task: Task) -> Committee:
    assert task.committee is not None
    return task.committee
