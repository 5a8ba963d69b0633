"""Sums up what the chaos tests counted and prints it, for people and as one JSON object, at the end."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from tests.support.chaos.outcome_counts import OutcomeCounts

_SUM = pytest.StashKey[OutcomeCounts]()

LONG = bool(os.environ.get("COVEY_LONG"))
"""Whether this is the long form: `make chaos`."""


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_SUM] = OutcomeCounts()


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Iterator[OutcomeCounts]:
    """What one test counts; it goes into the sum whether the test passes or not."""
    mine = OutcomeCounts()
    yield mine
    request.config.stash[_SUM].add(mine)


@pytest.fixture
def long() -> bool:
    return LONG


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    total = asdict(config.stash[_SUM])
    if not total["tasks"]:
        return
    told = json.dumps(total)
    terminalreporter.section("chaos")
    for name, number in total.items():
        terminalreporter.line(f"{name.replace('_', ' '):>15} {number:>8,}")
    terminalreporter.line(told)
    if (path := os.environ.get("COVEY_CHAOS_JSON")) is not None:
        Path(path).write_text(told + "\n", encoding="utf-8")
