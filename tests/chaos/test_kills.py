"""SIGKILL at every durable step, and at random moments, over whole tasks: each duty is done once, nobody is slashed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chaos.herd import Herd, herd
from tests.chaos.monkey import monkey
from tests.chaos.story import Story
from tests.chaos.tally import Tally, count
from tests.e2e.nodes import network

from covey.protocol.types import Outcome

pytestmark = [pytest.mark.daemon, pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture
def flock(tmp_path: Path) -> Iterator[Herd]:
    with herd(tmp_path) as one:
        yield one


@pytest.fixture
def story(tmp_path: Path, flock: Herd) -> Iterator[Story]:
    """Two trainers and three validators, none of them started."""
    with network(tmp_path) as net:
        net.launch = flock.launch
        trainers = [net.add("trainer") for _ in range(2)]
        validators = [net.add("validator", **{"policy.earmark": "1500 CVY"}) for _ in range(3)]
        yield Story(net, trainers, validators)


def test_a_kill_at_every_durable_step(story: Story, flock: Herd, tally: Tally, tmp_path: Path) -> None:
    """Each node ends before and after every step that it ever makes durable, at each once."""
    net = story.net
    flock.cuts = {node.name: tmp_path / f"{node.name}.cuts" for node in net.nodes}
    net.start()
    with monkey(net, net.nodes, None, seed=0) as watch:
        task = story.run()
        story.rest()
    counted = count(story)
    counted.tally.kills = watch.kills
    tally.add(counted.tally)
    for node in net.nodes:
        assert node.stop() == 0, net.told()
    steps = {node.name: flock.cuts[node.name].read_text().splitlines() for node in net.nodes}
    assert watch.kills == sum(map(len, steps.values()))
    for node in story.trainers:
        _has(
            steps[node.name],
            "secret enter/",
            "secret",
            "INSERT tx_attempt",
            "broadcast",
            "INSERT events EntryCommitted",
        )
    for node in story.validators:
        _has(steps[node.name], "secret score/", "INSERT tx_attempt", "broadcast", "INSERT events ScoresRevealed")
    assert task.outcome == Outcome.PAID
    counted.check()


def test_kills_at_random_moments(story: Story, tally: Tally, long: bool) -> None:
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


def _has(steps: list[str], *wanted: str) -> None:
    for what in wanted:
        for when in ("before: ", "after: "):
            assert any(step.startswith(when) and what in step for step in steps), (when, what, steps)
