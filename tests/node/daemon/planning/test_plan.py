"""The plan: every phase, every role, idempotent, ordered."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.daemon.scenario import (
    COMMIT_END,
    ENROL_END,
    EXPIRES,
    ME,
    REVEAL_END,
    SIGNER,
    START,
    Scenario,
    Told,
    address,
    me,
)

from covey.config.node import Role
from covey.daemon.planning.duty import stagger_fraction
from covey.daemon.planning.plan import (
    NO_DEADLINE,
    PERMISSIONLESS,
    Duty,
    DutyKind,
    missed,
    my_seats,
    plan,
    plan_task,
    urgent,
)
from covey.daemon.state.world import Task
from covey.protocol.types import Outcome

OTHER = address(7)


def kinds(story: Scenario, now: int, *roles: Role) -> list[DutyKind]:
    return [duty.kind for duty in plan_task(story.task, me(*roles), now)]


def seeded(mine: int = 10, others: int = 10) -> Scenario:
    """A task in its score commits: OTHER entered, ME (and another) validate; the seed came at REVEAL_END."""
    story = Scenario().enter(OTHER)
    if mine:
        story.enrol(ME, mine)
    story.enrol(address(8), others)
    return story.reveal_entry(OTHER).request_seed().fix_seed(REVEAL_END)


class TestTrainer:
    def test_enters_until_the_window_closes(self) -> None:
        story = Scenario().enter(OTHER)
        assert kinds(story, START, Role.TRAINER) == [DutyKind.ENTER]
        assert kinds(story, COMMIT_END - 1, Role.TRAINER) == [DutyKind.ENTER]
        assert kinds(story, COMMIT_END, Role.TRAINER) == []

    def test_enters_once(self) -> None:
        assert kinds(Scenario().enter(ME), START, Role.TRAINER) == []

    def test_reveals_after_enrolment_and_before_the_end(self) -> None:
        story = Scenario().enter(ME).enrol(OTHER)
        assert kinds(story, ENROL_END - 1, Role.TRAINER) == []
        assert kinds(story, ENROL_END, Role.TRAINER) == [DutyKind.REVEAL_ENTRY]
        assert kinds(story, REVEAL_END - 1, Role.TRAINER) == [DutyKind.REVEAL_ENTRY]
        assert DutyKind.REVEAL_ENTRY not in kinds(story, REVEAL_END, Role.TRAINER)

    def test_publishes_only_what_is_revealed(self) -> None:
        story = Scenario().enter(ME).enrol(OTHER)
        assert DutyKind.PUBLISH_ENTRY not in kinds(story, ENROL_END, Role.TRAINER)
        assert kinds(story.reveal_entry(ME), ENROL_END, Role.TRAINER) == [DutyKind.PUBLISH_ENTRY]

    def test_a_validator_alone_does_not_enter(self) -> None:
        assert kinds(Scenario().enter(OTHER), START, Role.VALIDATOR) == []


class TestValidator:
    def test_enrols_in_its_window(self) -> None:
        story = Scenario().enter(OTHER)
        assert kinds(story, COMMIT_END, Role.VALIDATOR) == [DutyKind.ENROL]
        assert DutyKind.ENROL not in kinds(story, ENROL_END, Role.VALIDATOR)

    def test_never_in_a_task_it_entered(self) -> None:
        assert DutyKind.ENROL not in kinds(Scenario().enter(ME), COMMIT_END)

    def test_scores_when_seated(self) -> None:
        story = seeded()
        assert my_seats(story.task, me()) > 0
        assert kinds(story, REVEAL_END) == [DutyKind.SCORE]

    def test_does_not_score_without_a_seat(self) -> None:
        story = seeded(mine=1, others=10**9)
        assert my_seats(story.task, me()) == 0
        assert kinds(story, REVEAL_END) == []
        assert kinds(seeded(mine=0), REVEAL_END) == []

    @pytest.mark.parametrize("act", [Scenario.commit_scores, Scenario.abstain])
    def test_commits_or_abstains_once(self, act) -> None:  # type: ignore[no-untyped-def]
        assert kinds(act(seeded(), ME), REVEAL_END) == []

    def test_reveals_its_row_in_the_window(self) -> None:
        story = seeded().commit_scores(ME).commit_scores(address(8))
        assert kinds(story, REVEAL_END + 99) == []
        assert kinds(story, REVEAL_END + 100) == [DutyKind.REVEAL_SCORES]
        story.reveal_scores(ME, [500])
        assert kinds(story, REVEAL_END + 100) == [DutyKind.PUBLISH_SHEET]
        assert DutyKind.REVEAL_SCORES not in kinds(story, REVEAL_END + 150)

    def test_a_lower_earmark_of_s_is_the_frozen_one(self) -> None:
        story = seeded()
        before = my_seats(story.task, me())
        story.task.total_earmarked += 10**9
        assert my_seats(story.task, me()) == before


class TestOpenSteps:
    def test_each_phase_has_its_step(self) -> None:
        assert kinds(Scenario(), COMMIT_END) == [DutyKind.CLOSE_TASK]
        assert kinds(Scenario().enter(OTHER), ENROL_END) == [DutyKind.CLOSE_TASK]
        story = Scenario(min_stake=50).enter(OTHER).enrol(address(8), 49)
        assert kinds(story, ENROL_END) == [DutyKind.CLOSE_TASK]
        assert kinds(story.enrol(address(9), 1).reveal_entry(OTHER), REVEAL_END) == [DutyKind.REQUEST_SEED]
        assert kinds(story.request_seed(), REVEAL_END) == [DutyKind.FIX_SEED]
        assert kinds(story, EXPIRES) == [DutyKind.EXPIRE]

    def test_quorum_decides_between_settling_and_failing(self) -> None:
        story = seeded(mine=0).commit_scores(address(8))
        assert kinds(story, REVEAL_END + 150) == [DutyKind.REPORT_UNREVEALED, DutyKind.FAIL_ROUND]
        story.reveal_scores(address(8), [500])
        assert kinds(story, REVEAL_END + 150) == [DutyKind.SETTLE_PAGE]

    def test_settled_goes_on_to_finalise_even_past_the_deadline(self) -> None:
        rows = {address(8): [500]}
        story = seeded(mine=0).commit_scores(address(8)).reveal_scores(address(8), [500])
        story.settle(rows, REVEAL_END + 160)
        assert kinds(story, REVEAL_END + 160) == [DutyKind.FINALISE]
        assert kinds(story, EXPIRES + 1) == [DutyKind.FINALISE]

    def test_pages_go_in_order(self) -> None:
        story = Scenario(max_entries=1100)
        names = [address(100 + number) for number in range(1040)]
        for name in names:
            story.enter(name)
        story.enrol(address(8))
        for name in names:
            story.reveal_entry(name)
        row = [500 + number % 300 for number in range(len(names))]
        story.request_seed().fix_seed(REVEAL_END).commit_scores(address(8)).reveal_scores(address(8), row)
        assert story.task.page_total == 2
        [duty] = plan_task(story.task, me(), REVEAL_END + 150)
        assert (duty.kind, duty.page) == (DutyKind.SETTLE_PAGE, 0)
        story.tell("Scoring", "PageSettled", round=0, page=0, root="0x", weights=0, spread=0, medians=[])
        [duty] = plan_task(story.task, me(), REVEAL_END + 150)
        assert (duty.kind, duty.page) == (DutyKind.SETTLE_PAGE, 1)

    def test_turns_differ_between_operators_and_steps(self) -> None:
        first = Duty(NO_DEADLINE, DutyKind.FINALISE, 1)
        second = Duty(NO_DEADLINE, DutyKind.FINALISE, 2)
        turns = {stagger_fraction(operator, duty) for operator in (ME, OTHER) for duty in (first, second)}
        assert len(turns) == 4
        assert all(0 <= one < 1 for one in turns)
        assert stagger_fraction(ME, first) == stagger_fraction(ME.lower(), Duty(5, DutyKind.FINALISE, 1))


class TestAfterTheEnd:
    def paid(self) -> Scenario:
        """Three entries, ME validates with a perfect row, a stranger guesses."""
        story = Scenario()
        for number in (1, 2, 3):
            story.enter(address(number))
        story.enrol(ME, 20).enrol(address(8), 10)
        for number in (1, 2, 3):
            story.reveal_entry(address(number))
        story.request_seed().fix_seed(REVEAL_END).commit_scores(ME).commit_scores(address(8))
        rows = {ME: [900, 2000, 4000], address(8): [30000, 1, 1]}
        for operator, row in rows.items():
            story.reveal_scores(operator, row)
        return story.settle(rows, REVEAL_END + 160).end(Outcome.PAID)

    def test_a_validator_frees_its_stake_and_claims(self) -> None:
        story = self.paid()
        wanted = {DutyKind.RELEASE_EARMARK, DutyKind.PUBLISH_SHEET, DutyKind.CLAIM_SCORING}
        assert set(kinds(story, EXPIRES)) == wanted
        story.tell("TaskRegistry", "EarmarkFreed", operator=ME, amount=20)
        story.tell("Rewards", "ScoringRewardClaimed", operator=ME, seats=1, gain=1, amount=1)
        assert kinds(story, EXPIRES) == [DutyKind.PUBLISH_SHEET]

    def test_who_gained_nothing_claims_nothing(self) -> None:
        story = self.paid()
        committee = story.task.committee
        assert committee is not None
        assert [committee.loss_of(row) for row in committee.revealed] == [0, 1500]
        stranger = [duty.kind for duty in plan_task(story.task, _as(address(8)), EXPIRES)]
        assert DutyKind.CLAIM_SCORING not in stranger
        assert DutyKind.RELEASE_EARMARK in stranger

    def test_an_entrant_claims_what_its_median_earned(self) -> None:
        story = self.paid()
        best = [duty.kind for duty in plan_task(story.task, _as(address(3)), EXPIRES)]
        assert best == [DutyKind.PUBLISH_ENTRY, DutyKind.CLAIM_ENTRY]
        story.tell("Rewards", "EntryRewardClaimed", operator=address(3), lane=2, median=4000, amount=1)
        assert [d.kind for d in plan_task(story.task, _as(address(3)), EXPIRES)] == [DutyKind.PUBLISH_ENTRY]

    def test_an_entry_below_the_floor_claims_nothing(self) -> None:
        story = Scenario().enter(OTHER).enrol(ME).reveal_entry(OTHER).request_seed().fix_seed(REVEAL_END)
        story.commit_scores(ME).reveal_scores(ME, [100]).settle({ME: [100]}, REVEAL_END + 160).end(Outcome.PAID, 0)
        assert [d.kind for d in plan_task(story.task, _as(OTHER), EXPIRES)] == [DutyKind.PUBLISH_ENTRY]

    @pytest.mark.parametrize("outcome", [Outcome.REFUNDED, Outcome.FAILED])
    def test_fees_come_back_from_a_task_that_was_not_paid(self, outcome: Outcome) -> None:
        story = Scenario().enter(ME).end(outcome)
        assert kinds(story, EXPIRES) == [DutyKind.CLAIM_FEE]
        assert kinds(story.tell("Rewards", "FeeRefunded", operator=ME, to=ME, amount=5), EXPIRES) == []

    def test_nothing_is_claimed_unasked_when_the_operator_says_so(self) -> None:
        assert plan_task(self.paid().task, me(auto_claim=False), EXPIRES) == []

    def test_credits_are_withdrawn_also_while_a_task_of_mine_runs(self) -> None:
        story = Scenario().enter(ME)
        story.tell("Rewards", "Credited", account=SIGNER, amount=9, reason="0x")
        [duty] = plan(story.world, me(), START, {})
        assert (duty.kind, duty.account) == (DutyKind.WITHDRAW, SIGNER)
        assert plan(story.world, me(withdraw_min=10), START, {}) == []
        assert plan(story.world, me(auto_claim=False), START, {}) == []
        story.tell("Rewards", "CreditWithdrawn", account=SIGNER, amount=9)
        assert plan(story.world, me(), START, {}) == []


class TestPlan:
    def test_the_most_urgent_duty_comes_first(self) -> None:
        early = Scenario(task_id=1).enter(OTHER)
        late = Scenario(task_id=2, world=early.world).enter(ME).enrol(OTHER)
        late.task.schedule = early.task.schedule.__class__(START, 0, 0, COMMIT_END - 1, COMMIT_END - 1, EXPIRES)
        order = [duty.kind for duty in plan(early.world, me(Role.TRAINER), START, {})]
        assert order == [DutyKind.REVEAL_ENTRY, DutyKind.ENTER]

    def test_a_duty_that_ended_here_is_not_planned_again(self) -> None:
        story = Scenario().enter(OTHER)
        [duty] = plan(story.world, me(Role.TRAINER), START, {})
        assert plan(story.world, me(Role.TRAINER), START, {1: {duty.key}}) == []
        assert plan(story.world, me(Role.TRAINER), START, {2: {duty.key}}) == [duty]


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
    def test_begins_with_the_last_third_of_a_window(self, kind: DutyKind, window: int) -> None:
        duty = Duty(10_000, kind, 1)
        first = 10_000 - window // 3
        assert urgent(Scenario().task, duty, first)
        assert not urgent(Scenario().task, duty, first - 1)

    def test_a_claim_never_is(self) -> None:
        assert not urgent(Scenario().task, Duty(NO_DEADLINE, DutyKind.CLAIM_ENTRY, 1), EXPIRES * 2)


class TestBranch:
    def test_what_the_head_adds_leaves_the_settled_world_alone(self) -> None:
        story, other = Scenario().enter(OTHER), Scenario(task_id=2)
        story.world.tasks[2] = other.task
        args = {"taskId": 1, "operator": ME, "amount": 5, "totalEarmarked": 5}
        ahead = story.world.branch([Told("TaskRegistry", "ValidatorEnrolled", args)])
        assert ahead.tasks[1].enrolled == {ME: 5}
        assert story.task.enrolled == {}
        assert ahead.tasks[2] is other.task, "untouched tasks are shared"

    def test_a_task_that_only_the_head_knows(self) -> None:
        world = Scenario().world.branch(Scenario(task_id=3).events)
        assert sorted(world.tasks) == [1, 3]


class TestMissed:
    def test_what_was_not_done_in_time_is_told(self) -> None:
        story = Scenario().enter(ME).enrol(OTHER)
        assert missed(story.task, me(), REVEAL_END - 1) == []
        assert missed(story.task, me(), REVEAL_END) == ["reveal-entry/1/0/0"]
        story = seeded()
        assert missed(story.task, me(), REVEAL_END + 99) == []
        assert missed(story.task, me(), REVEAL_END + 100) == ["score/1/0/0"]
        assert missed(story.abstain(ME).task, me(), EXPIRES) == []
        story = seeded().commit_scores(ME)
        assert missed(story.task, me(), REVEAL_END + 149) == []
        assert missed(story.task, me(), REVEAL_END + 150) == ["reveal-scores/1/0/0"]
        assert missed(story.reveal_scores(ME, [5]).task, me(), EXPIRES) == []


def _as(operator: str):  # type: ignore[no-untyped-def]
    mine = me()
    return mine.__class__(operator, SIGNER, mine.roles, mine.chain_id, mine.scoring, True, 1)


@st.composite
def stories(draw: st.DrawFn) -> tuple[Scenario, int]:
    """A random life of a task, in which ME may take any part, and a moment in it."""
    story = Scenario(min_stake=draw(st.sampled_from([1, 25])))
    people = [ME, *(address(number) for number in range(1, 6))]
    entrants = [who for who in people if draw(st.booleans())]
    for who in entrants:
        story.enter(who)
    for who in people:
        if who not in entrants and draw(st.booleans()):
            story.enrol(who, draw(st.integers(1, 30)))
    now = draw(st.integers(START, EXPIRES + 50))
    if now >= ENROL_END and story.task.total_earmarked >= story.min_stake:
        for who in entrants:
            if draw(st.booleans()):
                story.reveal_entry(who)
    if now >= REVEAL_END and story.task.lanes and story.task.total_earmarked >= story.min_stake and draw(st.booleans()):
        story.request_seed()
        if draw(st.booleans()):
            _committee(draw, story, now)
    return story, now


def _committee(draw: st.DrawFn, story: Scenario, now: int) -> None:
    story.fix_seed(draw(st.integers(REVEAL_END, now)))
    seated = [who for who in story.task.enrolled if story.seats(who)]
    committed = []
    for who in seated:
        if (choice := draw(st.sampled_from(["commit", "abstain", "nothing"]))) == "commit":
            committed.append(who)
            story.commit_scores(who)
        elif choice == "abstain":
            story.abstain(who)
    assert story.task.committee is not None
    if now >= story.task.committee.commit_end:
        for who in committed:
            if draw(st.booleans()):
                story.reveal_scores(who, [draw(st.integers(0, 32767)) for _ in story.task.lanes])


def _over(task: Task, duty: Duty) -> int:
    assert task.committee is not None
    absent = duty.kind == DutyKind.REPORT_ABSENT
    return task.committee.commit_end if absent else task.committee.reveal_end


@settings(max_examples=300, deadline=None)
@given(stories())
def test_any_life_of_a_task_plans_what_the_rules_allow(told: tuple[Scenario, int]) -> None:
    story, now = told
    task, mine = story.task, me()
    due = plan_task(task, mine, now)
    assert due == plan_task(task, mine, now), "the same state plans the same"
    assert len({duty.key for duty in due}) == len(due)
    reports = {DutyKind.REPORT_ABSENT, DutyKind.REPORT_UNREVEALED}
    assert sum(duty.kind in PERMISSIONLESS - reports for duty in due) <= 1
    assert all(now >= _over(task, duty) for duty in due if duty.kind in reports), "no fault before its window is over"
    assert all(duty.account != ME for duty in due if duty.kind in reports), "one's own faults are left to others"
    found = {duty.kind for duty in due}
    assert not ({DutyKind.ENTER, DutyKind.ENROL} <= found)
    assert all(duty.deadline > now for duty in due if duty.kind not in {DutyKind.PUBLISH_ENTRY, DutyKind.PUBLISH_SHEET})
    committee = task.committee
    if committee is not None and committee.seeded and now < min(committee.commit_end, EXPIRES):
        silent = ME not in committee.committed and ME not in committee.abstained
        assert (DutyKind.SCORE in found) == (silent and my_seats(task, mine) > 0)
    assert not ({duty.key for duty in due} & set(missed(task, mine, now))), "what is missed is not due"


@settings(max_examples=100, deadline=None)
@given(stories())
def test_replaying_the_events_gives_the_same_world(told: tuple[Scenario, int]) -> None:
    story, now = told
    again = Scenario.__new__(Scenario)
    again.__dict__.update(story.__dict__)
    again.world = type(story.world)()
    for event in story.events:
        again.world.apply(event)
    assert again.task == story.task
    assert plan_task(again.task, me(), now) == plan_task(story.task, me(), now)
