"""Whole tasks by nodes that reach the chain over faulty paths only: every duty is done once, no node is slashed.

Each node has two endpoints. A proxy in front of the first is busy, damaged, behind, ahead or lying by turns; a real
toxiproxy in front of the second breaks the connection. Faults change every second or two, and at times every path is
down for some seconds. Every kind of fault must have met a request.
"""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import pytest
from tests.support.chaos import rpc_proxy, toxiproxy
from tests.support.chaos.fault_schedule import FaultyPath, fault_schedule
from tests.support.chaos.outcome_counts import OutcomeCounts, count_outcomes
from tests.support.chaos.rpc_proxy import SENDING, RpcProxy
from tests.support.chaos.scenario import Scenario
from tests.support.chaos.toxiproxy import DOWN, TOXICS, WireProxy, new_toxiproxy
from tests.support.network import Network, Node

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
"""Faults of the RPC proxy under which some calls succeed."""


def path_over_rpc_proxy(proxy: RpcProxy) -> FaultyPath:
    """The path over the RPC proxy. Every other transaction sent meets a fault, whatever the schedule says."""
    proxy.sending = itertools.cycle(itertools.chain.from_iterable((kind, None) for kind in SENDING))
    kinds = [kind for kind in rpc_proxy.FAULTS if kind not in SENDING]
    blocking = [kind for kind in kinds if kind not in _SOFT and kind != "wrong finalized"]
    return FaultyPath("proxy", kinds, blocking, proxy.set, lambda: proxy.hits)


def path_over_wire_proxy(wire: WireProxy, behind: RpcProxy, nodes: list[Node]) -> FaultyPath:
    """The path over toxiproxy. ``behind``, a proxy without faults, counts the requests that arrive."""

    def change(fault: str | None) -> None:
        behind.label = fault
        wire.set(fault)

    def counts() -> Counter[str]:
        seen = Counter({kind: behind.seen[kind] for kind in TOXICS})
        refused = f"{wire.url}: "
        for node in nodes:
            for line in node.log.read_text(encoding="utf-8").splitlines():
                reason = line.partition(refused)[2].partition("; ")[0]
                seen[DOWN] += "cannot connect" in reason
        return seen

    return FaultyPath("wire", toxiproxy.KINDS, ("limit_data", "reset_peer", "timeout", DOWN), change, counts)


@pytest.mark.parametrize("tasks", [1, pytest.param(4, marks=pytest.mark.long)])
def test_tasks_over_faulty_connections(net: Network, tmp_path: Path, outcome_counts: OutcomeCounts, tasks: int) -> None:
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
        # The first of each kind reads the chain's finalised blocks instead of its head.
        confirmations = (None, 0, 0)
        earmark = {"policy.earmark": "1500 CVY"}
        trainers = [net.add("trainer", confirmations=number, **paths) for number in confirmations[:2]]
        validators = [net.add("validator", confirmations=number, **earmark, **paths) for number in confirmations]
        scenario = Scenario(net, trainers, validators)
        net.start()
        faulty_paths = [path_over_rpc_proxy(lying), path_over_wire_proxy(wire, behind, net.nodes)]
        with fault_schedule(faulty_paths, seed=5) as schedule:
            while len(scenario.tasks) < tasks or (schedule.unmet() and len(scenario.tasks) < 10):
                assert scenario.run().outcome == Outcome.PAID  # idle nodes would not meet every fault
            assert not schedule.unmet()
        scenario.wait_until_idle()
        outcomes = count_outcomes(scenario)
        outcome_counts.add(outcomes.counts)
        print(schedule.summary())
        assert schedule.outages > 0
        assert all(lying.hits[kind] > 0 for kind in SENDING)
        outcomes.check()
        for node in net.nodes:
            assert "Traceback" not in node.log.read_text(encoding="utf-8"), net.logs()
    lying.close()
    behind.close()
