"""Sums up the outcomes of the chaos tests, and prints the sums at the end: as a table and as one JSON object."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from tests.support.chaos.outcome_counts import OutcomeCounts
from tests.support.network_fixtures import net, pool, prepared_chain, run_folder, shared, workers

__all__ = ["net", "pool", "prepared_chain", "run_folder", "shared", "workers"]

_PROPERTY = "outcome counts"


@pytest.fixture
def outcome_counts(record_property: object) -> Iterator[OutcomeCounts]:
    """The counts of one test; they are added to the sums whether the test passes or fails."""
    counts = OutcomeCounts()
    yield counts
    assert callable(record_property)
    record_property(_PROPERTY, asdict(counts))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    total = OutcomeCounts()
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == _PROPERTY and report.when == "teardown":
                    total.add(OutcomeCounts(**value))
    if not total.tasks:
        return
    summary = json.dumps(asdict(total))
    terminalreporter.section("chaos")
    for name, number in asdict(total).items():
        terminalreporter.line(f"{name.replace('_', ' '):>15} {number:>8,}")
    terminalreporter.line(summary)
    if (path := os.environ.get("COVEY_CHAOS_JSON")) is not None:
        Path(path).write_text(summary + "\n", encoding="utf-8")
