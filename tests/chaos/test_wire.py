"""Whole tasks by nodes that reach the chain over faulty paths alone: all that is due is done once, nobody is slashed.

Each node has two endpoints. Before the first, a proxy is busy, damaged, behind, ahead and lying by turns; before the
second, a real toxiproxy breaks what is on the wire. Faults change every second or two, and now and then no path is of
any use for some seconds. Every kind of fault must have met a request.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.chaos import rpc_proxy, toxiproxy
from tests.support.chaos.fault_schedule import Path as Way
from tests.support.chaos.fault_schedule import weather
from tests.support.chaos.fork_pool import fork_pool
from tests.support.chaos.outcome_counts import OutcomeCounts, count
from tests.support.chaos.rpc_proxy import SENDING, RpcProxy
from tests.support.chaos.scenario import Scenario
from tests.support.chaos.toxiproxy import DOWN, TOXICS, WireProxy, new_toxiproxy
from tests.support.network import Network, Node, network

from covey.protocol.types import Outcome

pytestmark = [pytest.mark.daemon, pytest.mark.slow, pytest.mark.timeout(3600)]

_SOFT = (
    "late",
    "too many results",
    "header not found",
    "no state",
    "stale head",
    "wavering head",
    "future head",
    *SENDING,
)
"""Faults of the proxy of the chain under which some calls are answered."""


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Network]:
    with fork_pool(tmp_path) as flock, network(tmp_path) as running:
        running.launch = flock.launch
        yield running


def lying_way(proxy: RpcProxy) -> Way:
    """The path over a proxy that understands what it carries. Sending goes wrong every other time, whatever else."""
    proxy.sending = itertools.cycle(itertools.chain.from_iterable((kind, None) for kind in SENDING))
    kinds = [kind for kind in rpc_proxy.FAULTS if kind not in SENDING]
    hard = [kind for kind in kinds if kind not in _SOFT and kind != "wrong finalized"]
    return Way("proxy", kinds, hard, proxy.set, lambda: proxy.hits)


def broken_way(wire: WireProxy, behind: RpcProxy, nodes: list[Node]) -> Way:
    """The path over the wire. ``behind`` it, a proxy without a fault counts what arrives."""

    def change(fault: str | None) -> None:
        behind.label = fault
        wire.set(fault)

    def counts() -> Counter[str]:
        seen = Counter({kind: behind.seen[kind] for kind in TOXICS})
        refused = f"{wire.url}: "
        for node in nodes:
            for line in node.log.read_text(encoding="utf-8").splitlines():
                told = line.partition(refused)[2].partition("; ")[0]
                seen[DOWN] += "cannot connect" in told
        return seen

    return Way("wire", toxiproxy.KINDS, ("limit_data", "reset_peer", "timeout", DOWN), change, counts)


def believe_finality(node: Node) -> None:
    """Let a node read the chain's finalised blocks instead of its head."""
    kept = [line for line in node.settings.read_text().splitlines() if not line.startswith("confirmations")]
    node.settings.write_text("\n".join(kept) + "\n")


def test_tasks_over_bad_connections(net: Network, tmp_path: Path, tally: OutcomeCounts, long: bool) -> None:
    chain = net.local.anvil.url
    lying, behind = RpcProxy(chain, seed=5), RpcProxy(chain)
    with new_toxiproxy(tmp_path) as server:
        wire = server.proxy("chain", behind.url)
        paths = {
            "rpc_urls": [lying.url, wire.url],
            "rpc_timeout_seconds": 5.0,
            "rpc_health_interval_seconds": 2.0,
            "poll_interval_seconds": 0.15,
        }
        trainers = [net.add("trainer", **paths) for _ in range(2)]
        validators = [net.add("validator", **{"policy.earmark": "1500 CVY"}, **paths) for _ in range(3)]
        for node in (trainers[0], validators[0]):
            believe_finality(node)
        story = Scenario(net, trainers, validators)
        net.start()
        ways = [lying_way(lying), broken_way(wire, behind, net.nodes)]
        with weather(ways, seed=5) as bad:
            while len(story.tasks) < (4 if long else 1) or (bad.unmet() and len(story.tasks) < 10):
                assert story.run().outcome == Outcome.PAID  # idle nodes would not meet every fault
            assert not bad.unmet()
        story.rest()
        counted = count(story)
        tally.add(counted.tally)
        print(bad.told())
        assert bad.storms > 0
        assert all(lying.hits[kind] > 0 for kind in SENDING)
        counted.check()
        for node in net.nodes:
            assert "Traceback" not in node.log.read_text(encoding="utf-8"), net.told()
    lying.close()
    behind.close()
