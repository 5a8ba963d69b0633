"""Plans due duties: a pure function of tasks, chain time and the operator's identity.

Nothing here reads the chain, the disk or a clock. A duty that the chain shows as done is not planned. Duties that ended
locally without a trace on the chain (declined, given up, published) are passed in as `ended`. Each duty itself checks,
just before it sends, whether it is already done in blocks newer than `ChainState`.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

from covey.config.types import Role
from covey.daemon.planning.appeals import appeal_claims, appeal_steps
from covey.daemon.planning.duty import NO_DEADLINE, PERMISSIONLESS, Duty, DutyKind, Identity
from covey.daemon.planning.faults import fault_reports, missed_reports, owes, seats_in, silent_in_appeal, silent_seats
from covey.daemon.state.task import Entry, Task
from covey.daemon.state.world import ChainState
from covey.protocol.payouts import returns_fees
from covey.protocol.settlement import gain_of, weight_of
from covey.protocol.types import Evaluation, Outcome
from covey.protocol.windows import Phase, seed_in_time

__all__ = [
    "NO_DEADLINE",
    "PERMISSIONLESS",
    "Duty",
    "DutyKind",
    "Identity",
    "is_urgent",
    "missed_duties",
    "own_seats",
    "plan",
    "plan_task",
]


def plan(state: ChainState, identity: Identity, now: int, ended: Mapping[int, Container[str]]) -> list[Duty]:
    """All duties due at chain time `now`, most urgent first. `ended`: keys of locally ended duties by task."""
    due: list[Duty] = []
    for task in state.tasks.values():
        ended_keys = ended.get(task.id, ())
        due.extend(duty for duty in plan_task(task, identity, now) if duty.key not in ended_keys)
    if identity.auto_claim:
        due.extend(_withdrawals(state, identity))
    return sorted(due)


def plan_task(task: Task, identity: Identity, now: int) -> list[Duty]:
    """Duties due in one task at chain time `now`."""
    phase = task.phase(now)
    reports = [*fault_reports(task, identity, now), *missed_reports(task, identity, now)]
    shared = [*reports, *appeal_steps(task, identity, now)]
    if phase == Phase.ENDED:
        return [*shared, *(_after_end(task, identity, now) if identity.auto_claim else [])]
    due = [*_publications(task, identity), *shared]
    schedule, number, operator = task.schedule, task.round_number, identity.operator
    has_no_part = operator not in task.entries and operator not in task.enrolled
    match phase:
        case Phase.ENTRY_COMMIT:
            if Role.TRAINER in identity.roles and has_no_part:
                due.append(Duty(schedule.entry_commit_end, DutyKind.ENTER, task.id))
        case Phase.ENROL:
            if Role.VALIDATOR in identity.roles and has_no_part:
                due.append(Duty(schedule.enrol_end, DutyKind.ENROL, task.id))
        case Phase.ENTRY_REVEAL:
            entry = task.entries.get(operator)
            if entry is not None and entry.lane is None:
                due.append(Duty(schedule.entry_reveal_end, DutyKind.REVEAL_ENTRY, task.id))
        case Phase.SCORE_COMMIT:
            due.extend(_score(task, identity))
        case Phase.SCORE_REVEAL:
            due.extend(_reveal_scores(task, identity))
        case Phase.SETTLE:
            next_page = len(task.drawn_committee.pages)  # pages settle in order
            due.append(Duty(schedule.expires_at, DutyKind.SETTLE_PAGE, task.id, number, next_page))
        case Phase.SEED_REQUEST | Phase.SEED_FIX if not _is_seed_useful(task, now):
            pass
        case _ if (step := _PERMISSIONLESS_STEPS.get(phase)) is not None:
            due.append(Duty(NO_DEADLINE if step == DutyKind.EXPIRE else schedule.expires_at, step, task.id, number))
    return due


_PERMISSIONLESS_STEPS = {
    Phase.CLOSE: DutyKind.CLOSE_TASK,
    Phase.SEED_REQUEST: DutyKind.REQUEST_SEED,
    Phase.SEED_FIX: DutyKind.FIX_SEED,
    Phase.FAIL: DutyKind.FAIL_ROUND,
    Phase.FINALISE: DutyKind.FINALISE,
    Phase.EXPIRE: DutyKind.EXPIRE,
}


def _is_seed_useful(task: Task, now: int) -> bool:
    """Whether the round can still finish in time. The contract refuses a later seed, and the task will expire."""
    windows = task.params.windows
    return seed_in_time(now, windows, task.schedule.expires_at, windows.appeal)


def is_urgent(task: Task, duty: Duty, now: int) -> bool:
    """Whether a duty is in the last third of its window, where waiting for finality could miss it.

    Permissionless steps share the settle window as slack.
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


def own_seats(task: Task, identity: Identity) -> int:
    """This operator's seats in the current round; 0 before the seed and without an enrolment."""
    return 0 if task.committee is None else seats_in(task, task.committee, identity, identity.operator)


def missed_duties(task: Task, identity: Identity, now: int) -> list[str]:
    """Keys of this operator's duties whose window has closed undone, for the health report."""
    missed: list[str] = []
    operator = identity.operator
    entry = task.entries.get(operator)
    if entry is not None and entry.lane is None and now >= task.schedule.entry_reveal_end:
        missed.append(Duty(0, DutyKind.REVEAL_ENTRY, task.id).key)
    for committee in task.committees:
        if not committee.seeded:
            continue
        if committee.owes_row(operator):
            if now >= committee.reveal_end:
                missed.append(Duty(0, DutyKind.REVEAL_SCORES, task.id, committee.number).key)
        elif operator in committee.committed or operator in committee.abstained or now < committee.commit_end:
            continue
        elif operator in committee.faults or seats_in(task, committee, identity, operator) > 0:
            missed.append(Duty(0, DutyKind.SCORE, task.id, committee.number).key)
    return missed


def _score(task: Task, identity: Identity) -> list[Duty]:
    committee, operator = task.drawn_committee, identity.operator
    if operator in committee.committed or operator in committee.abstained or own_seats(task, identity) == 0:
        return []
    return [Duty(committee.commit_end, DutyKind.SCORE, task.id, committee.number)]


def _reveal_scores(task: Task, identity: Identity) -> list[Duty]:
    committee = task.drawn_committee
    if not committee.owes_row(identity.operator):
        return []
    return [Duty(committee.reveal_end, DutyKind.REVEAL_SCORES, task.id, committee.number)]


def _publications(task: Task, identity: Identity) -> list[Duty]:
    """Content that was revealed must be fetchable. The chain has no record of it; the journal has."""
    due: list[Duty] = []
    entry = task.entries.get(identity.operator)
    if entry is not None and entry.lane is not None:
        due.append(Duty(task.schedule.expires_at, DutyKind.PUBLISH_ENTRY, task.id))
    for committee in task.committees:
        if committee.has_revealed(identity.operator):
            due.append(Duty(task.schedule.expires_at, DutyKind.PUBLISH_SHEET, task.id, committee.number))
    return due


def _after_end(task: Task, identity: Identity, now: int) -> list[Duty]:
    """Release the earmark, publish, and claim rewards or fees."""
    due, operator = appeal_claims(task, identity, now), identity.operator
    entry, committee = task.entries.get(operator), task.committee
    if operator in task.enrolled and operator not in task.freed and not _is_earmark_held(task, identity, now):
        due.append(Duty(NO_DEADLINE, DutyKind.RELEASE_EARMARK, task.id))
    if task.outcome == Outcome.PAID:
        due.extend(_publications(task, identity))
        if entry is not None and has_entry_reward(task, entry):
            due.append(Duty(NO_DEADLINE, DutyKind.CLAIM_ENTRY, task.id))
        if committee is not None and operator not in task.claimed_scoring and has_scoring_reward(task, operator):
            due.append(Duty(NO_DEADLINE, DutyKind.CLAIM_SCORING, task.id, committee.number))
    elif (
        entry is not None
        and entry.fee > 0
        and operator not in task.claimed_fees
        and returns_fees(task.outcome, task.has_void_round)
    ):
        due.append(Duty(NO_DEADLINE, DutyKind.CLAIM_FEE, task.id))
    return due


def _is_earmark_held(task: Task, identity: Identity, now: int) -> bool:
    """Whether the earmark must stay: a fault of this operator is unreported, or an appeal may still find one."""
    for drawn in task.committees:
        if owes(task, drawn, identity, identity.operator):
            return True
        if silent_seats(task, drawn, identity, identity.operator, now) > 0:
            return True
    appeal = task.appeal
    if appeal is None:
        return False
    committee = appeal.committee
    owes_appeal = committee is not None and owes(task, committee, identity, identity.operator, appeal)
    owes_appeal = owes_appeal or silent_in_appeal(task, appeal, identity, identity.operator) > 0
    return owes_appeal or appeal.is_open or now < appeal.report_end


def has_scoring_reward(task: Task, operator: str) -> bool:
    """Whether the operator's revealed row earned a reward."""
    committee = task.committee
    if committee is None or committee.totals is None or task.pools[1] == 0:
        return False
    row = committee.row_of(operator)
    if row is None or row.seats == 0:
        return False
    totals = committee.totals
    if totals.gain_seats == 0 or totals.weights == 0:
        return True
    is_sealed = task.params.evaluation == Evaluation.SEALED
    return gain_of(totals.spread, committee.loss_of(row), committee.number, is_sealed) > 0


def has_entry_reward(task: Task, entry: Entry) -> bool:
    """Whether a revealed entry earned a reward that is not claimed yet."""
    if entry.lane is None or entry.lane in task.claimed_lanes or task.pools[0] == 0:
        return False
    return _weight(task, entry.lane) > 0


def _weight(task: Task, lane: int) -> int:
    """An entry's weight by the settled medians; 0 if its page is not settled."""
    word, per_page = lane // 16, task.words_per_page
    page = task.drawn_committee.pages.get(word // per_page)
    if page is None:
        return 0
    median = (page.medians[word % per_page] >> (16 * (15 - lane % 16))) & 0x7FFF
    return weight_of(median, task.params.floor_score, task.params.power)


def _withdrawals(state: ChainState, identity: Identity) -> Iterator[Duty]:
    """Withdrawals of credits that reach `withdraw_min`, by account and contract."""
    sources = (
        (DutyKind.WITHDRAW, state.owed),
        (DutyKind.WITHDRAW_BONDS, state.appeal_bonds),
        (DutyKind.PAY_OWED, state.slash_shares),
    )
    minimum = max(1, identity.withdraw_min)
    for account in identity.all_accounts:
        for kind, owed in sources:
            if owed.get(account, 0) >= minimum:
                yield Duty(NO_DEADLINE, kind, 0, account=account)
