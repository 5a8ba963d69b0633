"""Turns at steps that anybody may take: spread by the number of nodes, different for each step, bounded."""

from __future__ import annotations

from statistics import mean

import pytest

from covey.daemon.planning.duty import NO_DEADLINE, Duty, DutyKind
from covey.daemon.planning.turns import OTHERS_LATER, turn_fraction, wait_in_turn


def operators(count: int) -> list[str]:
    return [f"0x{number:040X}" for number in range(1, count + 1)]


def test_fractions_differ_between_operators_and_steps() -> None:
    first, second = Duty(NO_DEADLINE, DutyKind.FINALISE, 1), Duty(NO_DEADLINE, DutyKind.FINALISE, 2)
    one, other = operators(2)
    fractions = {turn_fraction(operator, duty) for operator in (one, other) for duty in (first, second)}
    assert len(fractions) == 4
    assert all(0 <= fraction < 1 for fraction in fractions)
    assert turn_fraction(one, first) == turn_fraction(one.lower(), Duty(5, DutyKind.FINALISE, 1))


@pytest.mark.parametrize("count", [1, 4, 12, 100, 1000])
def test_first_turn_comes_after_about_one_unit_whatever_the_number_of_nodes(count: int) -> None:
    names = operators(count)
    part = frozenset(names)
    steps = [Duty(NO_DEADLINE, DutyKind.SETTLE_PAGE, task, page=page) for task in range(1, 9) for page in range(5)]
    waits = [[wait_in_turn(name, duty, part, count) for name in names] for duty in steps]
    assert all(0 <= wait < count for step in waits for wait in step)
    assert 0.4 < mean(min(step) for step in waits) < 1.6
    crowded = mean(sum(wait < min(step) + 1 for wait in step) for step in waits)
    assert crowded < 2.6  # itself, and about one more within the unit after it


def test_others_leave_the_step_to_those_with_a_part() -> None:
    names = operators(1000)
    part, duty = frozenset(names[:10]), Duty(NO_DEADLINE, DutyKind.FIX_SEED, 3)
    others = [wait_in_turn(name, duty, part, 1000) for name in names[10:]]
    assert min(others) >= OTHERS_LATER
    assert max(wait_in_turn(name, duty, part, 1000) for name in part) < 10
    assert sum(wait < OTHERS_LATER + 10 for wait in others) < 30  # spread over all operators, not over ten


def test_all_operators_share_a_step_without_a_task() -> None:
    duty = Duty(NO_DEADLINE, DutyKind.CLOSE_TASK, 0)
    assert wait_in_turn(operators(1)[0], duty, frozenset(), 0) < 1
    assert max(wait_in_turn(name, duty, frozenset(), 50) for name in operators(50)) > 25
