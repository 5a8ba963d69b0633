"""Daemons whose first endpoint leaves events out earn as if it did not: a seat, a task, an entry cannot be hidden."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from functools import partial

import pytest
from tests.support.chaos.rpc_proxy import RpcProxy
from tests.support.chaos.scenario import Scenario
from tests.support.network import Network, Node, network

from covey.chain.events.decoder import topic_of
from covey.protocol.types import Outcome
from covey.protocol.windows import Phase

pytestmark = [pytest.mark.daemon, pytest.mark.slow]

HIDDEN = (
    ("Scoring", "SeedFixed"),
    ("TaskRegistry", "TaskCreated"),
    ("TaskRegistry", "EntryRevealed"),
)
"""What each validator's first endpoint hides."""


@pytest.fixture
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with network(tmp_path_factory.mktemp("net")) as running:
        yield running


@pytest.fixture
def proxies(net: Network) -> Iterator[list[RpcProxy]]:
    made = []
    for event in HIDDEN:
        made.append(RpcProxy(net.local.anvil.url))
        made[-1].hide([topic_of(*event)])
    yield made
    for proxy in made:
        proxy.close()


def test_what_the_first_endpoint_hides_costs_nothing(net: Network, proxies: list[RpcProxy]) -> None:
    trainer = net.add("trainer")
    validators = [
        net.add("validator", rpc_urls=[proxy.url, net.local.anvil.url], **{"policy.earmark": "1000 CVY"})
        for proxy in proxies
    ]
    net.start()
    story = Scenario(net, [trainer], validators)
    task = story.run(target_seats=30)  # so many that each has some

    assert task.outcome == Outcome.PAID
    committee = task.committee
    assert committee is not None
    assert {row.operator for row in committee.revealed} == {node.operator for node in validators}
    assert not [event for event in net.events() if event.name in ("FaultReported", "Slashed")]
    for node, proxy, (_, name) in zip(validators, proxies, HIDDEN, strict=True):
        assert proxy.hits["hidden"] > 0, f"{name} was never hidden"
        net.wait(f"{node.name} to believe again", partial(_well, node))
        assert _rereads(node) >= 1
        assert "they are read again" in node.log.read_text(encoding="utf-8")
        liar, honest = sorted(node.report()["endpoints"], key=lambda one: -one["bad_logs"])
        assert (liar["bad_logs"] >= 1, honest["bad_logs"]) == (True, 0)
    assert story.tasks == [task.id]
    assert task.phase(net.local.anvil.time()) == Phase.ENDED


def _well(node: Node) -> bool:
    report = node.report()
    return report.get("problems") == [] and report.get("missed") == []


def _rereads(node: Node) -> int:
    with urllib.request.urlopen(f"{node.health}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return int(float(next(line for line in lines if line.startswith("covey_rereads_total ")).split()[1]))
