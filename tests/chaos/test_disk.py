"""Full disks during whole tasks: each duty is done once, no node is slashed, and the operator learns what to do."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.chaos.disk import MountNamespace, NodeDisks, mount_namespace
from tests.support.chaos.outcome_counts import OutcomeCounts, count_outcomes
from tests.support.chaos.scenario import Scenario
from tests.support.fork_pool import ForkPool, fork_pool
from tests.support.network import Network, Node, Shared, network, worker_server
from tests.support.prepared_chain import PreparedChain

from covey.daemon.state.world import Task
from covey.protocol.types import Outcome
from covey.protocol.windows import Phase

pytestmark = [pytest.mark.daemon, pytest.mark.slow, pytest.mark.timeout(3600), pytest.mark.xdist_group("disks")]

SMALL = {"min_free_disk": "256KiB", "poll_interval_seconds": 0.2, "stagger_seconds": 0.2}
_PHASES = (Phase.ENTRY_COMMIT, Phase.ENROL, Phase.ENTRY_REVEAL, Phase.SCORE_COMMIT, Phase.SCORE_REVEAL, Phase.ENDED)


@pytest.fixture(scope="module")
def namespace() -> Iterator[MountNamespace]:
    with mount_namespace() as mounted:
        yield mounted


@pytest.fixture(scope="module")
def disk_pool(namespace: MountNamespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkPool]:
    """Starts daemons that see the disks."""
    with fork_pool(tmp_path_factory.mktemp("fork-pool"), namespace.enter) as running:
        yield running


@pytest.fixture(scope="module")
def disk_workers(namespace: MountNamespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The `executor` setting for workers that see the disks."""
    with worker_server(tmp_path_factory.mktemp("workers"), namespace.enter) as executor:
        yield executor


@pytest.fixture
def net(
    tmp_path: Path, disk_workers: str, disk_pool: ForkPool, prepared_chain: Callable[[bool], PreparedChain]
) -> Iterator[Network]:
    with network(tmp_path, Shared(disk_workers, disk_pool.launch, prepared_chain(False))) as running:
        yield running


@pytest.fixture
def disks(namespace: MountNamespace, net: Network) -> Iterator[NodeDisks]:
    mounted = NodeDisks(namespace)
    yield mounted
    mounted.save_logs()


@pytest.fixture
def scenario(net: Network) -> Scenario:
    """A trainer and two validators, none of them started."""
    trainers = [net.add("trainer", **SMALL)]
    validators = [net.add("validator", **{"policy.earmark": "2000 CVY"}, **SMALL) for _ in range(2)]
    return Scenario(net, trainers, validators)


def test_the_disk_is_full_at_every_durable_step(
    scenario: Scenario, disks: NodeDisks, disk_pool: ForkPool, outcome_counts: OutcomeCounts
) -> None:
    net = scenario.net
    steps_files = {node.name: node.settings.parent / "steps" for node in net.nodes}
    for node in net.nodes:
        disks.mount(node)
        node.launch = disk_pool.launch_with_disk_full_points(steps_files[node.name])
    net.start()
    with ProblemRecorder(net) as recorder:
        task = scenario.run()
        scenario.wait_until_idle()
    outcomes = count_outcomes(scenario)
    outcome_counts.add(outcomes.counts)
    for node in net.nodes:
        assert node.process is not None and node.process.poll() is None, net.logs()
        assert "disk full: free up space in" in recorder.problems[node.name], recorder.problems
        _stop(node)
    steps = {name: path.read_text().splitlines() for name, path in steps_files.items()}
    for node in scenario.trainers:
        _check_steps(steps[node.name], "/entry/1/", "tx_attempt", "EntryCommitted", "block", "retained")
        assert any(step.startswith("during: job enter/") for step in steps[node.name]), steps
        # A worker that cannot write does not count as a failure of the job.
        assert "No space left" in _log_lines(node, "job failed")
        assert not _log_lines(node, "given up")
    for node in scenario.validators:
        _check_steps(
            steps[node.name], "/scores/1/", "tx_attempt", "ScoresRevealed", "fetched entry", "retained content"
        )
        assert not _log_lines(node, "abstaining")
        assert not _log_lines(node, "given up")
    assert task.outcome == Outcome.PAID
    outcomes.check()


def test_the_disk_is_full_for_a_while_in_each_phase(
    scenario: Scenario, disks: NodeDisks, outcome_counts: OutcomeCounts
) -> None:
    """All disks at once, to the last byte. One node is killed and restarted while its disk is full."""
    net = scenario.net
    for node in net.nodes:
        disks.mount(node)
    seen: list[Phase] = []
    filled_early: list[Phase] = []

    def fill() -> None:
        for node in net.nodes:
            disks[node].fill()

    def fill_at_window_end(scenario: Scenario, task: Task, phase: Phase) -> None:
        """Fill the disks just before the window ends, so that the duties of the next one meet a full disk."""
        done = scenario.end_of(task, phase) is not None and not scenario.pending(task, phase)
        if done and phase not in filled_early:
            filled_early.append(phase)
            fill()

    def restart_on_full_disk(scenario: Scenario, task: Task, phase: Phase) -> None:
        if phase in seen:
            return
        seen.append(phase)
        fill()
        restarted = scenario.validators[0]
        restarted.kill()
        restarted.start()
        net.wait_for_nodes("its full disk reported", _reports_full_disk)
        assert all(node.report()["status"] == "red" for node in net.nodes)
        for node in net.nodes:
            disks[node].free()
        net.wait_for_nodes("recovery", lambda node: not _reports_full_disk(node) and bool(node.report()))

    net.start()
    net.wait_for_nodes("start", _is_green)
    scenario.on_poll, scenario.on_phase = fill_at_window_end, restart_on_full_disk
    task = scenario.run()
    scenario.wait_until_idle()
    outcomes = count_outcomes(scenario)
    outcome_counts.add(outcomes.counts)
    assert task.outcome == Outcome.PAID
    assert set(_PHASES) <= set(seen)
    net.wait_for_nodes("recovery", _is_green)
    for node in net.nodes:
        _stop(node)
    outcomes.check()


def test_a_node_that_starts_on_a_full_disk_waits_for_space(scenario: Scenario, disks: NodeDisks) -> None:
    """The first start of a node without any data."""
    net = scenario.net
    for node in net.nodes:
        disks.mount(node).fill()
    net.start()
    net.wait_for_nodes("its full disk reported", _reports_full_disk)
    assert all(node.report()["problems"][0] == "starting" for node in net.nodes)
    for node in net.nodes:
        disks[node].free()
    net.wait_for_nodes("start", _is_green)
    for node in net.nodes:
        _stop(node)


@pytest.mark.long
def test_disks_are_full_or_nearly_full_at_random_moments(
    scenario: Scenario, disks: NodeDisks, outcome_counts: OutcomeCounts
) -> None:
    net = scenario.net
    for node in net.nodes:
        disks.mount(node)
    net.start()
    with random_filler(net, disks, seed=1) as fills:
        while len(fills) < 60:
            assert scenario.run().outcome == Outcome.PAID
    scenario.wait_until_idle()
    outcomes = count_outcomes(scenario)
    outcome_counts.add(outcomes.counts)
    net.wait_for_nodes("recovery", _is_green)
    for node in net.nodes:
        _stop(node)
    outcomes.check()


class ProblemRecorder:
    """Collects all problems that nodes report while it runs, by the node's name."""

    def __init__(self, net: Network) -> None:
        self.problems = {node.name: "" for node in net.nodes}
        self._net = net
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> ProblemRecorder:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            for node in self._net.nodes:
                for problem in node.report().get("problems", []):
                    if problem not in self.problems[node.name]:
                        self.problems[node.name] += problem + "\n"


@contextmanager
def random_filler(net: Network, disks: NodeDisks, seed: int) -> Iterator[list[tuple[str, int]]]:
    """Fills disks at random moments for up to some seconds, completely or except for some pages; yields the fills."""
    draw, stop, fills = random.Random(seed), threading.Event(), list[tuple[str, int]]()

    def run(node: Node, draw: random.Random) -> None:
        disk = disks[node]
        while not stop.wait(draw.uniform(0.2, 5.0)):
            leave = draw.choice((0, 0, 4096, 8192, 65536, 200_000))
            disk.fill(leave)
            fills.append((node.name, leave))
            stop.wait(draw.uniform(0.1, 4.0))
            disk.free()

    threads = [threading.Thread(target=run, args=(node, random.Random(draw.random()))) for node in net.nodes]
    for thread in threads:
        thread.start()
    try:
        yield fills
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _is_green(node: Node) -> bool:
    return node.report().get("status") == "ok"


def _reports_full_disk(node: Node) -> bool:
    return any("disk full" in problem and "free up space" in problem for problem in node.report().get("problems", []))


def _log_lines(node: Node, text: str) -> str:
    return "\n".join(line for line in node.log.read_text(encoding="utf-8").splitlines() if text in line)


def _check_steps(steps: list[str], *expected: str) -> None:
    for text in expected:
        assert any(step.startswith("before: ") and text in step for step in steps), (text, steps)


def _stop(node: Node) -> None:
    assert node.stop() == 0
    assert "Traceback" not in node.log.read_text(encoding="utf-8"), node.log.read_text(encoding="utf-8")
