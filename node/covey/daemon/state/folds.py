"""What each event does to the projection of `covey.daemon.state.world`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from covey.chain.events.decoder import task_params, task_schedule
from covey.daemon.state.appeal import Appeal, Contest
from covey.daemon.state.committee import ROUND_FOLDS, Args, Committee, SettledPage, bytes_of
from covey.daemon.state.task import Entry, Task
from covey.protocol.appeals import tolerance
from covey.protocol.types import AppealState, Outcome, Totals

if TYPE_CHECKING:
    from covey.daemon.state.world import ChainState


def _task_created(world: ChainState, a: Args) -> None:
    world.tasks[a["taskId"]] = Task(a["taskId"], a["creator"], task_params(a), task_schedule(a))


def _entry_committed(world: ChainState, a: Args) -> None:
    entry = Entry(a["operator"], a["sequence"], a["fee"], a["payer"], bytes_of(a["commitment"]))
    world.tasks[a["taskId"]].entries[entry.operator] = entry


def _validator_enrolled(world: ChainState, a: Args) -> None:
    task = world.tasks[a["taskId"]]
    task.enrolled[a["operator"]] = a["amount"]
    task.total_earmarked = a["totalEarmarked"]


def _entry_revealed(world: ChainState, a: Args) -> None:
    entry = world.tasks[a["taskId"]].entries[a["operator"]]
    entry.lane, entry.digest = a["lane"], bytes_of(a["digest"])


def _sealed_opened(world: ChainState, a: Args) -> None:
    world.tasks[a["taskId"]].sealed_digest = bytes_of(a["digest"])


def _task_ended(world: ChainState, a: Args) -> None:
    task = world.tasks[a["taskId"]]
    task.outcome = Outcome(a["outcome"])
    task.reason = bytes_of(a["reason"]).rstrip(b"\0").decode("ascii", "replace")


def _earmark_freed(world: ChainState, a: Args) -> None:
    world.tasks[a["taskId"]].freed.add(a["operator"])


def _task_extended(world: ChainState, a: Args) -> None:
    task = world.tasks[a["taskId"]]
    task.schedule = replace(task.schedule, expires_at=a["expiresAt"])


def _reseated(world: ChainState, a: Args) -> None:
    """The quorum was missed: what follows is a new seed request."""
    task = world.tasks[a["taskId"]]
    assert task.committee is not None, "a second committee before the first"
    task.earlier, task.committee = task.committee, None


def _seed_requested(world: ChainState, a: Args) -> None:
    world.tasks[a["taskId"]].committee = Committee(a["round"], a["target"], a["totalEarmarked"])


def _committee(world: ChainState, a: Args) -> Committee:
    """The round that an event names."""
    for committee in world.tasks[a["taskId"]].committees:
        if committee.number == a["round"]:
            return committee
    raise AssertionError("an event of a round before its seed was requested")


def _appeal(world: ChainState, a: Args) -> Appeal:
    appeal = world.tasks[a["taskId"]].appeal
    assert appeal is not None, "an event of an appeal before its first contest"
    return appeal


def _round_event(name: str) -> Callable[[ChainState, Args], None]:
    return lambda world, a: ROUND_FOLDS[name](_committee(world, a), a)


def _appeal_round_event(name: str) -> Callable[[ChainState, Args], None]:
    def fold(world: ChainState, a: Args) -> None:
        committee = _appeal(world, a).committee
        assert committee is not None, "an event of an appeal's round before its seed was requested"
        ROUND_FOLDS[name](committee, a)

    return fold


def _page_settled(world: ChainState, a: Args) -> None:
    page = SettledPage(bytes_of(a["root"]), a["weights"], a["spread"], tuple(a["medians"]))
    _committee(world, a).pages[a["page"]] = page


def _round_settled(world: ChainState, a: Args) -> None:
    c = _committee(world, a)
    totals = a["totals"]
    c.totals = Totals(totals["weights"], totals["gainSeats"], totals["spread"])
    c.losses, c.payable_at = tuple(a["losses"]), a["payableAt"]


def _median_replaced(world: ChainState, a: Args) -> None:
    page, place = divmod(a["word"], world.tasks[a["taskId"]].words_a_page)
    _committee(world, a).replace_word(page, place, a["replacement"], bytes_of(a["root"]), a["weights"])


def _word_contested(world: ChainState, a: Args) -> None:
    task = world.tasks[a["taskId"]]
    if task.appeal is None:
        ends = (a["contestEnd"], a["enrolEnd"], a["deadline"])
        task.appeal = Appeal(a["bond"], *ends, tolerance=tolerance(task.params.h))
    task.appeal.contests.append(Contest(a["appellant"], a["word"], a["previous"]))


def _appeal_enrolled(world: ChainState, a: Args) -> None:
    _appeal(world, a).enrolled[a["operator"]] = a["amount"]


def _appeal_seed_requested(world: ChainState, a: Args) -> None:
    _appeal(world, a).committee = Committee(a["round"], a["target"], a["totalEarmarked"])


def _contests_settled(world: ChainState, a: Args) -> None:
    appeal = _appeal(world, a)
    assert appeal.committee is not None, "contests settled before a seed was requested"
    found = tuple(a["found"])
    appeal.committee.pages[a["page"]] = SettledPage(b"", 0, 0, found)
    appeal.found.extend(found)


def _appeal_settled(world: ChainState, a: Args) -> None:
    appeal = _appeal(world, a)
    appeal.state, appeal.paid_seats, appeal.report_end = AppealState.SETTLED, a["paidSeats"], a["reportEnd"]


def _appeal_failed(world: ChainState, a: Args) -> None:
    _appeal(world, a).state = AppealState.FAILED


def _contest_resolved(world: ChainState, a: Args) -> None:
    contest = _appeal(world, a).contests[a["contest"]]
    contest.resolved, contest.moved, contest.to_pool = True, a["moved"], a["toPool"]
    _add(world.appeal_bonds, contest.appellant, a["toAppellant"])


def _row_overturned(world: ChainState, a: Args) -> None:
    _appeal(world, a).overturned.add(a["operator"])


def _appeal_claimed(world: ChainState, a: Args) -> None:
    _appeal(world, a).claimed.add(a["operator"])


def _appeal_freed(world: ChainState, a: Args) -> None:
    _appeal(world, a).freed.add(a["operator"])


def _escrow_closed(world: ChainState, a: Args) -> None:
    world.tasks[a["taskId"]].pools = (a["trainersPool"], a["validatorsPool"])


def _entry_claimed(world: ChainState, a: Args) -> None:
    world.tasks[a["taskId"]].claimed_lanes.add(a["lane"])


def _scoring_claimed(world: ChainState, a: Args) -> None:
    world.tasks[a["taskId"]].claimed_scoring.add(a["operator"])


def _fee_refunded(world: ChainState, a: Args) -> None:
    world.tasks[a["taskId"]].claimed_fees.add(a["operator"])


def _add(credits: dict[str, int], account: str, amount: int) -> None:
    credits[account] = max(0, credits.get(account, 0) + amount)


def _credited(world: ChainState, a: Args) -> None:
    _add(world.owed, a["account"], a["amount"])


def _tip_paid(world: ChainState, a: Args) -> None:
    _add(world.owed, a["to"], a["amount"])


def _withdrawn(world: ChainState, a: Args) -> None:
    _add(world.owed, a["account"], -a["amount"])


def _bonds_withdrawn(world: ChainState, a: Args) -> None:
    _add(world.appeal_bonds, a["account"], -a["amount"])


def _slashed(world: ChainState, a: Args) -> None:
    _add(world.slash_shares, a["reporter"], a["reporterReward"])


def _owed_paid(world: ChainState, a: Args) -> None:
    _add(world.slash_shares, a["account"], -a["amount"])


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
    **{("Scoring", name): _round_event(name) for name in ROUND_FOLDS},
    ("Scoring", "PageSettled"): _page_settled,
    ("Scoring", "RoundSettled"): _round_settled,
    ("Scoring", "MedianReplaced"): _median_replaced,
    ("Appeals", "WordContested"): _word_contested,
    ("Appeals", "AppealSettled"): _appeal_settled,
    ("Appeals", "AppealFailed"): _appeal_failed,
    ("Appeals", "ContestResolved"): _contest_resolved,
    ("Appeals", "RowOverturned"): _row_overturned,
    ("Appeals", "AppealRewardClaimed"): _appeal_claimed,
    ("Appeals", "AppealCreditWithdrawn"): _bonds_withdrawn,
    ("AppealCommittee", "AppealEnrolled"): _appeal_enrolled,
    ("AppealCommittee", "SeedRequested"): _appeal_seed_requested,
    **{("AppealCommittee", name): _appeal_round_event(name) for name in ROUND_FOLDS},
    ("AppealCommittee", "ContestsSettled"): _contests_settled,
    ("AppealCommittee", "AppealEarmarkFreed"): _appeal_freed,
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
