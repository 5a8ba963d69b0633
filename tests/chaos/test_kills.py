"""SIGKILL at every durable step, and at random moments, over whole tasks: each duty is done once, nobody is slashed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.chaos.fork_pool import ForkPool, fork_pool
from tests.support.chaos.outcome_counts import OutcomeCounts, count
from tests.support.chaos.random_killer import monkey
from tests.support.chaos.scenario import Scenario
from tests.support.network import Node, network

from covey.protocol.types import Fault, Outcome
from covey.protocol.windows import Phase

pytestmark = [pytest.mark.daemon, pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture
def flock(tmp_path: Path) -> Iterator[ForkPool]:
    with fork_pool(tmp_path) as one:
        yield one


@pytest.fixture
def story(tmp_path: Path, flock: ForkPool) -> Iterator[Scenario]:
    """Two trainers and three validators, none of them started."""
    with network(tmp_path) as net:
        net.launch = flock.launch
        trainers = [net.add("trainer") for _ in range(2)]
        validators = [net.add("validator", **{"policy.earmark": "1500 CVY"}) for _ in range(3)]
        yield Scenario(net, trainers, validators)


def test_a_kill_at_every_durable_step(
    story: Scenario, flock: ForkPool, tally: OutcomeCounts, tmp_path: Path, long: bool
) -> None:
    """Nodes end before and after every step that they ever make durable, at each once: in the short form one trainer
    and one validator, in the long form all but one, which goes away with a seat and is reported."""
    net = story.net
    trainers, validators = story.trainers[: None if long else 1], story.validators[: -1 if long else 1]
    flock.cuts = {node.name: tmp_path / f"{node.name}.cuts" for node in (*trainers, *validators)}
    looked_after = list(net.nodes)
    gone = story.validators[-1]
    story.on_phase = lambda story, task, phase: phase == Phase.ENTRY_REVEAL and leave(story, gone, looked_after)
    net.start()
    with monkey(net, looked_after, None, seed=0) as watch:
        task = story.run(target_seats=40)
        story.rest()
    counted = count(story)
    counted.tally.kills = watch.kills
    tally.add(counted.tally)
    for node in looked_after:
        assert node.stop() == 0, net.told()
    steps = {name: path.read_text().splitlines() for name, path in flock.cuts.items()}
    assert watch.kills == sum(map(len, steps.values()))
    for node in trainers:
        _has(steps[node.name], "/entry/1/", "INSERT jobs enter/1", "EntryCommitted", "EntryRevealed")
    for node in validators:
        _has(steps[node.name], "/scores/1/0", "INSERT jobs score/1", "ScoresCommitted", "ScoresRevealed")
    assert task.outcome == Outcome.PAID
    assert task.committee is not None and task.committee.faults == {gone.operator: Fault.ABSENT}
    counted.check()


def leave(story: Scenario, node: Node, looked_after: list[Node]) -> None:
    """It goes away and stays away."""
    looked_after.remove(node)
    node.kill()
    story.away.add(node.operator)


def test_kills_at_random_moments(story: Scenario, tally: OutcomeCounts, long: bool) -> None:
    net = story.net
    wanted = 1_000 if long else 60
    net.start()
    with monkey(net, net.nodes, 0.5, seed=1, most=wanted) as watch:
        while not watch.enough:
            assert story.run().outcome == Outcome.PAID
        story.rest()
    counted = count(story)
    counted.tally.kills = watch.kills
    tally.add(counted.tally)
    assert watch.kills >= wanted
    counted.check()


def _has(steps: list[str], *own: str) -> None:
    """The steps that cost money where they are lost are among them."""
    for what in (*own, "secret ", "INSERT secrets", "INSERT tx_request", "INSERT tx_attempt", "broadcast", "promises"):
        for when in ("before: ", "after: "):
            assert any(step.startswith(when) and what in step for step in steps), (when, what, steps)
    assert any(step.startswith("torn: secret") for step in steps)
