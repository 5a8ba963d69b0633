"""Settings for all Python tests except those in tests/contracts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support import processor_time

UNIT_TESTS = Path(__file__).parent / "node"

# No test may fail because the machine is slow. Every run draws the same cases, so that a failure is due to a change;
# `--hypothesis-profile=search` draws others.
settings.register_profile(
    "search", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True, derandomize=False
)
settings.register_profile("covey", settings.get_profile("search"), derandomize=True)
settings.load_profile("covey")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(processor_time)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Under pytest-xdist, run the unit tests of one file, and those that share a trained adapter, in one process.

    Tests that take or wait long start first, so that no process is left with one of them at the end.
    """
    ranks: dict[Path, int] = {}
    for item in items:
        trained = "trained" in getattr(item, "fixturenames", ())
        if item.path.is_relative_to(UNIT_TESTS) and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group("trained" if trained else str(item.path.relative_to(UNIT_TESTS))))
        slow = trained or item.get_closest_marker("slow") is not None
        rank = 0 if slow else 1 if item.get_closest_marker("daemon") is not None else 2
        ranks[item.path] = min(rank, ranks.get(item.path, rank))
    items.sort(key=lambda item: ranks[item.path])
