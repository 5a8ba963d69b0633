"""Explanations add up to the rulings and say how far an unfinished task is."""

from __future__ import annotations

import pytest
from tests.support.audit.chain_scenario import EARMARKS, NETWORK, VALIDATORS, story

from covey.audit.explain import explain
from covey.audit.record import AuditError


def test_paid_task_adds_up() -> None:
    why = explain(story(), NETWORK, 1)
    assert (why.outcome, why.flat) == ("paid", False)
    assert sum(entry.share for entry in why.entries) == pytest.approx(1)
    assert sum(row.share for row in why.rows) == pytest.approx(1)
    assert [entry.reward for entry in why.entries] == [entry.paid or 0 for entry in why.entries]
    for row in why.rows:
        assert row.loss == sum(lane.loss for lane in row.lanes)
        assert row.gain == max(0, why.spread - 2 * row.loss)
    lazy = next(row for row in why.rows if row.operator == VALIDATORS[2])
    assert (lazy.gain, lazy.reward, lazy.paid) == (0, 0, None)
    assert lazy.expected_seats == pytest.approx(31 * EARMARKS[2] / sum(EARMARKS))
    assert why.as_dict()["entries"][0]["median"] == 9000


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
    events = story()
    end = max(index for index, event in enumerate(events) if event.name == last)
    assert explain(events[: end + 1], NETWORK, 1).stage == stage


def test_unknown_task_is_refused() -> None:
    with pytest.raises(AuditError, match=r"no task 9 \(tasks: 1 to 1\)"):
        explain(story(), NETWORK, 9)
