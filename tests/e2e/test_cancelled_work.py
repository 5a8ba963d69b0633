"""A worker is ended when its task ends or its window closes; then the next task's job runs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.network import WINDOWS, Network, Node, tiny_params, tiny_spec

from covey.protocol.spec import TaskSpec
from covey.protocol.types import Outcome

pytestmark = [
    pytest.mark.daemon,
    pytest.mark.slow,
    pytest.mark.timeout(1_800),
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds workers in /proc"),
]

PATIENCE = 600.0


def endless() -> TaskSpec:
    """A task whose training takes hours."""
    spec = tiny_spec()
    assert spec.training is not None
    return spec.model_copy(update={"training": spec.training.model_copy(update={"steps": 1_000_000})})


def workers(node: Node) -> set[int]:
    """Process ids of the daemon's running children."""
    assert node.process is not None
    children = Path(f"/proc/{node.process.pid}/task").glob("*/children")
    return {int(pid) for file in children for pid in file.read_text(encoding="ascii").split()}


def is_training(node: Node, task: int) -> bool:
    """Whether a worker is training for a task, past its first step."""
    return [job["key"].split("/")[:2] for job in node.report().get("running", []) if job["done"]] == [
        ["enter", str(task)]
    ]


def jobs(node: Node) -> dict[int, dict[str, Any]]:
    """The jobs in the journal, by task."""
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

    net.wait("work on the first task", lambda: is_training(node, ended), PATIENCE)
    net.wait("the others queued", lambda: node.report().get("queued_jobs") == 2, PATIENCE)
    [first] = workers(node)
    net.local.send(creator.signer, [contracts.registry.cancel_task(ended)])
    net.wait("the worker gone", lambda: first not in workers(node), PATIENCE)
    net.wait("work on the second task", lambda: is_training(node, closed), PATIENCE)
    [second] = workers(node)
    net.jump(net.task(closed).schedule.entry_commit_end)
    net.wait("the second worker gone", lambda: second not in workers(node), PATIENCE)
    net.wait("an entry in the third task", lambda: bool(net.task(entered).entries), PATIENCE)

    assert contracts.registry.outcome_of(ended) == Outcome.REFUNDED
    assert not net.task(ended).entries and not net.task(closed).entries
    report = node.report()
    assert report["missed"] == [] and report["running"] == [] and report["queued_jobs"] == 0
    log = node.log.read_text(encoding="utf-8")
    assert log.count("job cancelled: its duty is no longer due") == 2
    assert "job failed" not in log and "Traceback" not in log
    assert node.stop() == 0
    found = {task: (job["status"], job["starts"], job["failures"]) for task, job in jobs(node).items()}
    assert found[entered] == ("done", 1, 0)
    assert {task: failures for task, (_, _, failures) in found.items()} == dict.fromkeys((ended, closed, entered), 0)
    cancelled = [job for task, job in jobs(node).items() if task != entered]
    assert all(job["result"] is None for job in cancelled)
