"""Clocks that are five minutes off, in both directions: every duty is done once, and the operator is warned."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.support.chaos.clock import clock_offset
from tests.support.chaos.outcome_counts import OutcomeCounts, count_outcomes
from tests.support.chaos.scenario import Scenario
from tests.support.fork_pool import fork_pool
from tests.support.network import Network, Node

from covey.protocol.types import Outcome

pytestmark = [pytest.mark.daemon, pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.mark.parametrize(
    ("trainers", "tasks"), [(2, 1), pytest.param(3, 3, marks=pytest.mark.long, id="with a right clock, three tasks")]
)
def test_clocks_five_minutes_off(
    net: Network, tmp_path: Path, outcome_counts: OutcomeCounts, trainers: int, tasks: int
) -> None:
    """A trainer and a validator with each offset, next to nodes whose clock is right."""
    earmark = {"policy.earmark": "1500 CVY"}
    (tmp_path / "ahead").mkdir()
    (tmp_path / "behind").mkdir()
    with (
        fork_pool(tmp_path / "ahead", environment=clock_offset(300)) as ahead,
        fork_pool(tmp_path / "behind", environment=clock_offset(-300)) as behind,
    ):
        scenario = Scenario(
            net,
            [net.add("trainer") for _ in range(trainers)],
            [net.add("validator", **earmark) for _ in range(3)],
        )
        offsets: dict[str, int] = {}
        for nodes in (scenario.trainers, scenario.validators):
            nodes[0].launch, nodes[1].launch = ahead.launch, behind.launch
            offsets |= {nodes[0].name: 300, nodes[1].name: -300}
        net.start()
        # before the test advances chain time
        net.wait_for_nodes("its first cycle", lambda node: node.report().get("clock_ahead") is not None)
        for node in net.nodes:
            _check_warning(node, offsets.get(node.name, 0))
            _check_log_time(node, offsets.get(node.name, 0))
        for _ in range(tasks):
            assert scenario.run().outcome == Outcome.PAID
        scenario.wait_until_idle()
        outcomes = count_outcomes(scenario)
        outcome_counts.add(outcomes.counts)
        for node in net.nodes:
            assert node.report()["missed"] == []
            assert node.stop() == 0
            assert "Traceback" not in node.log.read_text(encoding="utf-8")
        outcomes.check()


def _check_warning(node: Node, ahead: int) -> None:
    """The offset is a warning, not a problem: no duty suffers, and no endpoint counts as stale."""
    report = node.report()
    assert report["status"] == "ok", report["problems"]
    assert all(endpoint["ok"] for endpoint in report["endpoints"])
    assert abs(report["clock_ahead"] - ahead) < 60, report["clock_ahead"]
    if not ahead:
        assert report["warnings"] == []
        return
    [warning] = report["warnings"]
    assert ("ahead of" if ahead > 0 else "behind") in warning
    assert "the local clock is" in warning and "set it" in warning
    assert "the local clock is" in node.log.read_text(encoding="utf-8")


def _check_log_time(node: Node, ahead: int) -> None:
    """The timestamps of log lines show that the clock is off as intended."""
    first = datetime.fromisoformat(node.log.read_text(encoding="utf-8").split()[0])
    true = datetime.fromtimestamp(node.log.stat().st_ctime, first.tzinfo)
    assert abs(first - true - timedelta(seconds=ahead)) < timedelta(seconds=120)
