"""Faults, the second committee and appeals: who is reported when, what waits for it, what a sealed task still needs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.daemon.scenario import (
    COMMITTEE,
    CREATOR,
    EXPIRES,
    ME,
    REVEAL_END,
    SIGNER,
    START,
    Scenario,
    address,
    me,
)

from covey.daemon.planning.plan import PERMISSIONLESS, Duty, DutyKind, missed, my_seats, plan, plan_task
from covey.daemon.state.world import Task
from covey.protocol.appeals import appeal_seats
from covey.protocol.scores import pack
from covey.protocol.seats import seats
from covey.protocol.types import Fault, Outcome

OTHER, A, B, C = address(7), address(8), address(9), address(6)
CLOSED, SHOWN = REVEAL_END + 100, REVEAL_END + 150
LATER = EXPIRES + 650


def due(story: Scenario, now: int, kind: DutyKind) -> list[Duty]:
    return [duty for duty in plan_task(story.task, me(), now) if duty.kind == kind]


def drawn(*validators: str) -> Scenario:
    """The seed came at REVEAL_END; every validator backs the task with the same stake."""
    story = Scenario().enter(OTHER)
    for validator in validators:
        story.enrol(validator, 10)
    story.reveal_entry(OTHER).request_seed().fix_seed(REVEAL_END)
    assert all(story.seats(validator) for validator in validators)
    return story


class TestReports:
    def test_absence_is_reported_once_commits_are_over(self) -> None:
        story = drawn(A, B, C).commit_scores(A).abstain(B)
        assert due(story, CLOSED - 1, DutyKind.REPORT_ABSENT) == []
        [duty] = due(story, CLOSED, DutyKind.REPORT_ABSENT)
        assert (duty.account, duty.round, duty.kind in PERMISSIONLESS) == (C, 0, True)
        assert due(story.fault(C, Fault.ABSENT), CLOSED, DutyKind.REPORT_ABSENT) == []

    def test_a_hidden_row_is_reported_once_reveals_are_over(self) -> None:
        story = drawn(A, B).commit_scores(A).commit_scores(B).reveal_scores(A, [500])
        assert due(story, SHOWN - 1, DutyKind.REPORT_UNREVEALED) == []
        assert [duty.account for duty in due(story, SHOWN, DutyKind.REPORT_UNREVEALED)] == [B]

    def test_who_has_no_seat_owes_nothing(self) -> None:
        story = (
            Scenario().enter(OTHER).enrol(A, 10**9).enrol(B, 1).reveal_entry(OTHER).request_seed().fix_seed(REVEAL_END)
        )
        assert story.seats(B) == 0
        assert [duty.account for duty in due(story, CLOSED, DutyKind.REPORT_ABSENT)] == [A]

    def test_an_own_fault_is_left_to_others_until_it_holds_the_own_stake(self) -> None:
        story = drawn(ME, A, B).commit_scores(A).commit_scores(B)
        assert [duty.account for duty in due(story, CLOSED, DutyKind.REPORT_ABSENT)] == []
        assert missed(story.task, me(), CLOSED) == ["score/1/0/0"]
        story.reveal_scores(A, [500]).reveal_scores(B, [500]).settle({A: [500], B: [500]}, CLOSED).end(Outcome.PAID)
        assert [duty.account for duty in due(story, LATER, DutyKind.REPORT_ABSENT)] == [ME]
        assert due(story, LATER, DutyKind.RELEASE_EARMARK) == [], "first the report, then what it leaves of the stake"
        story.fault(ME, Fault.ABSENT)
        assert len(due(story, LATER, DutyKind.RELEASE_EARMARK)) == 1
        assert missed(story.task, me(), LATER) == ["score/1/0/0"], "reported is not done"

    def test_reports_name_round_and_operator(self) -> None:
        story = drawn(A, B, C)
        assert len({duty.key for duty in due(story, CLOSED, DutyKind.REPORT_ABSENT)}) == 3

    def test_the_reporters_share_is_paid_out(self) -> None:
        story = Scenario().enter(ME)
        slashed = {"operator": A, "fromActive": 90, "fromUnbonding": 0, "reporter": SIGNER, "reporterReward": 9}
        story.tell("Staking", "Slashed", **slashed)
        [duty] = plan(story.world, me(), START, {})
        assert (duty.kind, duty.account, duty.key) == (DutyKind.PAY_OWED, SIGNER, f"pay-owed/0/{SIGNER}")
        story.tell("Staking", "OwedPaid", account=SIGNER, amount=9)
        assert plan(story.world, me(), START, {}) == []

    def test_tips_are_withdrawn(self) -> None:
        story = Scenario().enter(ME).tell("Rewards", "TipPaid", to=SIGNER, amount=9)
        assert [duty.kind for duty in plan(story.world, me(), START, {})][-1] == DutyKind.WITHDRAW


class TestSecondCommittee:
    def failed(self) -> Scenario:
        """ME revealed, A abstained, B hid its row, C was silent; then the quorum was found missed."""
        story = drawn(ME, A, B, C).commit_scores(ME).abstain(A).commit_scores(B).reveal_scores(ME, [700])
        assert len(due(story, SHOWN, DutyKind.FAIL_ROUND)) == 1
        return story.reseat(LATER)

    def test_the_seed_waits_for_reports_but_not_for_ever(self) -> None:
        story = self.failed()
        assert due(story, SHOWN, DutyKind.REQUEST_SEED) == []
        reported = due(story, SHOWN, DutyKind.REPORT_ABSENT) + due(story, SHOWN, DutyKind.REPORT_UNREVEALED)
        assert [duty.account for duty in reported] == [C, B]
        assert len(due(story, SHOWN + 125, DutyKind.REQUEST_SEED)) == 1
        story.fault(B, Fault.UNREVEALED).fault(C, Fault.ABSENT)
        [duty] = due(story, SHOWN, DutyKind.REQUEST_SEED)
        assert duty.key == "request-seed/1/1/0", "not the first committee's request, which was done"
        assert story.drawn_from() == 10

    def test_it_is_drawn_without_those_that_failed_or_abstained(self) -> None:
        story = self.failed().fault(C, Fault.ABSENT)
        assert [story.task.stake_of(one, 1) for one in (ME, A, B, C)] == [10, 0, 0, 0]
        assert [story.task.stake_of(one, 0) for one in (ME, A, B, C)] == [10, 10, 10, 10]
        story.request_seed().fix_seed(SHOWN + 10)
        [duty] = due(story, SHOWN + 10, DutyKind.SCORE)
        assert (duty.round, duty.key, my_seats(story.task, me()) > 0) == (1, "score/1/1/0", True)
        assert due(story, LATER, DutyKind.REPORT_UNREVEALED)[0].account == B
        absent = [(duty.account, duty.round) for duty in due(story, SHOWN + 110, DutyKind.REPORT_ABSENT)]
        assert absent == [], "who is out of the second committee owes it nothing"

    def test_it_is_paid_flat_and_publishes_both_sheets(self) -> None:
        story = self.failed().fault(B, Fault.UNREVEALED).fault(C, Fault.ABSENT).request_seed().fix_seed(SHOWN + 10)
        story.commit_scores(ME).reveal_scores(ME, [700])
        assert [duty.round for duty in due(story, SHOWN + 160, DutyKind.SETTLE_PAGE)] == [1]
        story.settle({ME: [700]}, SHOWN + 160).end(Outcome.PAID)
        assert [duty.round for duty in due(story, LATER, DutyKind.PUBLISH_SHEET)] == [0, 1]
        assert [duty.round for duty in due(story, LATER, DutyKind.CLAIM_SCORING)] == [1]
        assert len(due(story, LATER, DutyKind.RELEASE_EARMARK)) == 1

    def test_no_seed_is_asked_for_that_the_contract_would_refuse(self) -> None:
        story = Scenario().enter(OTHER).enrol(A).reveal_entry(OTHER)
        assert len(due(story, EXPIRES - 150, DutyKind.REQUEST_SEED)) == 1
        assert due(story, EXPIRES - 149, DutyKind.REQUEST_SEED) == []
        assert len(due(story, EXPIRES, DutyKind.EXPIRE)) == 1


SETTLED = REVEAL_END + 160
CONTEST_END, ENROL_END = SETTLED + 60, SETTLED + 110
DEADLINE = ENROL_END + 650
FAR = [900, 9000]  # what A said of both entries; the appeal finds otherwise


class TestAppeals:
    def contested(self) -> Scenario:
        """A sealed task with one word, which somebody contests."""
        story = Scenario().enter(OTHER).enter(address(5))
        params = story.task.params
        story.task.params = replace(params, windows=replace(params.windows, appeal=60))
        story.enrol(A, 20).enrol(B, 10).reveal_entry(OTHER).reveal_entry(address(5)).request_seed()
        story.fix_seed(REVEAL_END).commit_scores(A).commit_scores(B)
        rows = {A: FAR, B: [900, 2000]}
        for operator, row in rows.items():
            story.reveal_scores(operator, row)
        story.settle(rows, CONTEST_END)
        assert due(story, CONTEST_END, DutyKind.FINALISE) != []
        ends = {"contestEnd": CONTEST_END, "enrolEnd": ENROL_END, "deadline": DEADLINE}
        args = {"appellant": SIGNER, "contest": 0, "word": 0, "previous": self.median(story), "bond": 5}
        return story.tell("Appeals", "WordContested", **args, **ends)

    @staticmethod
    def median(story: Scenario) -> int:
        assert story.task.committee is not None
        return story.task.committee.pages[0].medians[0]

    def seated(self) -> Scenario:
        story = self.contested()
        story.tell("AppealCommittee", "SeedRequested", round=0, target=9, totalEarmarked=30)
        ends = {"scoreCommitEnd": ENROL_END + 100, "scoreRevealEnd": ENROL_END + 150}
        return story.tell("AppealCommittee", "SeedFixed", round=0, seed="0x" + "77" * 32, **ends)

    def own_seats(self, task: Task, operator: str) -> int:
        wanted, seed = appeal_seats(task.params.target_seats), bytes.fromhex("77" * 32)
        return seats(31337, COMMITTEE, task.id, 0, seed, operator, task.enrolled[operator], 30, wanted)

    def found(self) -> Scenario:
        """B alone scores again and finds what it said before; A hides its row."""
        story = self.seated()
        for who in (A, B):
            args = {"operator": who, "seats": self.own_seats(story.task, who), "commitment": "0x" + "00" * 32}
            story.tell("AppealCommittee", "ScoresCommitted", round=0, **args)
        words = pack([900, 2000])
        row = {"operator": B, "seats": 7, "index": 0, "evidenceDigest": "0x" + "00" * 32, "words": words}
        story.tell("AppealCommittee", "ScoresRevealed", round=0, **row)
        story.tell("AppealCommittee", "ContestsSettled", page=0, found=words)
        return story.tell("Appeals", "AppealSettled", paidSeats=7, reportEnd=DEADLINE + 60)

    def test_the_task_waits_and_its_appeal_goes_on(self) -> None:
        story = self.contested()
        assert due(story, CONTEST_END, DutyKind.FINALISE) == []
        assert due(story, ENROL_END - 1, DutyKind.APPEAL_REQUEST_SEED) == []
        assert len(due(story, ENROL_END, DutyKind.APPEAL_REQUEST_SEED)) == 1
        assert due(story, DEADLINE - 149, DutyKind.APPEAL_REQUEST_SEED) == [], "the committee could not finish"
        assert len(due(story, DEADLINE, DutyKind.FAIL_APPEAL)) == 1
        story.tell("AppealCommittee", "SeedRequested", round=0, target=9, totalEarmarked=30)
        assert len(due(story, ENROL_END, DutyKind.APPEAL_FIX_SEED)) == 1

    def test_a_missed_quorum_fails_the_appeal_and_returns_the_bond(self) -> None:
        story = self.seated()
        assert len(due(story, ENROL_END + 100, DutyKind.FAIL_APPEAL)) == 1
        assert [duty.account for duty in due(story, ENROL_END + 100, DutyKind.APPEAL_REPORT_ABSENT)] == [A, B]
        story.tell("Appeals", "AppealFailed")
        [duty] = due(story, ENROL_END + 110, DutyKind.RESOLVE_CONTEST)
        assert duty.page == 0
        story.tell("Appeals", "ContestResolved", contest=0, word=0, moved=False, toAppellant=5, toPool=0)
        assert len(due(story, ENROL_END + 111, DutyKind.FINALISE)) == 1
        assert [duty.kind for duty in plan(story.world, me(), ENROL_END + 111, {})][-1] == DutyKind.WITHDRAW_BONDS

    def test_what_was_found_replaces_the_median_and_slashes_who_was_far(self) -> None:
        story = self.found()
        [duty] = due(story, DEADLINE, DutyKind.REPORT_OVERTURNED)
        assert (duty.account, duty.page) == (A, 0)
        assert [duty.account for duty in due(story, DEADLINE, DutyKind.APPEAL_REPORT_UNREVEALED)] == [A]
        [new] = pack([900, 2000])
        old = story.task.committee
        assert old is not None and old.totals is not None
        weights = old.totals.weights - 7000
        story.tell(
            "Scoring", "MedianReplaced", round=0, word=0, previous=self.median(story), replacement=new,
            root="0x" + "99" * 32, weights=weights,
        )  # fmt: skip
        assert self.median(story) == new
        assert (old.totals.weights, old.pages[0].weights, old.pages[0].root) == (weights, weights, b"\x99" * 32)
        story.tell("Appeals", "RowOverturned", operator=A, contest=0, reporter=CREATOR, taken=2)
        assert due(story, DEADLINE, DutyKind.REPORT_OVERTURNED) == []

    def test_a_node_with_stake_behind_the_task_abstains_and_its_earmark_waits(self) -> None:
        story = self.seated()
        mine = replace(me(), operator=B)
        kinds = [duty.kind for duty in plan_task(story.task, mine, ENROL_END)]
        assert DutyKind.APPEAL_ABSTAIN in kinds
        story.tell("AppealCommittee", "Abstained", round=0, operator=B, seats=1)
        assert DutyKind.APPEAL_ABSTAIN not in [duty.kind for duty in plan_task(story.task, mine, ENROL_END)]

    @pytest.mark.parametrize("now", [DEADLINE, DEADLINE + 60])
    def test_pay_and_stake_after_the_end(self, now: int) -> None:
        story = self.found()
        story.tell("AppealCommittee", "FaultReported", round=0, operator=A, fault=1, reporter=CREATOR, taken=1)
        story.tell("Appeals", "ContestResolved", contest=0, word=0, moved=True, toAppellant=9, toPool=5)
        story.end(Outcome.PAID)
        mine = replace(me(), operator=B)
        kinds = [duty.kind for duty in plan_task(story.task, mine, now)]
        assert DutyKind.CLAIM_APPEAL in kinds
        assert (DutyKind.RELEASE_EARMARK in kinds) == (now >= DEADLINE + 60), "held until rows can be reported no more"
