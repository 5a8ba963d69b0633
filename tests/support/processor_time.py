"""A pytest plugin: prints the twenty tests that cost most processor time, which other load hardly changes.

The time of a test is that of the pytest process and of its children that ended during the test, fixtures included. So a
process that several tests share counts for the test that ends it.
"""

from __future__ import annotations

import resource

import pytest

_PROPERTY = "processor time"
_BEGAN = pytest.StashKey[float]()
_SHOWN = 20


def processor_seconds() -> float:
    """Processor time, user and system, of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    item.stash[_BEGAN] = processor_seconds()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Add the time to the last report of a test, which pytest-xdist sends to the process that prints the summary."""
    if call.when == "teardown" and _BEGAN in item.stash:
        item.user_properties.append((_PROPERTY, processor_seconds() - item.stash[_BEGAN]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    times = [
        (value, report.nodeid)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "teardown"
        for name, value in report.user_properties
        if name == _PROPERTY
    ]
    if not times:
        return
    terminalreporter.section(f"processor time: {sum(value for value, _ in times):.0f} s in all, most in")
    for value, nodeid in sorted(times, reverse=True)[:_SHOWN]:
        terminalreporter.line(f"{value:8.2f} s  {nodeid}")
