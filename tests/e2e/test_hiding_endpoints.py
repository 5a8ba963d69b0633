"""Daemons whose first endpoint omits events earn as much as others: no seat, task or entry can be hidden."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from functools import partial

import pytest
from tests.support.chaos.rpc_proxy import RpcProxy
from tests.support.chaos.scenario import Scenario
from tests.support.network import Network, Node

from covey.chain.events.decoder import topic_of
from covey.protocol.types import Outcome
from covey.protocol.windows import Phase

pytestmark = [pytest.mark.daemon, pytest.mark.slow]

HIDDEN = (
    ("Scoring", "SeedFixed"),
    ("TaskRegistry", "TaskCreated"),
    ("TaskRegistry", "EntryRevealed"),
)
"""The events that each validator's first endpoint omits."""


@pytest.fixture
def proxies(net: Network) -> Iterator[list[RpcProxy]]:
    made = []
    for event in HIDDEN:
        made.append(RpcProxy(net.local.anvil.url))
        made[-1].hide([topic_of(*event)])
    yield made
    for proxy in made:
        proxy.close()


def test_events_omitted_by_the_first_endpoint_cost_nothing(net: Network, proxies: list[RpcProxy]) -> None:
    trainer = net.add("trainer")
    validators = [
        net.add("validator", rpc_urls=[proxy.url, net.local.anvil.url], **{"policy.earmark": "1000 CVY"})
        for proxy in proxies
    ]
    net.start()
    scenario = Scenario(net, [trainer], validators)
    task = scenario.run(target_seats=30)  # enough seats for each validator to have some

    assert task.outcome == Outcome.PAID
    committee = task.committee
    assert committee is not None
    assert {row.operator for row in committee.revealed} == {node.operator for node in validators}
    assert not [event for event in net.events() if event.name in ("FaultReported", "Slashed")]
    for node, proxy, (_, name) in zip(validators, proxies, HIDDEN, strict=True):
        assert proxy.hits["hidden"] > 0, f"{name} was never hidden"
        net.wait(f"{node.name} to recover", partial(_is_healthy, node))
        assert _resyncs(node) >= 1
        assert "events omitted or forged; resyncing" in node.log.read_text(encoding="utf-8")
        lying, honest = sorted(node.report()["endpoints"], key=lambda endpoint: -endpoint["bad_logs"])
        assert (lying["bad_logs"] >= 1, honest["bad_logs"]) == (True, 0)
    assert scenario.tasks == [task.id]
    assert task.phase(net.local.anvil.time()) == Phase.ENDED


def _is_healthy(node: Node) -> bool:
    report = node.report()
    return report.get("problems") == [] and report.get("missed") == []


def _resyncs(node: Node) -> int:
    with urllib.request.urlopen(f"{node.health}/metrics", timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    return int(float(next(line for line in lines if line.startswith("covey_resyncs_total ")).split()[1]))
