"""Tables of `covey explain`."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.audit.chain_scenario import DOMAIN, VALIDATORS, paid_task_events

from covey.audit.explain import Explanation, explain
from covey.chain.units import format_cvy
from covey.cli.output import console
from covey.cli.views.explanation import show_explanation


def shown(why: Explanation, capsys: pytest.CaptureFixture[str]) -> str:
    show_explanation(console(), why)
    return " ".join(capsys.readouterr().out.split())


def test_every_operator_and_figure_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    why = explain(paid_task_events(), DOMAIN, 1)
    text = shown(why, capsys)
    for entry in why.entries:
        assert f"{entry.median:,}" in text
        assert format_cvy(entry.reward) in text
    for row in why.rows:
        assert f"{row.loss:,}" in text
        assert f"{row.gain:,}" in text
    assert f"G = {why.spread:,}" in text
    assert VALIDATORS[0][:6] in text


def test_unsettled_task_shows_no_tables(capsys: pytest.CaptureFixture[str]) -> None:
    events = [event for event in paid_task_events() if event.name != "RoundSettled"]
    cut = next(index for index, event in enumerate(events) if event.name == "SeedRequested")
    text = shown(explain(events[: cut + 1], DOMAIN, 1), capsys)
    assert "Task 1" in text
    assert "Validators:" not in text


def test_unclaimed_reward_is_a_dash_and_flat_pay_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    why = explain(paid_task_events(), DOMAIN, 1)
    unclaimed = replace(why, entries=[replace(entry, paid=None) for entry in why.entries], flat=True)
    text = shown(unclaimed, capsys)
    assert "–" in text
    assert "no validator gained" in text
