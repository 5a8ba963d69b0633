"""Duties for faults, second committees and appeals."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.daemon.scenario import (
    COMMITTEE,
    CREATOR,
    EXPIRES,
    OPERATOR,
    REVEAL_END,
    SIGNER,
    START,
    Scenario,
    address,
    identity,
)

from covey.daemon.planning.plan import PERMISSIONLESS, Duty, DutyKind, missed_duties, own_seats, plan, plan_task
from covey.daemon.state.world import Task
from covey.protocol.appeals import appeal_seats
from covey.protocol.scores import pack
from covey.protocol.seats import seats
from covey.protocol.types import Fault, Outcome

OTHER, A, B, C = address(7), address(8), address(9), address(6)
COMMITS_CLOSED, REVEALS_CLOSED = REVEAL_END + 100, REVEAL_END + 150
LATER = EXPIRES + 650


def due(scenario: Scenario, now: int, kind: DutyKind) -> list[Duty]:
    return [duty for duty in plan_task(scenario.task, identity(), now) if duty.kind == kind]


def drawn(*validators: str) -> Scenario:
    """A round seeded at REVEAL_END. Every validator backs the task with the same stake."""
    scenario = Scenario().enter(OTHER)
    for validator in validators:
        scenario.enrol(validator, 10)
    scenario.reveal_entry(OTHER).request_seed().fix_seed(REVEAL_END)
    assert all(scenario.seats(validator) for validator in validators)
    return scenario


class TestReports:
    def test_absence_is_reported_once_after_the_commit_window(self) -> None:
        scenario = drawn(A, B, C).commit_scores(A).abstain(B)
        assert due(scenario, COMMITS_CLOSED - 1, DutyKind.REPORT_ABSENT) == []
        [duty] = due(scenario, COMMITS_CLOSED, DutyKind.REPORT_ABSENT)
        assert (duty.account, duty.round, duty.kind in PERMISSIONLESS) == (C, 0, True)
        assert due(scenario.fault(C, Fault.ABSENT), COMMITS_CLOSED, DutyKind.REPORT_ABSENT) == []

    def test_an_unrevealed_row_is_reported_after_the_reveal_window(self) -> None:
        scenario = drawn(A, B).commit_scores(A).commit_scores(B).reveal_scores(A, [500])
        assert due(scenario, REVEALS_CLOSED - 1, DutyKind.REPORT_UNREVEALED) == []
        assert [duty.account for duty in due(scenario, REVEALS_CLOSED, DutyKind.REPORT_UNREVEALED)] == [B]

    def test_an_operator_without_a_seat_owes_nothing(self) -> None:
        scenario = (
            Scenario().enter(OTHER).enrol(A, 10**9).enrol(B, 1).reveal_entry(OTHER).request_seed().fix_seed(REVEAL_END)
        )
        assert scenario.seats(B) == 0
        assert [duty.account for duty in due(scenario, COMMITS_CLOSED, DutyKind.REPORT_ABSENT)] == [A]

    def test_an_own_fault_is_reported_only_after_the_end_to_release_the_stake(self) -> None:
        scenario = drawn(OPERATOR, A, B).commit_scores(A).commit_scores(B)
        assert [duty.account for duty in due(scenario, COMMITS_CLOSED, DutyKind.REPORT_ABSENT)] == []
        assert missed_duties(scenario.task, identity(), COMMITS_CLOSED) == ["score/1/0/0"]
        scenario.reveal_scores(A, [500]).reveal_scores(B, [500]).settle({A: [500], B: [500]}, COMMITS_CLOSED).end(
            Outcome.PAID
        )
        assert [duty.account for duty in due(scenario, LATER, DutyKind.REPORT_ABSENT)] == [OPERATOR]
        assert due(scenario, LATER, DutyKind.RELEASE_EARMARK) == [], "the report comes before the release"
        scenario.fault(OPERATOR, Fault.ABSENT)
        assert len(due(scenario, LATER, DutyKind.RELEASE_EARMARK)) == 1
        assert missed_duties(scenario.task, identity(), LATER) == ["score/1/0/0"], "a reported duty stays missed"

    def test_each_report_has_its_own_key(self) -> None:
        scenario = drawn(A, B, C)
        assert len({duty.key for duty in due(scenario, COMMITS_CLOSED, DutyKind.REPORT_ABSENT)}) == 3

    def test_a_reporters_share_is_withdrawn(self) -> None:
        scenario = Scenario().enter(OPERATOR)
        slashed = {"operator": A, "fromActive": 90, "fromUnbonding": 0, "reporter": SIGNER, "reporterReward": 9}
        scenario.emit("Staking", "Slashed", **slashed)
        [duty] = plan(scenario.state, identity(), START, {})
        assert (duty.kind, duty.account, duty.key) == (DutyKind.PAY_OWED, SIGNER, f"pay-owed/0/{SIGNER}")
        scenario.emit("Staking", "OwedPaid", account=SIGNER, amount=9)
        assert plan(scenario.state, identity(), START, {}) == []

    def test_tips_are_withdrawn(self) -> None:
        scenario = Scenario().enter(OPERATOR).emit("Rewards", "TipPaid", to=SIGNER, amount=9)
        assert [duty.kind for duty in plan(scenario.state, identity(), START, {})][-1] == DutyKind.WITHDRAW


class TestSecondCommittee:
    def failed(self) -> Scenario:
        """OPERATOR revealed, A abstained, B did not reveal, C was silent. Then the round failed."""
        scenario = (
            drawn(OPERATOR, A, B, C).commit_scores(OPERATOR).abstain(A).commit_scores(B).reveal_scores(OPERATOR, [700])
        )
        assert len(due(scenario, REVEALS_CLOSED, DutyKind.FAIL_ROUND)) == 1
        return scenario.reseat(LATER, REVEALS_CLOSED + 125)

    def test_the_seed_request_waits_for_the_time_of_reports(self) -> None:
        scenario = self.failed()
        assert due(scenario, REVEALS_CLOSED + 124, DutyKind.REQUEST_SEED) == []
        reported = due(scenario, REVEALS_CLOSED, DutyKind.REPORT_ABSENT) + due(
            scenario, REVEALS_CLOSED, DutyKind.REPORT_UNREVEALED
        )
        assert [duty.account for duty in reported] == [C, B]
        scenario.fault(B, Fault.UNREVEALED).fault(C, Fault.ABSENT)
        assert due(scenario, REVEALS_CLOSED + 124, DutyKind.REQUEST_SEED) == [], "the contract refuses it until then"
        [duty] = due(scenario, REVEALS_CLOSED + 125, DutyKind.REQUEST_SEED)
        assert duty.key == "request-seed/1/1/0", "the key differs from the first committee's request"
        assert scenario.drawable_stake() == 10

    def test_it_is_drawn_without_operators_that_failed_or_abstained(self) -> None:
        scenario = self.failed().fault(C, Fault.ABSENT)
        assert [scenario.task.stake_of(operator, 1) for operator in (OPERATOR, A, B, C)] == [10, 0, 0, 0]
        assert [scenario.task.stake_of(operator, 0) for operator in (OPERATOR, A, B, C)] == [10, 10, 10, 10]
        scenario.request_seed().fix_seed(REVEALS_CLOSED + 10)
        [duty] = due(scenario, REVEALS_CLOSED + 10, DutyKind.SCORE)
        assert (duty.round, duty.key, own_seats(scenario.task, identity()) > 0) == (1, "score/1/1/0", True)
        assert due(scenario, LATER, DutyKind.REPORT_UNREVEALED)[0].account == B
        absent = [(duty.account, duty.round) for duty in due(scenario, REVEALS_CLOSED + 110, DutyKind.REPORT_ABSENT)]
        assert absent == [], "an excluded operator owes the second committee nothing"

    def test_an_absence_reported_after_the_request_excludes_nobody(self) -> None:
        scenario = self.failed().request_seed().fault(C, Fault.ABSENT, 0)
        assert scenario.task.stake_of(C, 1) == 10
        scenario.fault(B, Fault.UNREVEALED, 0)
        assert scenario.task.stake_of(B, 1) == 0, "a committed row that was not revealed excludes without a report"

    def test_it_is_paid_flat_and_publishes_both_sheets(self) -> None:
        scenario = (
            self.failed().fault(B, Fault.UNREVEALED).fault(C, Fault.ABSENT).request_seed().fix_seed(REVEALS_CLOSED + 10)
        )
        scenario.commit_scores(OPERATOR).reveal_scores(OPERATOR, [700])
        assert [duty.round for duty in due(scenario, REVEALS_CLOSED + 160, DutyKind.SETTLE_PAGE)] == [1]
        scenario.settle({OPERATOR: [700]}, REVEALS_CLOSED + 160).end(Outcome.PAID)
        assert [duty.round for duty in due(scenario, LATER, DutyKind.PUBLISH_SHEET)] == [0, 1]
        assert [duty.round for duty in due(scenario, LATER, DutyKind.CLAIM_SCORING)] == [1]
        assert len(due(scenario, LATER, DutyKind.RELEASE_EARMARK)) == 1

    def test_an_operator_reported_late_keeps_its_seats_in_the_second_committee(self) -> None:
        scenario = self.failed().request_seed().fix_seed(REVEALS_CLOSED + 130)
        assert scenario.seats(C) > 0, "not reported before the stake was frozen"
        scenario.fault(C, Fault.ABSENT, 0)
        assert scenario.seats(C) > 0
        scenario.end(Outcome.FAILED)
        assert (C, 1) in {(duty.account, duty.round) for duty in due(scenario, LATER, DutyKind.REPORT_MISSED)}
        scenario = self.failed().fault(C, Fault.ABSENT, 0).request_seed().fix_seed(REVEALS_CLOSED + 130)
        scenario.end(Outcome.FAILED)
        assert (C, 1) not in {(duty.account, duty.round) for duty in due(scenario, LATER, DutyKind.REPORT_MISSED)}

    def test_no_seed_is_requested_that_the_contract_would_refuse(self) -> None:
        scenario = Scenario().enter(OTHER).enrol(A).reveal_entry(OTHER)
        assert len(due(scenario, EXPIRES - 150, DutyKind.REQUEST_SEED)) == 1
        assert due(scenario, EXPIRES - 149, DutyKind.REQUEST_SEED) == []
        assert len(due(scenario, EXPIRES, DutyKind.EXPIRE)) == 1


class TestSilence:
    def ended(self, outcome: Outcome) -> Scenario:
        """OPERATOR abstained, A was silent, B did not reveal, C revealed; the quorum was missed."""
        scenario = drawn(OPERATOR, A, B, C).abstain(OPERATOR).commit_scores(B).commit_scores(C)
        return scenario.reveal_scores(C, [700]).end(outcome)

    @pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.PAID])
    def test_silent_seats_are_reported_after_the_end_own_ones_too(self, outcome: Outcome) -> None:
        scenario = self.ended(Outcome.RUNNING)
        assert due(scenario, REVEALS_CLOSED, DutyKind.REPORT_MISSED) == []
        scenario.end(outcome)
        reports = due(scenario, REVEALS_CLOSED, DutyKind.REPORT_MISSED)
        assert [(duty.account, duty.round) for duty in reports] == [(OPERATOR, 0), (A, 0), (B, 0)]
        assert all(duty.kind in PERMISSIONLESS for duty in reports)
        for operator in (OPERATOR, A, B):
            scenario.missed(operator)
        assert due(scenario, REVEALS_CLOSED, DutyKind.REPORT_MISSED) == []

    def test_stake_is_released_after_the_report(self) -> None:
        scenario = self.ended(Outcome.FAILED)
        assert due(scenario, LATER, DutyKind.RELEASE_EARMARK) == []
        assert len(due(scenario.missed(OPERATOR), LATER, DutyKind.RELEASE_EARMARK)) == 1

    def test_silence_in_a_round_with_a_quorum_is_no_fault_of_the_round(self) -> None:
        scenario = drawn(OPERATOR, A, B).abstain(OPERATOR).commit_scores(A).commit_scores(B)
        scenario.reveal_scores(A, [700]).reveal_scores(B, [700]).settle({A: [700], B: [700]}, REVEALS_CLOSED)
        scenario.end(Outcome.PAID)
        assert due(scenario, LATER, DutyKind.REPORT_MISSED) == []
        assert len(due(scenario, LATER, DutyKind.RELEASE_EARMARK)) == 1


class TestVoidRound:
    MORE = (address(11), address(12), address(13))

    def void(self) -> Scenario:
        """Every median of the first round is 0. OPERATOR abstained, C was silent."""
        scenario = drawn(OPERATOR, A, B, C, *self.MORE).abstain(OPERATOR)
        rows = {operator: [0] for operator in (A, B, *self.MORE)}
        for operator in rows:
            scenario.commit_scores(operator)
        for operator, row in rows.items():
            scenario.reveal_scores(operator, row)
        return scenario.settle(rows, REVEALS_CLOSED).reseat(LATER, REVEALS_CLOSED + 125)

    def test_nobody_leaves_for_it(self) -> None:
        scenario = self.void().fault(C, Fault.ABSENT)
        assert scenario.task.has_void_round
        assert [scenario.task.stake_of(operator, 1) for operator in (OPERATOR, A, B, C)] == [10, 10, 10, 10]
        assert scenario.drawable_stake() == 70
        scenario.request_seed().fix_seed(REVEALS_CLOSED + 130)
        assert own_seats(scenario.task, identity()) > 0

    def test_a_failed_task_returns_no_fee(self) -> None:
        scenario = self.void().end(Outcome.FAILED)
        entrant = replace(identity(), operator=OTHER)
        assert DutyKind.CLAIM_FEE not in [duty.kind for duty in plan_task(scenario.task, entrant, LATER)]
        assert due(scenario, LATER, DutyKind.REPORT_MISSED) == [], "the round had a quorum"


SETTLED = REVEAL_END + 160
CONTEST_END, ENROL_END = SETTLED + 60, SETTLED + 110
DEADLINE = ENROL_END + 650
FAR = [900, 9000]  # scores of A for both entries; the appeal finds other medians
JUROR, OTHER_JUROR = address(3), address(4)


class TestAppeals:
    def contested(self) -> Scenario:
        """A sealed task whose only word is contested."""
        scenario = Scenario().enter(OTHER).enter(address(5))
        params = scenario.task.params
        scenario.task.params = replace(params, windows=replace(params.windows, appeal=60))
        scenario.enrol(A, 20).enrol(B, 10).reveal_entry(OTHER).reveal_entry(address(5)).request_seed()
        scenario.fix_seed(REVEAL_END).commit_scores(A).commit_scores(B)
        rows = {A: FAR, B: [900, 2000]}
        for operator, row in rows.items():
            scenario.reveal_scores(operator, row)
        scenario.settle(rows, CONTEST_END)
        assert due(scenario, CONTEST_END, DutyKind.FINALISE) != []
        ends = {"contestEnd": CONTEST_END, "enrolEnd": ENROL_END, "deadline": DEADLINE}
        args = {"appellant": SIGNER, "contest": 0, "word": 0, "previous": self.median(scenario), "bond": 5}
        return scenario.emit("Appeals", "WordContested", **args, **ends)

    @staticmethod
    def median(scenario: Scenario) -> int:
        assert scenario.task.committee is not None
        return scenario.task.committee.pages[0].medians[0]

    def backed(self) -> Scenario:
        """Two operators that had no seat in the task's committee enrol for the appeal."""
        scenario = self.contested()
        for operator, stake in ((JUROR, 20), (OTHER_JUROR, 10)):
            args = {"operator": operator, "amount": stake, "stake": stake, "enrolled": stake}
            scenario.emit("AppealCommittee", "AppealEnrolled", **args)
        return scenario

    def seated(self) -> Scenario:
        """The appeal's round is seeded."""
        scenario = self.backed()
        scenario.emit("AppealCommittee", "SeedRequested", round=0, target=9, totalEarmarked=30)
        ends = {"scoreCommitEnd": ENROL_END + 100, "scoreRevealEnd": ENROL_END + 150}
        return scenario.emit("AppealCommittee", "SeedFixed", round=0, seed="0x" + "77" * 32, **ends)

    def appeal_seats(self, task: Task, operator: str) -> int:
        wanted, seed = appeal_seats(task.params.target_seats), bytes.fromhex("77" * 32)
        assert task.appeal is not None
        return seats(31337, COMMITTEE, task.id, 0, seed, operator, task.appeal.stakes[operator], 30, wanted)

    def settled(self) -> Scenario:
        """OTHER_JUROR scores as B did and JUROR does not reveal; then the appeal is settled."""
        scenario = self.seated()
        for operator in (JUROR, OTHER_JUROR):
            args = {
                "operator": operator,
                "seats": self.appeal_seats(scenario.task, operator),
                "commitment": "0x" + "00" * 32,
            }
            scenario.emit("AppealCommittee", "ScoresCommitted", round=0, **args)
        words = pack([900, 2000])
        row = {"operator": OTHER_JUROR, "seats": 7, "index": 0, "evidenceDigest": "0x" + "00" * 32, "words": words}
        scenario.emit("AppealCommittee", "ScoresRevealed", round=0, **row)
        scenario.emit("AppealCommittee", "ContestsSettled", page=0, found=words)
        return scenario.emit("Appeals", "AppealSettled", paidSeats=7, reportEnd=DEADLINE + 60)

    def test_an_appeal_with_too_little_stake_fails(self) -> None:
        scenario = self.contested()
        assert due(scenario, ENROL_END - 1, DutyKind.FAIL_APPEAL) == []
        assert len(due(scenario, ENROL_END, DutyKind.FAIL_APPEAL)) == 1
        args = {"operator": JUROR, "amount": 14, "stake": 14, "enrolled": 14}
        scenario.emit("AppealCommittee", "AppealEnrolled", **args)
        assert len(due(scenario, ENROL_END, DutyKind.FAIL_APPEAL)) == 1, "half of 30 is 15"

    def test_the_task_waits_for_its_appeal(self) -> None:
        scenario = self.backed()
        assert due(scenario, CONTEST_END, DutyKind.FINALISE) == []
        assert due(scenario, ENROL_END - 1, DutyKind.APPEAL_REQUEST_SEED) == []
        assert len(due(scenario, ENROL_END, DutyKind.APPEAL_REQUEST_SEED)) == 1
        assert due(scenario, DEADLINE - 149, DutyKind.APPEAL_REQUEST_SEED) == [], "the committee could not finish"
        assert len(due(scenario, DEADLINE, DutyKind.FAIL_APPEAL)) == 1
        scenario.emit("AppealCommittee", "SeedRequested", round=0, target=9, totalEarmarked=30)
        assert len(due(scenario, ENROL_END, DutyKind.APPEAL_FIX_SEED)) == 1

    def test_a_missed_quorum_fails_the_appeal_and_returns_the_bond(self) -> None:
        scenario = self.seated()
        assert len(due(scenario, ENROL_END + 100, DutyKind.FAIL_APPEAL)) == 1
        assert [duty.account for duty in due(scenario, ENROL_END + 100, DutyKind.APPEAL_REPORT_ABSENT)] == [
            JUROR, OTHER_JUROR,
        ]  # fmt: skip
        assert due(scenario, ENROL_END + 100, DutyKind.REPORT_SILENT) == []
        scenario.emit("Appeals", "AppealFailed")
        silent = due(scenario, ENROL_END + 110, DutyKind.REPORT_SILENT)
        assert [duty.account for duty in silent] == [JUROR, OTHER_JUROR]
        reported = {"operator": JUROR, "seats": 1, "failed": True, "reporter": CREATOR, "taken": 1}
        scenario.emit("Faults", "JurorReported", **reported)
        assert [duty.account for duty in due(scenario, LATER, DutyKind.REPORT_SILENT)] == [OTHER_JUROR]
        [duty] = due(scenario, ENROL_END + 110, DutyKind.RESOLVE_CONTEST)
        assert duty.page == 0
        scenario.emit(
            "Appeals", "ContestResolved", contest=0, word=0, moved=False, copied=False, toAppellant=5, toPool=0,
            toTreasury=0,
        )  # fmt: skip
        assert len(due(scenario, ENROL_END + 111, DutyKind.FINALISE)) == 1
        assert [duty.kind for duty in plan(scenario.state, identity(), ENROL_END + 111, {})][
            -1
        ] == DutyKind.WITHDRAW_BONDS

    def test_a_settled_appeal_replaces_the_median_and_reports_far_rows(self) -> None:
        scenario = self.settled()
        [duty] = due(scenario, DEADLINE, DutyKind.REPORT_OVERTURNED)
        assert (duty.account, duty.page) == (A, 0)
        assert [duty.account for duty in due(scenario, DEADLINE, DutyKind.APPEAL_REPORT_UNREVEALED)] == [
            JUROR
        ]  # fmt: skip
        [new] = pack([900, 2000])
        old = scenario.task.committee
        assert old is not None and old.totals is not None
        weights = old.totals.weights - 7000
        scenario.emit(
            "Scoring", "MedianReplaced", round=0, word=0, previous=self.median(scenario), replacement=new,
            root="0x" + "99" * 32, weights=weights,
        )  # fmt: skip
        assert self.median(scenario) == new
        assert (old.totals.weights, old.pages[0].weights, old.pages[0].root) == (weights, weights, b"\x99" * 32)
        scenario.emit("Appeals", "RowOverturned", operator=A, contest=0, reporter=CREATOR, taken=2)
        assert due(scenario, DEADLINE, DutyKind.REPORT_OVERTURNED) == []

    def test_a_seated_node_abstains_in_the_appeal(self) -> None:
        scenario = self.seated()
        validator = replace(identity(), operator=JUROR)
        kinds = [duty.kind for duty in plan_task(scenario.task, validator, ENROL_END)]
        assert DutyKind.APPEAL_ABSTAIN in kinds
        scenario.emit("AppealCommittee", "Abstained", round=0, operator=JUROR, seats=1)
        assert DutyKind.APPEAL_ABSTAIN not in [duty.kind for duty in plan_task(scenario.task, validator, ENROL_END)]

    def test_a_juror_whose_row_is_far_from_the_result_is_reported(self) -> None:
        scenario = self.settled()
        assert due(scenario, DEADLINE, DutyKind.REPORT_JUROR) == []
        words = pack([900, 2000 + 8 * scenario.task.params.h + 1])
        row = {"operator": JUROR, "seats": 7, "index": 1, "evidenceDigest": "0x" + "00" * 32, "words": words}
        scenario.emit("AppealCommittee", "ScoresRevealed", round=0, **row)
        [duty] = due(scenario, DEADLINE, DutyKind.REPORT_JUROR)
        assert duty.account == JUROR
        reported = {"operator": JUROR, "seats": 7, "failed": False, "reporter": CREATOR, "taken": 1}
        scenario.emit("Faults", "JurorReported", **reported)
        assert due(scenario, DEADLINE, DutyKind.REPORT_JUROR) == []

    @pytest.mark.parametrize("now", [DEADLINE, DEADLINE + 60])
    def test_rewards_and_stake_after_the_end_of_an_appealed_task(self, now: int) -> None:
        scenario = self.settled()
        scenario.emit("AppealCommittee", "FaultReported", round=0, operator=JUROR, fault=1, reporter=CREATOR, taken=1)
        resolved = {"moved": True, "copied": False, "toAppellant": 9, "toPool": 5, "toTreasury": 0}
        scenario.emit("Appeals", "ContestResolved", contest=0, word=0, **resolved)
        scenario.end(Outcome.PAID)
        juror = replace(identity(), operator=OTHER_JUROR)
        kinds = [duty.kind for duty in plan_task(scenario.task, juror, now)]
        assert DutyKind.CLAIM_APPEAL in kinds
        over = now >= DEADLINE + 60
        assert (DutyKind.RELEASE_APPEAL in kinds) == over, "held until the report window closes"
        validator = replace(identity(), operator=B)
        kinds = [duty.kind for duty in plan_task(scenario.task, validator, now)]
        assert (DutyKind.RELEASE_EARMARK in kinds) == over
