"""Clocks that are 5 minutes off, one each way: every duty is done once, and the operator is told."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.support.chaos.clock import off_by
from tests.support.chaos.outcome_counts import OutcomeCounts, count
from tests.support.chaos.scenario import Scenario
from tests.support.network import Node, network

from covey.protocol.types import Outcome

pytestmark = [pytest.mark.daemon, pytest.mark.slow, pytest.mark.timeout(3600)]

OFF = {"fast": 300, "slow": -300, "right": 0}


def test_clocks_five_minutes_off_either_way(tmp_path: Path, tally: OutcomeCounts, long: bool) -> None:
    """A trainer and a validator of each kind, beside those whose clock is right."""
    fast, slow = off_by(300), off_by(-300)
    earmark = {"policy.earmark": "1500 CVY"}
    with network(tmp_path) as net:
        trainers = [net.add("trainer") for _ in range(3 if long else 2)]
        validators = [net.add("validator", **earmark) for _ in range(3)]
        off = {trainers[0].name: 300, trainers[1].name: -300, validators[0].name: 300, validators[1].name: -300}
        for node in net.nodes:
            if (seconds := off.get(node.name, 0)) != 0:
                node.launch = fast if seconds > 0 else slow
        net.start()
        for node in net.nodes:  # while the chain's time is still the true one
            net.wait(f"{node.name} to look", lambda node=node: node.report().get("clock_ahead") is not None)
            _says(node, off.get(node.name, 0))
            _logs_its_time(node, off.get(node.name, 0))
        story = Scenario(net, trainers, validators)
        for _ in range(3 if long else 1):
            assert story.run().outcome == Outcome.PAID
        story.rest()
        tally.add((counted := count(story)).tally)
        for node in net.nodes:
            assert node.report()["missed"] == []
            assert node.stop() == 0
            assert "Traceback" not in node.log.read_text(encoding="utf-8")
        counted.check()


def _says(node: Node, ahead: int) -> None:
    """The difference is a warning, not a problem: it costs nothing, and no endpoint is taken for stale."""
    report = node.report()
    assert report["status"] == "ok", report["problems"]
    assert all(endpoint["ok"] for endpoint in report["endpoints"])
    assert abs(report["clock_ahead"] - ahead) < 60, report["clock_ahead"]
    if not ahead:
        assert report["warnings"] == []
        return
    [warning] = report["warnings"]
    assert ("ahead of" if ahead > 0 else "behind") in warning
    assert "this machine's clock is" in warning and "set it" in warning
    assert "this machine's clock is" in node.log.read_text(encoding="utf-8")


def _logs_its_time(node: Node, ahead: int) -> None:
    """The clock really is what the test says: log lines carry it."""
    first = datetime.fromisoformat(node.log.read_text(encoding="utf-8").split()[0])
    true = datetime.fromtimestamp(node.log.stat().st_ctime, first.tzinfo)
    assert abs(first - true - timedelta(seconds=ahead)) < timedelta(seconds=120)
