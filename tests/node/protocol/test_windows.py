"""Phases of a task over its whole life."""

from __future__ import annotations

from dataclasses import replace

import pytest

from covey.protocol.types import Evaluation, Kind, Outcome, Round, Schedule, TaskParams, TaskState, Windows
from covey.protocol.windows import Phase, phase, reports_end

SCHEDULE = Schedule(
    created_at=0, entry_commit_end=100, enrol_end=200, entry_reveal_end=300, open_end=350, expires_at=900
)
WINDOWS = Windows(100, 100, 100, 0, 100, 100, 400, 0)
PARAMS = TaskParams(
    bytes(32),
    bytes(32),
    Kind.ARENA,
    Evaluation.LOCAL,
    2_000,
    21,
    655,
    150,
    400,
    2,
    8,
    1,
    10**18,
    10**18,
    0,
    50,
    WINDOWS,
)
SEALED = replace(PARAMS, evaluation=Evaluation.SEALED, windows=replace(WINDOWS, open=50, appeal=60))
STATE = TaskState("0x" + "11" * 20, Outcome.RUNNING, 3, 3, 60, bytes(32), False)
ROUND = Round(0, 40, b"\1" * 32, 310, 410, 510, 5, 21, 5, 21, 64, 1, 0, 0)


def test_phases_of_a_local_task() -> None:
    unseeded = replace(ROUND, seed=bytes(32), seed_at=0)
    revealing = replace(ROUND, revealed_rows=4, revealed_seats=20)
    cases: list[tuple[int, Round | None, Phase]] = [
        (0, None, Phase.ENTRY_COMMIT),
        (99, None, Phase.ENTRY_COMMIT),
        (100, None, Phase.ENROL),
        (200, None, Phase.ENTRY_REVEAL),
        (299, None, Phase.ENTRY_REVEAL),
        (300, None, Phase.SEED_REQUEST),
        (300, replace(unseeded, target=0), Phase.SEED_REQUEST),
        (305, unseeded, Phase.SEED_FIX),
        (409, replace(ROUND, revealed_rows=0, revealed_seats=0), Phase.SCORE_COMMIT),
        (410, revealing, Phase.SCORE_REVEAL),
        (410, ROUND, Phase.SETTLE),  # all rows revealed: the window need not end
        (510, revealing, Phase.SETTLE),
        (520, replace(ROUND, settled_at=515), Phase.FINALISE),
        (5_000, replace(ROUND, settled_at=515), Phase.FINALISE),  # a settled task does not expire
        (899, revealing, Phase.SETTLE),
        (900, revealing, Phase.EXPIRE),
    ]
    for now, round_, expected in cases:
        assert phase(PARAMS, SCHEDULE, STATE, round_, now) == expected, now


def test_sealed_task_waits_for_its_set_and_appeals() -> None:
    assert phase(SEALED, SCHEDULE, STATE, None, 349) == Phase.OPEN
    assert phase(SEALED, SCHEDULE, STATE, None, 350) == Phase.CLOSE
    opened = replace(STATE, sealed_open=True)
    assert phase(SEALED, SCHEDULE, opened, None, 301) == Phase.SEED_REQUEST
    settled = replace(ROUND, settled_at=520)
    assert phase(SEALED, SCHEDULE, opened, settled, 579) == Phase.APPEAL
    assert phase(SEALED, SCHEDULE, opened, settled, 580) == Phase.FINALISE


def test_sealed_task_settles_only_while_an_appeal_has_time() -> None:
    opened = replace(STATE, sealed_open=True)
    assert phase(SEALED, SCHEDULE, opened, ROUND, 839) == Phase.SETTLE
    assert phase(SEALED, SCHEDULE, opened, ROUND, 840) == Phase.WAIT
    assert phase(SEALED, SCHEDULE, opened, ROUND, 900) == Phase.EXPIRE


def test_second_committee_is_drawn_after_a_quarter_of_the_slack() -> None:
    start = reports_end(520, WINDOWS.settle)
    assert start == 620
    for now, expected in ((520, Phase.REPORTS), (619, Phase.REPORTS), (620, Phase.SEED_REQUEST)):
        assert phase(PARAMS, SCHEDULE, STATE, None, now, request_from=start) == expected
        assert phase(PARAMS, SCHEDULE, STATE, replace(ROUND, target=0), now, request_from=start) == expected


@pytest.mark.parametrize(
    ("state", "now"),
    [
        (replace(STATE, committed=0, revealed=0), 100),
        (replace(STATE, committed=2, revealed=0), 100),
        (replace(STATE, total_earmarked=49), 200),
        (replace(STATE, revealed=0), 300),
    ],
)
def test_task_is_closed_as_soon_as_it_cannot_continue(state: TaskState, now: int) -> None:
    params = replace(PARAMS, min_entries=3)
    assert phase(params, SCHEDULE, state, None, now) == Phase.CLOSE
    assert phase(params, SCHEDULE, state, None, now - 1) != Phase.CLOSE


@pytest.mark.parametrize(
    "round_",
    [
        replace(ROUND, revealed_rows=2, revealed_seats=10),  # not half of the committed
        replace(ROUND, committed_rows=2, committed_seats=9, revealed_rows=2, revealed_seats=9),  # not half of K
        replace(ROUND, committed_rows=0, committed_seats=0, revealed_rows=0, revealed_seats=0),
    ],
)
def test_missed_quorum_fails(round_: Round) -> None:
    assert phase(PARAMS, SCHEDULE, STATE, round_, 510) == Phase.FAIL


@pytest.mark.parametrize("outcome", [Outcome.PAID, Outcome.REFUNDED, Outcome.FAILED])
def test_ended_task_stays_ended(outcome: Outcome) -> None:
    assert phase(PARAMS, SCHEDULE, replace(STATE, outcome=outcome), None, 9_999) == Phase.ENDED
