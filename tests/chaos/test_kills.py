"""SIGKILL at every durable step and at random moments of whole tasks: each duty is done once, no node is slashed."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from tests.support.chaos.outcome_counts import OutcomeCounts, count_outcomes
from tests.support.chaos.random_killer import random_killer
from tests.support.chaos.scenario import Scenario
from tests.support.fork_pool import ForkPool
from tests.support.network import Network, Node

from covey.daemon.state.world import Task
from covey.protocol.types import Fault, Outcome
from covey.protocol.windows import Phase

pytestmark = [pytest.mark.daemon, pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture
def scenario(net: Network) -> Scenario:
    """Two trainers and three validators, none of them started."""
    trainers = [net.add("trainer") for _ in range(2)]
    validators = [net.add("validator", **{"policy.earmark": "1500 CVY"}) for _ in range(3)]
    return Scenario(net, trainers, validators)


@pytest.mark.parametrize(
    "crashing",
    [
        pytest.param(1, id="one trainer and one validator"),
        pytest.param(2, id="all but one validator", marks=pytest.mark.long),
    ],
)
def test_a_kill_at_every_durable_step(
    scenario: Scenario, pool: ForkPool, outcome_counts: OutcomeCounts, tmp_path: Path, crashing: int
) -> None:
    """Nodes die before and after every durable step, once at each. The last validator leaves with a seat, and is
    reported."""
    net = scenario.net
    trainers, validators = scenario.trainers[:crashing], scenario.validators[:crashing]
    steps_files = {node.name: tmp_path / f"{node.name}.steps" for node in (*trainers, *validators)}
    for node in (*trainers, *validators):
        node.launch = pool.launch_with_crash_points(steps_files[node.name])
    supervised = list(net.nodes)
    gone = scenario.validators[-1]

    def on_phase(scenario: Scenario, task: Task, phase: Phase) -> None:
        if phase == Phase.ENTRY_REVEAL:
            leave(scenario, gone, supervised)

    scenario.on_phase = on_phase
    net.start()
    with random_killer(net, supervised, None, seed=0) as supervisor:
        task = scenario.run(target_seats=40)
        scenario.wait_until_idle()
    outcomes = count_outcomes(scenario)
    outcomes.counts.kills = supervisor.kills
    outcome_counts.add(outcomes.counts)
    codes = {node.name: node.stop() for node in supervised}
    steps = {name: path.read_text().splitlines() for name, path in steps_files.items()}
    # A node may meet a step that is new to it when nobody starts it again any more.
    last = [name for name, code in codes.items() if code == -signal.SIGKILL]
    assert set(last) <= set(steps), net.logs()
    assert all(code == 0 for name, code in codes.items() if name not in last), f"{codes}\n{net.logs()}"
    assert supervisor.kills + len(last) == sum(map(len, steps.values()))
    for node in trainers:
        _check_steps(steps[node.name], "/entry/1/", "INSERT jobs enter/1", "EntryCommitted", "EntryRevealed")
    for node in validators:
        _check_steps(steps[node.name], "/scores/1/0", "INSERT jobs score/1", "ScoresCommitted", "ScoresRevealed")
    assert task.outcome == Outcome.PAID
    assert task.committee is not None and task.committee.faults == {gone.operator: Fault.ABSENT}
    outcomes.check()


def leave(scenario: Scenario, node: Node, supervised: list[Node]) -> None:
    """Kill a node for good."""
    supervised.remove(node)
    node.kill()
    scenario.away.add(node.operator)


@pytest.mark.parametrize(
    "kills",
    [20, pytest.param(100, marks=[pytest.mark.long, pytest.mark.ci]), pytest.param(1_000, marks=pytest.mark.long)],
)
def test_kills_at_random_moments(scenario: Scenario, outcome_counts: OutcomeCounts, kills: int) -> None:
    net = scenario.net
    net.start()
    with random_killer(net, net.nodes, 0.5, seed=1, limit=kills) as killer:
        while not killer.is_done:
            assert scenario.run().outcome == Outcome.PAID
        scenario.wait_until_idle()
    outcomes = count_outcomes(scenario)
    outcomes.counts.kills = killer.kills
    outcome_counts.add(outcomes.counts)
    assert killer.kills >= kills
    outcomes.check()


def _check_steps(steps: list[str], *expected: str) -> None:
    """Check that the steps include those whose loss costs money."""
    common = ("secret ", "INSERT secrets", "INSERT tx_request", "INSERT tx_attempt", "broadcast", "retained.json")
    for text in (*expected, *common):
        for when in ("before: ", "after: "):
            assert any(step.startswith(when) and text in step for step in steps), (when, text, steps)
    assert any(step.startswith("torn: secret") for step in steps)
