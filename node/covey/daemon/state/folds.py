"""Applies contract events to a `ChainState`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import replace

from covey.chain.events.decoder import task_params, task_schedule
from covey.daemon.state.appeal import Appeal, Contest
from covey.daemon.state.committee import ROUND_FOLDS, Committee, SettledPage
from covey.daemon.state.events import Args, EventLike, EventMissing, MissingState, bytes_of
from covey.daemon.state.task import Entry, Task
from covey.daemon.state.world import ChainState
from covey.protocol.appeals import least_stake
from covey.protocol.types import AppealState, Fault, Outcome, Totals


def apply_event(state: ChainState, event: EventLike) -> None:
    """Apply one event in place. Events must come in the chain's order; events of pruned tasks are ignored.

    Raises:
        EventMissing: the event cannot follow the events applied before it.
    """
    fold = FOLDS.get((event.contract, event.name))
    if fold is None or event.args.get("taskId") in state.past:
        return
    try:
        fold(state, event.args)
    except LookupError as error:  # MissingState, or an unknown task, operator or index
        raise EventMissing(event.name, int(event.args.get("taskId", 0))) from error


def branch(state: ChainState, events: Iterable[EventLike]) -> ChainState:
    """Return `state` with more events applied. The original is unchanged; untouched tasks are shared."""
    result = ChainState(
        tasks=dict(state.tasks),
        past=state.past,
        owed=dict(state.owed),
        slash_shares=dict(state.slash_shares),
        appeal_bonds=dict(state.appeal_bonds),
        operators=state.operators,
    )
    copied: set[int] = set()
    for event in events:
        task = event.args.get("taskId")
        if task in result.tasks and task not in copied:
            result.tasks[task] = copy.deepcopy(result.tasks[task])
            copied.add(task)
        apply_event(result, event)
    return result


def _operator_registered(state: ChainState, a: Args) -> None:
    state.operators += 1


def _task_created(state: ChainState, a: Args) -> None:
    state.tasks[a["taskId"]] = Task(a["taskId"], a["creator"], task_params(a), task_schedule(a))


def _entry_committed(state: ChainState, a: Args) -> None:
    entry = Entry(a["operator"], a["sequence"], a["fee"], a["payer"], bytes_of(a["commitment"]))
    state.tasks[a["taskId"]].entries[entry.operator] = entry


def _validator_enrolled(state: ChainState, a: Args) -> None:
    task = state.tasks[a["taskId"]]
    task.enrolled[a["operator"]] = a["amount"]
    task.total_earmarked = a["totalEarmarked"]


def _entry_revealed(state: ChainState, a: Args) -> None:
    entry = state.tasks[a["taskId"]].entries[a["operator"]]
    entry.lane, entry.digest = a["lane"], bytes_of(a["digest"])


def _sealed_opened(state: ChainState, a: Args) -> None:
    state.tasks[a["taskId"]].sealed_digest = bytes_of(a["digest"])


def _task_ended(state: ChainState, a: Args) -> None:
    task = state.tasks[a["taskId"]]
    task.outcome = Outcome(a["outcome"])
    task.reason = bytes_of(a["reason"]).rstrip(b"\0").decode("ascii", "replace")


def _earmark_freed(state: ChainState, a: Args) -> None:
    state.tasks[a["taskId"]].freed.add(a["operator"])


def _task_extended(state: ChainState, a: Args) -> None:
    task = state.tasks[a["taskId"]]
    task.schedule = replace(task.schedule, expires_at=a["expiresAt"])


def _reseated(state: ChainState, a: Args) -> None:
    """The first committee missed its quorum, or was void; a new seed request follows."""
    task = state.tasks[a["taskId"]]
    task.earlier, task.committee, task.request_from = task.drawn_committee, None, a["requestFrom"]


def _round_void(state: ChainState, a: Args) -> None:
    _committee(state, a).is_void = True


def _missed_reported(state: ChainState, a: Args) -> None:
    _committee(state, a).missed_reports.add(a["operator"])


def _seed_requested(state: ChainState, a: Args) -> None:
    state.tasks[a["taskId"]].committee = Committee(a["round"], a["target"], a["totalEarmarked"])


def _committee(state: ChainState, a: Args) -> Committee:
    """The committee of the round named by an event."""
    for committee in state.tasks[a["taskId"]].committees:
        if committee.number == a["round"]:
            return committee
    raise MissingState("an event names a round before its seed was requested")


def _appeal(state: ChainState, a: Args) -> Appeal:
    appeal = state.tasks[a["taskId"]].appeal
    if appeal is None:
        raise MissingState("an event of an appeal precedes its first contest")
    return appeal


def _round_event(name: str) -> Callable[[ChainState, Args], None]:
    return lambda state, a: ROUND_FOLDS[name](_committee(state, a), a)


def _appeal_round_event(name: str) -> Callable[[ChainState, Args], None]:
    def fold(state: ChainState, a: Args) -> None:
        ROUND_FOLDS[name](_appeal(state, a).drawn_committee, a)

    return fold


def _fault_reported(state: ChainState, a: Args) -> None:
    task, committee = state.tasks[a["taskId"]], _committee(state, a)
    ROUND_FOLDS["FaultReported"](committee, a)
    if committee is task.earlier and task.committee is not None and Fault(a["fault"]) == Fault.ABSENT:
        committee.late_absent.add(a["operator"])


def _page_settled(state: ChainState, a: Args) -> None:
    page = SettledPage(bytes_of(a["root"]), a["weights"], a["spread"], tuple(a["medians"]))
    _committee(state, a).pages[a["page"]] = page


def _round_settled(state: ChainState, a: Args) -> None:
    c = _committee(state, a)
    totals = a["totals"]
    c.totals = Totals(totals["weights"], totals["gainSeats"], totals["spread"], totals["scored"])
    c.losses, c.payable_at = tuple(a["losses"]), a["payableAt"]


def _median_replaced(state: ChainState, a: Args) -> None:
    page, place = divmod(a["word"], state.tasks[a["taskId"]].words_per_page)
    _committee(state, a).replace_word(page, place, a["replacement"], bytes_of(a["root"]), a["weights"])


def _word_contested(state: ChainState, a: Args) -> None:
    task = state.tasks[a["taskId"]]
    if task.appeal is None:
        ends = (a["contestEnd"], a["enrolEnd"], a["deadline"])
        task.appeal = Appeal(a["bond"], *ends, least_stake(task.params.min_stake, task.total_earmarked))
    task.appeal.contests.append(Contest(a["appellant"], a["word"], a["previous"]))


def _appeal_enrolled(state: ChainState, a: Args) -> None:
    appeal, operator = _appeal(state, a), a["operator"]
    appeal.enrolled[operator], appeal.stakes[operator] = a["amount"], a["stake"]


def _appeal_seed_requested(state: ChainState, a: Args) -> None:
    _appeal(state, a).committee = Committee(a["round"], a["target"], a["totalEarmarked"])


def _contests_settled(state: ChainState, a: Args) -> None:
    appeal = _appeal(state, a)
    found = tuple(a["found"])
    appeal.drawn_committee.pages[a["page"]] = SettledPage(b"", 0, 0, found)
    appeal.found.extend(found)


def _appeal_settled(state: ChainState, a: Args) -> None:
    appeal = _appeal(state, a)
    appeal.state, appeal.paid_seats, appeal.report_end = AppealState.SETTLED, a["paidSeats"], a["reportEnd"]


def _appeal_failed(state: ChainState, a: Args) -> None:
    _appeal(state, a).state = AppealState.FAILED


def _contest_resolved(state: ChainState, a: Args) -> None:
    contest = _appeal(state, a).contests[a["contest"]]
    contest.resolved, contest.moved, contest.to_pool = True, a["moved"], a["toPool"]
    _add(state.appeal_bonds, contest.appellant, a["toAppellant"])


def _row_overturned(state: ChainState, a: Args) -> None:
    _appeal(state, a).overturned.add(a["operator"])


def _juror_reported(state: ChainState, a: Args) -> None:
    _appeal(state, a).reported_jurors.add(a["operator"])


def _appeal_tip_paid(state: ChainState, a: Args) -> None:
    _add(state.appeal_bonds, a["to"], a["amount"])


def _appeal_claimed(state: ChainState, a: Args) -> None:
    _appeal(state, a).claimed.add(a["operator"])


def _appeal_freed(state: ChainState, a: Args) -> None:
    _appeal(state, a).freed.add(a["operator"])


def _escrow_closed(state: ChainState, a: Args) -> None:
    state.tasks[a["taskId"]].pools = (a["trainersPool"], a["validatorsPool"])


def _entry_claimed(state: ChainState, a: Args) -> None:
    state.tasks[a["taskId"]].claimed_lanes.add(a["lane"])


def _scoring_claimed(state: ChainState, a: Args) -> None:
    state.tasks[a["taskId"]].claimed_scoring.add(a["operator"])


def _fee_refunded(state: ChainState, a: Args) -> None:
    state.tasks[a["taskId"]].claimed_fees.add(a["operator"])


def _add(credits: dict[str, int], account: str, amount: int) -> None:
    credits[account] = max(0, credits.get(account, 0) + amount)


def _credited(state: ChainState, a: Args) -> None:
    _add(state.owed, a["account"], a["amount"])


def _tip_paid(state: ChainState, a: Args) -> None:
    _add(state.owed, a["to"], a["amount"])


def _withdrawn(state: ChainState, a: Args) -> None:
    _add(state.owed, a["account"], -a["amount"])


def _bonds_withdrawn(state: ChainState, a: Args) -> None:
    _add(state.appeal_bonds, a["account"], -a["amount"])


def _slashed(state: ChainState, a: Args) -> None:
    _add(state.slash_shares, a["reporter"], a["reporterReward"])


def _owed_paid(state: ChainState, a: Args) -> None:
    _add(state.slash_shares, a["account"], -a["amount"])


FOLDS: dict[tuple[str, str], Callable[[ChainState, Args], None]] = {
    ("TaskRegistry", "TaskCreated"): _task_created,
    ("TaskRegistry", "EntryCommitted"): _entry_committed,
    ("TaskRegistry", "ValidatorEnrolled"): _validator_enrolled,
    ("TaskRegistry", "EntryRevealed"): _entry_revealed,
    ("TaskRegistry", "SealedSetOpened"): _sealed_opened,
    ("TaskRegistry", "TaskEnded"): _task_ended,
    ("TaskRegistry", "EarmarkFreed"): _earmark_freed,
    ("TaskRegistry", "TaskExtended"): _task_extended,
    ("Scoring", "SeedRequested"): _seed_requested,
    ("Scoring", "Reseated"): _reseated,
    ("Scoring", "RoundVoid"): _round_void,
    ("Faults", "MissedReported"): _missed_reported,
    ("Faults", "JurorReported"): _juror_reported,
    **{("Scoring", name): _round_event(name) for name in ROUND_FOLDS},
    ("Scoring", "FaultReported"): _fault_reported,
    ("Scoring", "PageSettled"): _page_settled,
    ("Scoring", "RoundSettled"): _round_settled,
    ("Scoring", "MedianReplaced"): _median_replaced,
    ("Appeals", "WordContested"): _word_contested,
    ("Appeals", "AppealSettled"): _appeal_settled,
    ("Appeals", "AppealFailed"): _appeal_failed,
    ("Appeals", "ContestResolved"): _contest_resolved,
    ("Appeals", "RowOverturned"): _row_overturned,
    ("Appeals", "AppealTipPaid"): _appeal_tip_paid,
    ("Appeals", "AppealRewardClaimed"): _appeal_claimed,
    ("Appeals", "AppealCreditWithdrawn"): _bonds_withdrawn,
    ("AppealCommittee", "AppealEnrolled"): _appeal_enrolled,
    ("AppealCommittee", "SeedRequested"): _appeal_seed_requested,
    **{("AppealCommittee", name): _appeal_round_event(name) for name in ROUND_FOLDS},
    ("AppealCommittee", "ContestsSettled"): _contests_settled,
    ("AppealCommittee", "AppealEarmarkFreed"): _appeal_freed,
    ("Staking", "OperatorRegistered"): _operator_registered,
    ("Staking", "Slashed"): _slashed,
    ("Staking", "OwedPaid"): _owed_paid,
    ("Rewards", "EscrowClosed"): _escrow_closed,
    ("Rewards", "EntryRewardClaimed"): _entry_claimed,
    ("Rewards", "ScoringRewardClaimed"): _scoring_claimed,
    ("Rewards", "FeeRefunded"): _fee_refunded,
    ("Rewards", "TipPaid"): _tip_paid,
    ("Rewards", "Credited"): _credited,
    ("Rewards", "CreditWithdrawn"): _withdrawn,
}
"""Folds by contract and event name. Other events do not change the state."""
