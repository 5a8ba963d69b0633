"""Full disks, over whole tasks: each duty is done once, nobody is slashed, and the operator is told what to do."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.chaos.conftest import LONG
from tests.support.chaos.disk import Disks, disks
from tests.support.chaos.outcome_counts import OutcomeCounts, count
from tests.support.chaos.scenario import Scenario
from tests.support.network import Network, Node, network

from covey.daemon.state.world import Task
from covey.protocol.types import Outcome
from covey.protocol.windows import Phase

pytestmark = [pytest.mark.daemon, pytest.mark.slow, pytest.mark.timeout(3600)]

long_only = pytest.mark.skipif(not LONG, reason="only in the long form: make chaos")

SMALL = {"min_free_disk": "256KiB", "poll_interval_seconds": 0.2, "stagger_seconds": 0.2}
_PHASES = (Phase.ENTRY_COMMIT, Phase.ENROL, Phase.ENTRY_REVEAL, Phase.SCORE_COMMIT, Phase.SCORE_REVEAL, Phase.ENDED)


@pytest.fixture
def room() -> Iterator[Disks]:
    with disks() as made:
        yield made


@pytest.fixture
def story(tmp_path: Path, room: Disks) -> Iterator[Scenario]:
    """A trainer and two validators, none of them started."""
    with network(tmp_path, room.enter) as net:
        trainers = [net.add("trainer", **SMALL)]
        validators = [net.add("validator", **{"policy.earmark": "2000 CVY"}, **SMALL) for _ in range(2)]
        yield Scenario(net, trainers, validators)


def test_the_disk_is_full_at_every_durable_step(story: Scenario, room: Disks, tally: OutcomeCounts) -> None:
    net = story.net
    for node in net.nodes:
        room.give(node, steps=True)
    net.start()
    with Watch(net) as watch:
        task = story.run()
        story.rest()
    tally.add((counted := count(story)).tally)
    for node in net.nodes:
        assert node.process is not None and node.process.poll() is None, net.told()
        assert "disk full: make room in" in watch.red[node.name], watch.red
        _stop(node)
    steps = {node.name: room.steps[node.name].read_text().splitlines() for node in net.nodes}
    for node in story.trainers:
        _has(steps[node.name], "/entry/1/", "tx_attempt", "EntryCommitted", "block", "promises")
        assert any(step.startswith("during: job enter/") for step in steps[node.name]), steps
        # What the worker could not write was no failure of the job.
        assert "No space left" in _log(node, "job failed")
        assert not _log(node, "given up")
    for node in story.validators:
        _has(steps[node.name], "/scores/1/", "tx_attempt", "ScoresRevealed", "fetched entry", "promises")
        assert not _log(node, "abstaining")
        assert not _log(node, "given up")
    assert task.outcome == Outcome.PAID
    counted.check()


def test_a_disk_that_is_full_for_a_while_in_each_phase(story: Scenario, room: Disks, tally: OutcomeCounts) -> None:
    """All disks at once, to the last byte; one node is even killed on it and started again before there is room."""
    net = story.net
    for node in net.nodes:
        room.give(node)
    seen: list[Phase] = []
    full: list[Phase] = []

    def fill() -> None:
        for node in net.nodes:
            room.of[node.name].fill()

    def before(story: Scenario, task: Task, phase: Phase) -> None:
        """The last moment of a window: what comes in the next one meets a full disk."""
        if phase not in full and story.end_of(task, phase) is not None and not story.pending(task, phase):
            full.append(phase)
            fill()

    def enter(story: Scenario, task: Task, phase: Phase) -> None:
        if phase in seen:
            return
        seen.append(phase)
        fill()
        restarted = story.validators[0]
        restarted.kill()
        restarted.start()
        for node in net.nodes:
            net.wait(f"{node.name} to say that its disk is full", lambda node=node: _told_full(node))
            assert node.report()["status"] == "red"
        for node in net.nodes:
            room.of[node.name].clear()
        for node in net.nodes:
            net.wait(f"{node.name} to be well again", lambda node=node: not _told_full(node) and bool(node.report()))

    net.start()
    for node in net.nodes:
        net.wait(f"{node.name} to start", lambda node=node: node.report().get("status") == "ok")
    story.on_look, story.on_phase = before, enter
    task = story.run()
    story.rest()
    tally.add((counted := count(story)).tally)
    assert task.outcome == Outcome.PAID
    assert set(_PHASES) <= set(seen)
    for node in net.nodes:
        net.wait(f"{node.name} to be green", lambda node=node: node.report().get("status") == "ok")
        _stop(node)
    counted.check()


def test_a_node_starts_on_a_full_disk_when_there_is_room(story: Scenario, room: Disks) -> None:
    """The very first start: there is no data yet, and no place for any."""
    net = story.net
    for node in net.nodes:
        room.give(node).fill()
    net.start()
    for node in net.nodes:
        net.wait(f"{node.name} to say that its disk is full", lambda node=node: _told_full(node))
        assert node.report()["problems"][0] == "starting"
    for node in net.nodes:
        room.of[node.name].clear()
    for node in net.nodes:
        net.wait(f"{node.name} to start", lambda node=node: node.report().get("status") == "ok")
    for node in net.nodes:
        _stop(node)


@long_only
def test_disks_that_are_full_or_nearly_so_at_random_moments(story: Scenario, room: Disks, tally: OutcomeCounts) -> None:
    net = story.net
    for node in net.nodes:
        room.give(node)
    net.start()
    with glutton(net, room, seed=1) as fills:
        while len(fills) < 60:
            assert story.run().outcome == Outcome.PAID
    story.rest()
    tally.add((counted := count(story)).tally)
    for node in net.nodes:
        net.wait(f"{node.name} to be green", lambda node=node: node.report().get("status") == "ok")
        _stop(node)
    counted.check()


class Watch:
    """All problems that nodes ever told while it looked, by the name of the node."""

    def __init__(self, net: Network) -> None:
        self.red = {node.name: "" for node in net.nodes}
        self._net = net
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(0.1):
            for node in self._net.nodes:
                for problem in node.report().get("problems", []):
                    if problem not in self.red[node.name]:
                        self.red[node.name] += problem + "\n"


@contextmanager
def glutton(net: Network, room: Disks, seed: int) -> Iterator[list[tuple[str, int]]]:
    """Fills disks at random moments for up to some seconds, to the last byte or but for some pages; gives the fills."""
    draw, stop, fills = random.Random(seed), threading.Event(), list[tuple[str, int]]()

    def eat(node: Node, draw: random.Random) -> None:
        disk = room.of[node.name]
        while not stop.wait(draw.uniform(0.2, 5.0)):
            leave = draw.choice((0, 0, 4096, 8192, 65536, 200_000))
            disk.fill(leave)
            fills.append((node.name, leave))
            stop.wait(draw.uniform(0.1, 4.0))
            disk.clear()

    threads = [threading.Thread(target=eat, args=(node, random.Random(draw.random()))) for node in net.nodes]
    for thread in threads:
        thread.start()
    try:
        yield fills
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _told_full(node: Node) -> bool:
    return any("disk full" in problem and "make room" in problem for problem in node.report().get("problems", []))


def _log(node: Node, text: str) -> str:
    return "\n".join(line for line in node.log.read_text(encoding="utf-8").splitlines() if text in line)


def _has(steps: list[str], *wanted: str) -> None:
    for what in wanted:
        assert any(step.startswith("before: ") and what in step for step in steps), (what, steps)


def _stop(node: Node) -> None:
    assert node.stop() == 0
    assert "Traceback" not in node.log.read_text(encoding="utf-8"), node.log.read_text(encoding="utf-8")
