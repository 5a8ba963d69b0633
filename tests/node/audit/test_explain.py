"""Explanations add up to the rulings and name the stage of an unfinished task."""

from __future__ import annotations

import pytest
from tests.support.audit.chain_scenario import DOMAIN, EARMARKS, VALIDATORS, paid_task_events

from covey.audit.explain import explain
from covey.audit.record import AuditError


def test_explanation_of_a_paid_task_adds_up() -> None:
    explanation = explain(paid_task_events(), DOMAIN, 1)
    assert (explanation.outcome, explanation.flat) == ("paid", False)
    assert sum(entry.share for entry in explanation.entries) == pytest.approx(1)
    assert sum(row.share for row in explanation.rows) == pytest.approx(1)
    assert [entry.reward for entry in explanation.entries] == [entry.paid or 0 for entry in explanation.entries]
    for row in explanation.rows:
        assert row.loss == sum(lane.loss for lane in row.lanes)
        assert row.gain == max(0, explanation.spread - 2 * row.loss)
    lazy = next(row for row in explanation.rows if row.operator == VALIDATORS[2])
    assert (lazy.gain, lazy.reward, lazy.paid) == (0, 0, None)
    assert lazy.expected_seats == pytest.approx(31 * EARMARKS[2] / sum(EARMARKS))
    assert explanation.as_dict()["entries"][0]["median"] == 9000


@pytest.mark.parametrize(
    ("last", "stage"),
    [
        ("ValidatorEnrolled", "3 entries committed, 0 revealed, 3 validators enrolled"),
        ("SeedRequested", "waits for the seed"),
        ("ScoresCommitted", "3 rows of scores committed, 0 revealed"),
        ("RoundSettled", "settled, waits for its end"),
        ("TaskEnded", "ended as paid"),
    ],
)
def test_stage_of_an_unfinished_task(last: str, stage: str) -> None:
    events = paid_task_events()
    end = max(index for index, event in enumerate(events) if event.name == last)
    assert explain(events[: end + 1], DOMAIN, 1).stage == stage


def test_unknown_task_is_refused() -> None:
    with pytest.raises(AuditError, match=r"no task 9 \(tasks: 1 to 1\)"):
        explain(paid_task_events(), DOMAIN, 9)
