"""The plan in every phase and for every role: idempotent and ordered."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.daemon.scenario import (
    COMMIT_END,
    ENROL_END,
    EXPIRES,
    OPERATOR,
    REVEAL_END,
    SIGNER,
    START,
    FakeEvent,
    Scenario,
    address,
    identity,
)

from covey.config.types import Role
from covey.daemon.planning.duty import Identity
from covey.daemon.planning.plan import (
    NO_DEADLINE,
    PERMISSIONLESS,
    Duty,
    DutyKind,
    is_urgent,
    missed_duties,
    own_seats,
    plan,
    plan_task,
)
from covey.daemon.state.folds import apply_event, branch
from covey.daemon.state.task import Task
from covey.daemon.state.world import ChainState
from covey.protocol.types import Outcome

OTHER = address(7)


def kinds(scenario: Scenario, now: int, *roles: Role) -> list[DutyKind]:
    """Kinds of the duties due for OPERATOR."""
    return [duty.kind for duty in plan_task(scenario.task, identity(*roles), now)]


def seeded(own: int = 10, others: int = 10) -> Scenario:
    """A task in its score-commit window, seeded at REVEAL_END. OTHER entered; OPERATOR and another one validate."""
    scenario = Scenario().enter(OTHER)
    if own:
        scenario.enrol(OPERATOR, own)
    scenario.enrol(address(8), others)
    return scenario.reveal_entry(OTHER).request_seed().fix_seed(REVEAL_END)


class TestTrainer:
    def test_enters_until_the_window_closes(self) -> None:
        scenario = Scenario().enter(OTHER)
        assert kinds(scenario, START, Role.TRAINER) == [DutyKind.ENTER]
        assert kinds(scenario, COMMIT_END - 1, Role.TRAINER) == [DutyKind.ENTER]
        assert kinds(scenario, COMMIT_END, Role.TRAINER) == []

    def test_enters_once(self) -> None:
        assert kinds(Scenario().enter(OPERATOR), START, Role.TRAINER) == []

    def test_reveals_after_enrolment_and_before_the_end(self) -> None:
        scenario = Scenario().enter(OPERATOR).enrol(OTHER)
        assert kinds(scenario, ENROL_END - 1, Role.TRAINER) == []
        assert kinds(scenario, ENROL_END, Role.TRAINER) == [DutyKind.REVEAL_ENTRY]
        assert kinds(scenario, REVEAL_END - 1, Role.TRAINER) == [DutyKind.REVEAL_ENTRY]
        assert DutyKind.REVEAL_ENTRY not in kinds(scenario, REVEAL_END, Role.TRAINER)

    def test_publishes_only_what_is_revealed(self) -> None:
        scenario = Scenario().enter(OPERATOR).enrol(OTHER)
        assert DutyKind.PUBLISH_ENTRY not in kinds(scenario, ENROL_END, Role.TRAINER)
        assert kinds(scenario.reveal_entry(OPERATOR), ENROL_END, Role.TRAINER) == [DutyKind.PUBLISH_ENTRY]

    def test_a_validator_alone_does_not_enter(self) -> None:
        assert kinds(Scenario().enter(OTHER), START, Role.VALIDATOR) == []


class TestValidator:
    def test_enrols_in_its_window(self) -> None:
        scenario = Scenario().enter(OTHER)
        assert kinds(scenario, COMMIT_END, Role.VALIDATOR) == [DutyKind.ENROL]
        assert DutyKind.ENROL not in kinds(scenario, ENROL_END, Role.VALIDATOR)

    def test_does_not_enrol_in_a_task_it_entered(self) -> None:
        assert DutyKind.ENROL not in kinds(Scenario().enter(OPERATOR), COMMIT_END)

    def test_scores_when_seated(self) -> None:
        scenario = seeded()
        assert own_seats(scenario.task, identity()) > 0
        assert kinds(scenario, REVEAL_END) == [DutyKind.SCORE]

    def test_does_not_score_without_a_seat(self) -> None:
        scenario = seeded(own=1, others=10**9)
        assert own_seats(scenario.task, identity()) == 0
        assert kinds(scenario, REVEAL_END) == []
        assert kinds(seeded(own=0), REVEAL_END) == []

    @pytest.mark.parametrize("act", [Scenario.commit_scores, Scenario.abstain])
    def test_commits_or_abstains_once(self, act: Callable[[Scenario, str], Scenario]) -> None:
        assert kinds(act(seeded(), OPERATOR), REVEAL_END) == []

    def test_reveals_its_row_in_the_window(self) -> None:
        scenario = seeded().commit_scores(OPERATOR).commit_scores(address(8))
        assert kinds(scenario, REVEAL_END + 99) == []
        assert kinds(scenario, REVEAL_END + 100) == [DutyKind.REVEAL_SCORES]
        scenario.reveal_scores(OPERATOR, [500])
        assert kinds(scenario, REVEAL_END + 100) == [DutyKind.PUBLISH_SHEET]
        assert DutyKind.REVEAL_SCORES not in kinds(scenario, REVEAL_END + 150)

    def test_seats_follow_from_the_total_frozen_at_the_seed_request(self) -> None:
        scenario = seeded()
        before = own_seats(scenario.task, identity())
        scenario.task.total_earmarked += 10**9
        assert own_seats(scenario.task, identity()) == before


class TestPermissionlessSteps:
    def test_each_phase_has_its_step(self) -> None:
        assert kinds(Scenario(), COMMIT_END) == [DutyKind.CLOSE_TASK]
        assert kinds(Scenario().enter(OTHER), ENROL_END) == [DutyKind.CLOSE_TASK]
        scenario = Scenario(min_stake=50).enter(OTHER).enrol(address(8), 49)
        assert kinds(scenario, ENROL_END) == [DutyKind.CLOSE_TASK]
        assert kinds(scenario.enrol(address(9), 1).reveal_entry(OTHER), REVEAL_END) == [DutyKind.REQUEST_SEED]
        assert kinds(scenario.request_seed(), REVEAL_END) == [DutyKind.FIX_SEED]
        assert kinds(scenario, EXPIRES) == [DutyKind.EXPIRE]

    def test_the_quorum_decides_between_settling_and_failing(self) -> None:
        scenario = seeded(own=0).commit_scores(address(8))
        assert kinds(scenario, REVEAL_END + 150) == [DutyKind.REPORT_UNREVEALED, DutyKind.FAIL_ROUND]
        scenario.reveal_scores(address(8), [500])
        assert kinds(scenario, REVEAL_END + 150) == [DutyKind.SETTLE_PAGE]

    def test_a_settled_task_is_finalised_even_past_its_expiry(self) -> None:
        rows = {address(8): [500]}
        scenario = seeded(own=0).commit_scores(address(8)).reveal_scores(address(8), [500])
        scenario.settle(rows, REVEAL_END + 160)
        assert kinds(scenario, REVEAL_END + 160) == [DutyKind.FINALISE]
        assert kinds(scenario, EXPIRES + 1) == [DutyKind.FINALISE]

    def test_pages_settle_in_order(self) -> None:
        scenario = Scenario(max_entries=1100)
        names = [address(100 + number) for number in range(1040)]
        for name in names:
            scenario.enter(name)
        scenario.enrol(address(8))
        for name in names:
            scenario.reveal_entry(name)
        row = [500 + number % 300 for number in range(len(names))]
        scenario.request_seed().fix_seed(REVEAL_END).commit_scores(address(8)).reveal_scores(address(8), row)
        assert scenario.task.page_total == 2
        [duty] = plan_task(scenario.task, identity(), REVEAL_END + 150)
        assert (duty.kind, duty.page) == (DutyKind.SETTLE_PAGE, 0)
        scenario.emit("Scoring", "PageSettled", round=0, page=0, root="0x", weights=0, spread=0, medians=[])
        [duty] = plan_task(scenario.task, identity(), REVEAL_END + 150)
        assert (duty.kind, duty.page) == (DutyKind.SETTLE_PAGE, 1)


class TestAfterTheEnd:
    def paid(self) -> Scenario:
        """A paid task with three entries. OPERATOR's row is perfect, another validator's is a guess."""
        scenario = Scenario()
        for number in (1, 2, 3):
            scenario.enter(address(number))
        scenario.enrol(OPERATOR, 20).enrol(address(8), 10)
        for number in (1, 2, 3):
            scenario.reveal_entry(address(number))
        scenario.request_seed().fix_seed(REVEAL_END).commit_scores(OPERATOR).commit_scores(address(8))
        rows = {OPERATOR: [900, 2000, 4000], address(8): [30000, 1, 1]}
        for operator, row in rows.items():
            scenario.reveal_scores(operator, row)
        return scenario.settle(rows, REVEAL_END + 160).end(Outcome.PAID)

    def test_a_validator_releases_its_stake_and_claims(self) -> None:
        scenario = self.paid()
        expected = {DutyKind.RELEASE_EARMARK, DutyKind.PUBLISH_SHEET, DutyKind.CLAIM_SCORING}
        assert set(kinds(scenario, EXPIRES)) == expected
        scenario.emit("TaskRegistry", "EarmarkFreed", operator=OPERATOR, amount=20)
        scenario.emit("Rewards", "ScoringRewardClaimed", operator=OPERATOR, seats=1, gain=1, amount=1)
        assert kinds(scenario, EXPIRES) == [DutyKind.PUBLISH_SHEET]

    def test_a_row_without_gain_claims_nothing(self) -> None:
        scenario = self.paid()
        committee = scenario.task.committee
        assert committee is not None
        assert [committee.loss_of(row) for row in committee.revealed] == [0, 1500]
        guesser = [duty.kind for duty in plan_task(scenario.task, _as(address(8)), EXPIRES)]
        assert DutyKind.CLAIM_SCORING not in guesser
        assert DutyKind.RELEASE_EARMARK in guesser

    def test_an_entrant_claims_the_reward_of_its_median(self) -> None:
        scenario = self.paid()
        best = [duty.kind for duty in plan_task(scenario.task, _as(address(3)), EXPIRES)]
        assert best == [DutyKind.PUBLISH_ENTRY, DutyKind.CLAIM_ENTRY]
        scenario.emit("Rewards", "EntryRewardClaimed", operator=address(3), lane=2, median=4000, amount=1)
        assert [duty.kind for duty in plan_task(scenario.task, _as(address(3)), EXPIRES)] == [DutyKind.PUBLISH_ENTRY]

    def test_an_entry_below_the_floor_claims_nothing(self) -> None:
        scenario = Scenario().enter(OTHER).enrol(OPERATOR).reveal_entry(OTHER).request_seed().fix_seed(REVEAL_END)
        scenario.commit_scores(OPERATOR).reveal_scores(OPERATOR, [100]).settle({OPERATOR: [100]}, REVEAL_END + 160).end(
            Outcome.PAID, 0
        )
        assert [duty.kind for duty in plan_task(scenario.task, _as(OTHER), EXPIRES)] == [DutyKind.PUBLISH_ENTRY]

    @pytest.mark.parametrize("outcome", [Outcome.REFUNDED, Outcome.FAILED])
    def test_fees_of_an_unpaid_task_are_claimed_back(self, outcome: Outcome) -> None:
        scenario = Scenario().enter(OPERATOR).end(outcome)
        assert kinds(scenario, EXPIRES) == [DutyKind.CLAIM_FEE]
        assert kinds(scenario.emit("Rewards", "FeeRefunded", operator=OPERATOR, to=OPERATOR, amount=5), EXPIRES) == []

    def test_nothing_is_claimed_without_auto_claim(self) -> None:
        assert plan_task(self.paid().task, identity(auto_claim=False), EXPIRES) == []

    def test_credits_are_withdrawn_while_a_task_runs(self) -> None:
        scenario = Scenario().enter(OPERATOR)
        scenario.emit("Rewards", "Credited", account=SIGNER, amount=9, reason="0x")
        [duty] = plan(scenario.state, identity(), START, {})
        assert (duty.kind, duty.account) == (DutyKind.WITHDRAW, SIGNER)
        assert plan(scenario.state, identity(withdraw_min=10), START, {}) == []
        assert plan(scenario.state, identity(auto_claim=False), START, {}) == []
        scenario.emit("Rewards", "CreditWithdrawn", account=SIGNER, amount=9)
        assert plan(scenario.state, identity(), START, {}) == []


class TestPlan:
    def test_the_most_urgent_duty_comes_first(self) -> None:
        early = Scenario(task_id=1).enter(OTHER)
        late = Scenario(task_id=2, state=early.state).enter(OPERATOR).enrol(OTHER)
        late.task.schedule = early.task.schedule.__class__(START, 0, 0, COMMIT_END - 1, COMMIT_END - 1, EXPIRES)
        order = [duty.kind for duty in plan(early.state, identity(Role.TRAINER), START, {})]
        assert order == [DutyKind.REVEAL_ENTRY, DutyKind.ENTER]

    def test_a_locally_ended_duty_is_not_planned_again(self) -> None:
        scenario = Scenario().enter(OTHER)
        [duty] = plan(scenario.state, identity(Role.TRAINER), START, {})
        assert plan(scenario.state, identity(Role.TRAINER), START, {1: {duty.key}}) == []
        assert plan(scenario.state, identity(Role.TRAINER), START, {2: {duty.key}}) == [duty]


class TestUrgency:
    @pytest.mark.parametrize(
        ("kind", "window"),
        [
            (DutyKind.ENTER, 100),
            (DutyKind.ENROL, 50),
            (DutyKind.REVEAL_ENTRY, 50),
            (DutyKind.SCORE, 100),
            (DutyKind.REVEAL_SCORES, 50),
            (DutyKind.FIX_SEED, 500),
            (DutyKind.FINALISE, 500),
        ],
    )
    def test_a_duty_is_urgent_in_the_last_third_of_its_window(self, kind: DutyKind, window: int) -> None:
        duty = Duty(10_000, kind, 1)
        first = 10_000 - window // 3
        assert is_urgent(Scenario().task, duty, first)
        assert not is_urgent(Scenario().task, duty, first - 1)

    def test_a_claim_is_never_urgent(self) -> None:
        assert not is_urgent(Scenario().task, Duty(NO_DEADLINE, DutyKind.CLAIM_ENTRY, 1), EXPIRES * 2)


class TestBranch:
    def test_a_branch_leaves_the_settled_state_unchanged(self) -> None:
        scenario, other = Scenario().enter(OTHER), Scenario(task_id=2)
        scenario.state.tasks[2] = other.task
        args = {"taskId": 1, "operator": OPERATOR, "amount": 5, "totalEarmarked": 5}
        head_state = branch(scenario.state, [FakeEvent("TaskRegistry", "ValidatorEnrolled", args)])
        assert head_state.tasks[1].enrolled == {OPERATOR: 5}
        assert scenario.task.enrolled == {}
        assert head_state.tasks[2] is other.task, "untouched tasks are shared"

    def test_a_branch_can_add_a_task(self) -> None:
        state = branch(Scenario().state, Scenario(task_id=3).events)
        assert sorted(state.tasks) == [1, 3]


class TestMissed:
    def test_an_undone_duty_is_missed_after_its_window(self) -> None:
        scenario = Scenario().enter(OPERATOR).enrol(OTHER)
        assert missed_duties(scenario.task, identity(), REVEAL_END - 1) == []
        assert missed_duties(scenario.task, identity(), REVEAL_END) == ["reveal-entry/1/0/0"]
        scenario = seeded()
        assert missed_duties(scenario.task, identity(), REVEAL_END + 99) == []
        assert missed_duties(scenario.task, identity(), REVEAL_END + 100) == ["score/1/0/0"]
        assert missed_duties(scenario.abstain(OPERATOR).task, identity(), EXPIRES) == []
        scenario = seeded().commit_scores(OPERATOR)
        assert missed_duties(scenario.task, identity(), REVEAL_END + 149) == []
        assert missed_duties(scenario.task, identity(), REVEAL_END + 150) == ["reveal-scores/1/0/0"]
        assert missed_duties(scenario.reveal_scores(OPERATOR, [5]).task, identity(), EXPIRES) == []


def _as(operator: str) -> Identity:
    """The identity of another operator."""
    own = identity()
    return Identity(operator, SIGNER, own.roles, own.chain_id, own.scoring, True, 1)


@st.composite
def scenarios(draw: st.DrawFn) -> tuple[Scenario, int]:
    """A random task, in which OPERATOR may take any part, and a time in its life."""
    scenario = Scenario(min_stake=draw(st.sampled_from([1, 25])))
    operators = [OPERATOR, *(address(number) for number in range(1, 6))]
    entrants = [who for who in operators if draw(st.booleans())]
    for who in entrants:
        scenario.enter(who)
    for who in operators:
        if who not in entrants and draw(st.booleans()):
            scenario.enrol(who, draw(st.integers(1, 30)))
    now = draw(st.integers(START, EXPIRES + 50))
    if now >= ENROL_END and scenario.task.total_earmarked >= scenario.min_stake:
        for who in entrants:
            if draw(st.booleans()):
                scenario.reveal_entry(who)
    if (
        now >= REVEAL_END
        and scenario.task.lanes
        and scenario.task.total_earmarked >= scenario.min_stake
        and draw(st.booleans())
    ):
        scenario.request_seed()
        if draw(st.booleans()):
            _committee(draw, scenario, now)
    return scenario, now


def _committee(draw: st.DrawFn, scenario: Scenario, now: int) -> None:
    scenario.fix_seed(draw(st.integers(REVEAL_END, now)))
    seated = [who for who in scenario.task.enrolled if scenario.seats(who)]
    committed = []
    for who in seated:
        if (choice := draw(st.sampled_from(["commit", "abstain", "nothing"]))) == "commit":
            committed.append(who)
            scenario.commit_scores(who)
        elif choice == "abstain":
            scenario.abstain(who)
    assert scenario.task.committee is not None
    if now >= scenario.task.committee.commit_end:
        for who in committed:
            if draw(st.booleans()):
                scenario.reveal_scores(who, [draw(st.integers(0, 32767)) for _ in scenario.task.lanes])


def _window_end(task: Task, duty: Duty) -> int:
    """When the reported duty's window closed."""
    assert task.committee is not None
    absent = duty.kind == DutyKind.REPORT_ABSENT
    return task.committee.commit_end if absent else task.committee.reveal_end


@settings(max_examples=300, deadline=None)
@given(scenarios())
def test_a_plan_follows_the_rules_in_any_task(drawn: tuple[Scenario, int]) -> None:
    scenario, now = drawn
    task, own = scenario.task, identity()
    due = plan_task(task, own, now)
    assert due == plan_task(task, own, now), "the plan is a pure function"
    assert len({duty.key for duty in due}) == len(due)
    reports = {DutyKind.REPORT_ABSENT, DutyKind.REPORT_UNREVEALED}
    assert sum(duty.kind in PERMISSIONLESS - reports for duty in due) <= 1
    assert all(now >= _window_end(task, duty) for duty in due if duty.kind in reports), (
        "no report before its window closes"
    )
    assert all(duty.account != OPERATOR for duty in due if duty.kind in reports), "own faults are left to others"
    due_kinds = {duty.kind for duty in due}
    assert not ({DutyKind.ENTER, DutyKind.ENROL} <= due_kinds)
    assert all(duty.deadline > now for duty in due if duty.kind not in {DutyKind.PUBLISH_ENTRY, DutyKind.PUBLISH_SHEET})
    committee = task.committee
    if committee is not None and committee.seeded and now < min(committee.commit_end, EXPIRES):
        silent = OPERATOR not in committee.committed and OPERATOR not in committee.abstained
        assert (DutyKind.SCORE in due_kinds) == (silent and own_seats(task, own) > 0)
    assert not ({duty.key for duty in due} & set(missed_duties(task, own, now))), "a missed duty is not due"


@settings(max_examples=100, deadline=None)
@given(scenarios())
def test_replaying_the_events_gives_the_same_state(drawn: tuple[Scenario, int]) -> None:
    scenario, now = drawn
    replayed = ChainState()
    for event in scenario.events:
        apply_event(replayed, event)
    task = replayed.tasks[scenario.task_id]
    assert task == scenario.task
    assert plan_task(task, identity(), now) == plan_task(scenario.task, identity(), now)
