"""Whole tasks by nodes that reach each other's content over bad paths alone: no unjust zero, all is served in time.

Before every gateway stands a proxy that stalls, lies, breaks off and vanishes, and before that a real toxiproxy. In the
phases in which nodes fetch, every kind of fault is put on all paths at once and held until it has met a node's request;
then all is well again. What a node fetched by then it has kept, so the faults that only cost time come last.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
from tests.support.chaos import gateway_proxy, toxiproxy
from tests.support.chaos.fork_pool import fork_pool
from tests.support.chaos.gateway_proxy import VANISHED, GatewayProxy
from tests.support.chaos.outcome_counts import OutcomeCounts, count
from tests.support.chaos.scenario import Scenario
from tests.support.chaos.toxiproxy import DOWN, TOXICS, Toxiproxy, WireProxy, new_toxiproxy
from tests.support.network import WINDOWS, Network, Node, network

from covey.daemon.state.world import Task
from covey.ipfs import BlockStore, Cid, Gateway, NotFound, SourceError, open_fetcher
from covey.protocol.scores import unpack
from covey.protocol.sheet import SHEET_NAME, ScoreSheet
from covey.protocol.types import Outcome
from covey.protocol.windows import Phase

pytestmark = [pytest.mark.daemon, pytest.mark.slow, pytest.mark.timeout(3600)]

_SLOW = ("latency", "bandwidth", "slicer")
"""Toxics through which content comes all the same."""
_HARD = (*gateway_proxy.FAULTS, VANISHED, *(kind for kind in toxiproxy.KINDS if kind not in _SLOW))
_TOLD = {VANISHED: "RemoteDisconnected", DOWN: "Connection refused"}
"""What a node tells that it waits for under faults which no proxy can count."""


@dataclass
class Paths:
    """The ways to all gateways. The same fault is on each."""

    server: Toxiproxy
    proxies: list[GatewayProxy] = field(default_factory=list)
    wires: list[WireProxy] = field(default_factory=list)

    def to(self, gateway: str) -> str:
        """A new way to a gateway; its URL."""
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
class Programme:
    """Faults one after the other, each until a request has met it."""

    paths: Paths
    nodes: list[Node]
    deck: list[str]
    on: str | None = None
    before: int = 0
    met: list[str] = field(default_factory=list)

    def step(self) -> bool:
        """Go on to the next fault if this one was met; whether all were."""
        if self.on is not None and not self._was_met(self.on):
            return False
        if self.on is not None:
            self.met.append(self.on)
        self.on = self.deck.pop(0) if self.deck else None
        self.paths.set(self.on)
        self.before = self.paths.requests
        return self.on is None

    def _was_met(self, fault: str) -> bool:
        if (told := _TOLD.get(fault)) is None:
            return self.paths.requests > self.before
        waits = [due["waits_for"] for node in self.nodes for due in node.report().get("due", [])]
        return any(told in reason for reason in waits)


@dataclass(frozen=True)
class _Elsewhere:
    url: str


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Network]:
    with fork_pool(tmp_path) as flock, network(tmp_path) as running:
        running.launch = flock.launch
        yield running


@pytest.fixture
def paths(net: Network, tmp_path: Path) -> Iterator[Paths]:
    with new_toxiproxy(tmp_path) as server:
        made = Paths(server)
        net.creator_gateway = cast(Gateway, _Elsewhere(made.to(net.creator_gateway.url)))
        yield made
        for proxy in made.proxies:
            proxy.close()


def test_content_over_bad_paths(net: Network, paths: Paths, tally: OutcomeCounts, tmp_path: Path, long: bool) -> None:
    settings: dict[str, Any] = {"fetch_timeout_seconds": 3.0, "poll_interval_seconds": 0.5}
    trainers = [net.add("trainer", **settings) for _ in range(2)]
    validators = [net.add("validator", **{"policy.earmark": "1500 CVY"}, **settings) for _ in range(3)]
    for node in net.nodes:
        node.gateway = paths.to(node.gateway)
    chance = random.Random(7)
    programmes: list[Programme] = []

    def on_phase(story: Scenario, task: Task, phase: Phase) -> None:
        times = 3 if long else 1
        if phase == Phase.ENTRY_COMMIT:  # trainers look for the spec
            deck = [*chance.sample(_HARD, len(_HARD) if long else 4), "latency"]
        elif phase == Phase.SCORE_COMMIT:  # validators look for the entries
            deck = [*(fault for _ in range(times) for fault in chance.sample(_HARD, len(_HARD))), "bandwidth"]
        else:
            return
        programmes.append(Programme(paths, net.nodes, deck))

    def on_look(story: Scenario, task: Task, phase: Phase) -> None:
        if programmes and (programmes[-1].deck or programmes[-1].on):
            programmes[-1].step()

    story = Scenario(net, trainers, validators, patience=1_200.0, on_phase=on_phase, on_look=on_look)
    net.start()
    try:
        for _ in range(3 if long else 1):
            task = story.run(windows=replace(WINDOWS, score_commit=1_800))
            assert task.outcome == Outcome.PAID
            assert not programmes[-1].deck, (
                f"rows were committed under {programmes[-1].on}, before {programmes[-1].deck}"
            )
            _check_scores(task)
            _check_evidence(net, paths, task, validators, tmp_path / f"auditor-{task.id}", chance)
    except AssertionError as error:
        told = "\n".join(f"met {one.met}; on: {one.on}; to come: {one.deck}" for one in programmes)
        raise AssertionError(f"{error}\n--- faults\n{told}\n{net.told()}") from error
    met = {fault for one in programmes for fault in one.met}
    assert met >= {*_HARD, "latency", "bandwidth"}
    story.rest()
    counted = count(story)
    tally.add(counted.tally)
    counted.check()
    for node in net.nodes:
        log = node.log.read_text(encoding="utf-8")
        assert "Traceback" not in log, net.told()
        assert "entry unavailable" not in log, net.told()


def _check_scores(task: Task) -> None:
    """Nobody was given a zero."""
    assert task.committee is not None
    assert len(task.committee.revealed) == 3
    for row in task.committee.revealed:
        scores = unpack(row.words, len(task.lanes))
        assert len(scores) == 2
        assert all(score >= 1 for score in scores), scores


def _check_evidence(
    net: Network, paths: Paths, task: Task, validators: list[Node], folder: Path, chance: random.Random
) -> None:
    """An auditor gets the sheets behind the rows over the same paths, whatever it meets on the way."""
    assert task.committee is not None
    sheets = {row.operator: Cid.directory(row.evidence) for row in task.committee.revealed}
    with (
        BlockStore(folder) as store,
        open_fetcher(store, [node.gateway for node in validators], timeout_s=2) as auditor,
    ):
        for fault in chance.sample([kind for kind in _HARD if kind not in gateway_proxy.LIES], 5):
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
