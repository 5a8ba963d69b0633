"""A dying worker costs its own node a retry and, at worst, its row; it never becomes a zero for an entry."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.support.network import Network, Node, tiny_spec

from covey.daemon.state.world import Committee
from covey.protocol.scores import unpack
from covey.protocol.types import Outcome

pytestmark = [pytest.mark.daemon, pytest.mark.slow, pytest.mark.timeout(900)]

DEATHS = ("segfault", "cuda-assert", "out-of-memory", "killed", "exit", "hang", "nonsense")


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(tmp_path, stack)


class Servers:
    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack

    def start(self, how: str, *then: str) -> str:
        """Start a server whose workers die; returns the `executor` setting."""
        path = self._folder / f"{how}{len(then)}.sock"
        program = Path(__file__).resolve().parents[1] / "support" / "dying_workers.py"
        argv = [
            sys.executable,
            str(program),
            str(path),
            how,
            *then,
        ]
        process = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        return f"unix:{path}"


def committee(net: Network, task: int) -> Committee:
    found = net.task(task).committee
    assert found is not None
    return found


def lines(node: Node, text: str) -> list[str]:
    return [line for line in node.log.read_text(encoding="utf-8").splitlines() if text in line]


def test_a_dying_worker_costs_a_retry_and_no_entry_its_score(net: Network, servers: Servers) -> None:
    trainers = [net.add("trainer"), net.add("trainer")]
    real = net.executor.removeprefix("unix:")
    limits = {"max_job_attempts": 2, "worker_heartbeat_timeout_seconds": 20}
    steady = net.add("validator", **{"policy.earmark": "2500 CVY"})
    lucky = net.add(
        "validator", **{"policy.earmark": "2500 CVY"}, executor=servers.start("segfault", "2", real), max_job_attempts=9
    )
    dying = {
        how: net.add("validator", **{"policy.earmark": "100 CVY", "executor": servers.start(how), **limits})
        for how in DEATHS
    }
    # Seats are drawn by stake: 400 of them, so that the small validators have some too.
    net.start()
    task = net.post(tiny_spec(), target_seats=400)
    schedule = net.task(task).schedule
    net.wait("entries", lambda: len(net.task(task).entries) == 2)
    net.jump(schedule.entry_commit_end)
    net.wait("enrolment", lambda: len(net.task(task).enrolled) == 2 + len(dying))
    net.jump(schedule.enrol_end)
    net.wait("entry reveals", lambda: len(net.task(task).lanes) == 2)
    net.jump(schedule.entry_reveal_end)
    net.wait("the seed", lambda: (c := net.task(task).committee) is not None and c.seeded)
    rows = {steady.operator, lucky.operator}
    gone = {node.operator for node in dying.values()}
    net.wait("rows", lambda: set(committee(net, task).committed) == rows)
    net.wait("abstentions", lambda: set(committee(net, task).abstained) == gone)
    net.jump(committee(net, task).commit_end)
    net.wait("the end", lambda: net.task(task).outcome != Outcome.RUNNING)

    assert net.task(task).outcome == Outcome.PAID
    for row in committee(net, task).revealed:
        assert all(score >= 1 for score in unpack(row.words, 2)), "a dying worker became a zero for an entry"
    assert len(lines(lucky, "job failed")) == 2
    assert len(lines(lucky, "job done")) == 1
    assert not lines(lucky, "abstaining")
    for how, node in dying.items():
        assert len(lines(node, "job failed")) == 2, how
        assert lines(node, "abstaining"), how
        assert not lines(node, "scores ready"), how
    assert any("no output for 20 s" in line for line in lines(dying["hang"], "job failed"))
    for node in net.nodes:
        assert node.report()["missed"] == []
        assert "Traceback" not in node.log.read_text(encoding="utf-8")
        assert node.stop() == 0
    assert {node.operator for node in trainers} == set(net.task(task).entries)
