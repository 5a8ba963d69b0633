"""A worker whose task ends, or whose window closes, under its hands is ended: the next task's job has its place."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.network import WINDOWS, Network, Node, network, tiny_params, tiny_spec

from covey.protocol.spec import TaskSpec
from covey.protocol.types import Outcome

pytestmark = [
    pytest.mark.daemon,
    pytest.mark.slow,
    pytest.mark.timeout(1_800),
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for workers in /proc"),
]

PATIENCE = 600.0


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Network]:
    with network(tmp_path) as running:
        yield running


def endless() -> TaskSpec:
    """A task whose training takes hours."""
    spec = tiny_spec()
    assert spec.training is not None
    return spec.model_copy(update={"training": spec.training.model_copy(update={"steps": 1_000_000})})


def workers(node: Node) -> set[int]:
    """Processes that the daemon has started and that have not ended."""
    assert node.process is not None
    threads = Path(f"/proc/{node.process.pid}/task").glob("*/children")
    return {int(pid) for told in threads for pid in told.read_text(encoding="ascii").split()}


def training(node: Node, task: int) -> bool:
    """Whether a worker trains for a task now, past its start."""
    return [one["key"].split("/")[:2] for one in node.report().get("running", []) if one["done"]] == [
        ["enter", str(task)]
    ]


def jobs(node: Node) -> dict[int, dict[str, Any]]:
    """What the journal says of jobs, by task."""
    path = node.settings.parent / "data" / "journal.sqlite"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60)) as database:
        database.row_factory = sqlite3.Row
        return {int(row["task"]): dict(row) for row in database.execute("SELECT * FROM jobs")}


def test_a_worker_ends_with_its_task_or_its_window_and_the_next_one_starts(net: Network) -> None:
    contracts = net.local.chain.contracts
    node = net.add("trainer", executor="subprocess")
    cid = net.store.add_directory({"spec.json": endless().canonical_bytes()})
    params = replace(tiny_params(endless(), cid.word), windows=replace(WINDOWS, entry_commit=1_000))
    creator = net.local.account("creator")
    net.local.fund({creator.address: params.bounty + params.bond})
    approve = contracts.token.approve(contracts.rewards.address, params.bounty + params.bond)
    net.local.send(creator.signer, [approve, contracts.registry.create_task(params)])
    ended = contracts.registry.task_count()
    closed = net.post(endless(), windows=replace(WINDOWS, entry_commit=2_000))
    entered = net.post(tiny_spec(), windows=replace(WINDOWS, entry_commit=6_000))
    net.start()

    net.wait("work on the first task", lambda: training(node, ended), PATIENCE)
    net.wait("the others queued", lambda: node.report().get("queued_jobs") == 2, PATIENCE)
    [first] = workers(node)
    net.local.send(creator.signer, [contracts.registry.cancel_task(ended)])
    net.wait("the worker gone", lambda: first not in workers(node), PATIENCE)
    net.wait("work on the second task", lambda: training(node, closed), PATIENCE)
    [second] = workers(node)
    net.jump(net.task(closed).schedule.entry_commit_end)
    net.wait("the second worker gone", lambda: second not in workers(node), PATIENCE)
    net.wait("an entry in the third task", lambda: bool(net.task(entered).entries), PATIENCE)

    assert contracts.registry.outcome_of(ended) == Outcome.REFUNDED
    assert not net.task(ended).entries and not net.task(closed).entries
    told = node.report()
    assert told["missed"] == [] and told["running"] == [] and told["queued_jobs"] == 0
    log = node.log.read_text(encoding="utf-8")
    assert log.count("job cancelled: its duty is over") == 2
    assert "job failed" not in log and "Traceback" not in log
    assert node.stop() == 0
    found = {task: (job["status"], job["starts"], job["failures"]) for task, job in jobs(node).items()}
    assert found[entered] == ("done", 1, 0)
    assert {task: failures for task, (_, _, failures) in found.items()} == dict.fromkeys((ended, closed, entered), 0)
    assert all(job["result"] is None for task, job in jobs(node).items() if task != entered), "nothing to use later"
