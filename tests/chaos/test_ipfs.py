"""Whole tasks by nodes that fetch each other's content over faulty paths only: no unjust zero, all is served in time.

In front of every gateway is a proxy that stalls, lies, breaks off and vanishes, and in front of that a real toxiproxy.
In the phases in which nodes fetch, every kind of fault is active on all paths at once until a node's request has met
it; then all faults end. Nodes keep what they have fetched, so the faults that only cost time come last.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
from tests.support.chaos import gateway_proxy, toxiproxy
from tests.support.chaos.gateway_proxy import VANISHED, GatewayProxy
from tests.support.chaos.outcome_counts import OutcomeCounts, count_outcomes
from tests.support.chaos.scenario import Scenario
from tests.support.chaos.toxiproxy import DOWN, TOXICS, Toxiproxy, WireProxy, new_toxiproxy
from tests.support.network import WINDOWS, Network, Node

from covey.daemon.state.world import Task
from covey.ipfs import BlockStore, Cid, Gateway, NotFound, SourceError, open_fetcher
from covey.protocol.scores import unpack
from covey.protocol.sheet import SHEET_NAME, ScoreSheet
from covey.protocol.types import Outcome
from covey.protocol.windows import Phase

pytestmark = [pytest.mark.daemon, pytest.mark.slow, pytest.mark.timeout(3600)]

_SLOW = ("latency", "bandwidth", "slicer")
"""Toxics under which fetching still succeeds."""
_BLOCKING = (*gateway_proxy.FAULTS, VANISHED, *(kind for kind in toxiproxy.KINDS if kind not in _SLOW))
_REPORTED = {VANISHED: "RemoteDisconnected", DOWN: "Connection refused"}
"""What nodes report under faults that no proxy can count."""


@dataclass
class Paths:
    """The paths to all gateways. They always have the same fault."""

    server: Toxiproxy
    proxies: list[GatewayProxy] = field(default_factory=list)
    wires: list[WireProxy] = field(default_factory=list)

    def to(self, gateway: str) -> str:
        """A new path to a gateway; returns its URL."""
        self.proxies.append(GatewayProxy(gateway))
        self.wires.append(self.server.proxy(f"gateway-{len(self.wires)}", self.proxies[-1].url))
        return self.wires[-1].url

    def set(self, fault: str | None) -> None:
        on_wire = fault in TOXICS or fault == DOWN
        for proxy, wire in zip(self.proxies, self.wires, strict=True):
            wire.set(fault if on_wire else None)
            proxy.set(None if on_wire else fault)

    @property
    def requests(self) -> int:
        return sum(proxy.requests for proxy in self.proxies)


@dataclass
class FaultSequence:
    """Activates faults one after the other, each until a request has met it."""

    paths: Paths
    nodes: list[Node]
    deck: list[str]
    on: str | None = None
    before: int = 0
    met: list[str] = field(default_factory=list)

    def step(self) -> bool:
        """Switch to the next fault if the current one was met; returns whether all were."""
        if self.on is not None and not self._was_met(self.on):
            return False
        if self.on is not None:
            self.met.append(self.on)
        self.on = self.deck.pop(0) if self.deck else None
        self.paths.set(self.on)
        self.before = self.paths.requests
        return self.on is None

    def _was_met(self, fault: str) -> bool:
        if (reported := _REPORTED.get(fault)) is None:
            return self.paths.requests > self.before
        reasons = [due["waits_for"] for node in self.nodes for due in node.report().get("due", [])]
        return any(reported in reason for reason in reasons)


@dataclass(frozen=True)
class _Elsewhere:
    url: str


@pytest.fixture
def paths(net: Network, tmp_path: Path) -> Iterator[Paths]:
    with new_toxiproxy(tmp_path) as server:
        made = Paths(server)
        net.creator_gateway = cast(Gateway, _Elsewhere(made.to(net.creator_gateway.url)))
        yield made
        for proxy in made.proxies:
            proxy.close()


@pytest.mark.parametrize(
    ("tasks", "early", "rounds"),
    [
        pytest.param(1, 4, 1, id="one task"),
        pytest.param(3, len(_BLOCKING), 3, marks=pytest.mark.long, id="three tasks, every fault three times"),
    ],
)
def test_content_over_faulty_paths(
    net: Network, paths: Paths, outcome_counts: OutcomeCounts, tmp_path: Path, tasks: int, early: int, rounds: int
) -> None:
    """``early`` faults while trainers fetch the spec; all of them ``rounds`` times while validators fetch entries."""
    settings: dict[str, Any] = {"fetch_timeout_seconds": 3.0, "poll_interval_seconds": 0.5}
    trainers = [net.add("trainer", **settings) for _ in range(2)]
    validators = [net.add("validator", **{"policy.earmark": "1500 CVY"}, **settings) for _ in range(3)]
    for node in net.nodes:
        node.gateway = paths.to(node.gateway)
    draw = random.Random(7)
    sequences: list[FaultSequence] = []

    def on_phase(scenario: Scenario, task: Task, phase: Phase) -> None:
        if phase == Phase.ENTRY_COMMIT:  # trainers fetch the spec
            deck = [*draw.sample(_BLOCKING, early), "latency"]
        elif phase == Phase.SCORE_COMMIT:  # validators fetch the entries
            blocking = (fault for _ in range(rounds) for fault in draw.sample(_BLOCKING, len(_BLOCKING)))
            deck = [*blocking, "bandwidth"]
        else:
            return
        sequences.append(FaultSequence(paths, net.nodes, deck))

    def on_poll(scenario: Scenario, task: Task, phase: Phase) -> None:
        if sequences and (sequences[-1].deck or sequences[-1].on):
            sequences[-1].step()

    scenario = Scenario(net, trainers, validators, patience=1_200.0, on_phase=on_phase, on_poll=on_poll)
    net.start()
    try:
        for _ in range(tasks):
            task = scenario.run(windows=replace(WINDOWS, score_commit=1_800))
            assert task.outcome == Outcome.PAID
            assert not sequences[-1].deck, f"rows were committed under {sequences[-1].on}, before {sequences[-1].deck}"
            _check_scores(task)
            _check_evidence(net, paths, task, validators, tmp_path / f"auditor-{task.id}", draw)
    except AssertionError as error:
        faults = "\n".join(f"met {each.met}; active: {each.on}; to come: {each.deck}" for each in sequences)
        raise AssertionError(f"{error}\n--- faults\n{faults}\n{net.logs()}") from error
    met = {fault for each in sequences for fault in each.met}
    assert met >= {*_BLOCKING, "latency", "bandwidth"}
    scenario.wait_until_idle()
    outcomes = count_outcomes(scenario)
    outcome_counts.add(outcomes.counts)
    outcomes.check()
    for node in net.nodes:
        log = node.log.read_text(encoding="utf-8")
        assert "Traceback" not in log, net.logs()
        assert "entry unavailable" not in log, net.logs()


def _check_scores(task: Task) -> None:
    """Check that no entry got a zero."""
    assert task.committee is not None
    assert len(task.committee.revealed) == 3
    for row in task.committee.revealed:
        scores = unpack(row.words, len(task.lanes))
        assert len(scores) == 2
        assert all(score >= 1 for score in scores), scores


def _check_evidence(
    net: Network, paths: Paths, task: Task, validators: list[Node], folder: Path, draw: random.Random
) -> None:
    """An auditor fetches the sheets behind the rows over the same faulty paths."""
    assert task.committee is not None
    sheets = {row.operator: Cid.directory(row.evidence) for row in task.committee.revealed}
    with (
        BlockStore(folder) as store,
        open_fetcher(store, [node.gateway for node in validators], timeout_s=2) as auditor,
    ):
        for fault in draw.sample([kind for kind in _BLOCKING if kind not in gateway_proxy.LIES], 5):
            paths.set(fault)
            with pytest.raises((SourceError, NotFound)):
                auditor.read(next(iter(sheets.values())), SHEET_NAME)
        paths.set("slicer")
        for operator, cid in sheets.items():
            found: list[ScoreSheet] = []

            def fetched(cid: Cid = cid, found: list[ScoreSheet] = found) -> bool:
                found.append(ScoreSheet.from_bytes(auditor.read(cid, SHEET_NAME)))
                return True

            net.wait(f"the evidence of {operator}", fetched)
            assert {entry.verdict for entry in found[-1].entries} <= {"scored", "near-copy"}, found[-1]
        paths.set(None)
