"""Fetching entries from a store: those of the task, and those of earlier tasks for the look-back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.daemon.context import SPEC, open_context, poll_until
from tests.support.daemon.scenario import COMMIT_END, Scenario, address

from covey.daemon.context import Context
from covey.daemon.duties.fetching import Fetched, delete_fetched, fetch_entries
from covey.daemon.duties.lookback import fetch_earlier
from covey.ipfs import BlockStore
from covey.protocol.entry import ENTRY_FILES


@pytest.fixture
def ctx(tmp_path: Path) -> Iterator[Context]:
    with open_context(tmp_path) as context:
        yield context


def add_entry(ctx: Context, seed: int, *, extra_file: bool = False) -> str:
    """Add an entry's files to the store. Returns the digest as in an event."""
    files: dict[str, Any] = {name: f"{name} {seed}".encode() for name in ENTRY_FILES}
    if extra_file:
        files["readme.md"] = b"more than an entry may contain"
    return "0x" + ctx.store.add_directory(files).word.hex()


def test_entries_are_sorted_into_fetched_invalid_and_missing(ctx: Context) -> None:
    scenario = Scenario()
    scenario.enter_and_reveal(address(1), add_entry(ctx, 1))
    scenario.enter_and_reveal(address(2), add_entry(ctx, 2, extra_file=True))
    scenario.enter_and_reveal(address(3), "0x" + "11" * 32)

    def is_settled(fetched: Fetched) -> bool:
        missing = fetched.missing.get(2, "being fetched")
        return bool(fetched.folders and fetched.invalid and missing != "being fetched")

    fetched = poll_until(lambda: fetch_entries(ctx, scenario.task, SPEC), is_settled)
    assert set(fetched.folders) == {0}
    assert sorted(path.name for path in fetched.folders[0].iterdir()) == sorted(ENTRY_FILES)
    assert set(fetched.invalid) == {1}
    assert "no source is configured" in fetched.missing[2]
    assert not fetched.complete(3)
    delete_fetched(ctx, scenario.task.id)
    assert not fetched.folders[0].exists()


def test_an_entry_that_arrives_late_completes_the_row(ctx: Context) -> None:
    content = dict.fromkeys(ENTRY_FILES, b"late")
    other = BlockStore(ctx.config.data_dir / "elsewhere")
    scenario = Scenario()
    scenario.enter_and_reveal(address(1), "0x" + other.add_directory(content).word.hex())
    poll_until(lambda: fetch_entries(ctx, scenario.task, SPEC), lambda found: "no source" in found.missing.get(0, ""))
    ctx.store.add_directory(content)
    found = poll_until(lambda: fetch_entries(ctx, scenario.task, SPEC), lambda found: found.complete(1))
    assert found.invalid == {}


def test_an_entry_is_pending_until_the_third_attempt(ctx: Context) -> None:
    """Or until three times the response timeout has passed. So a node that starts late gives an entry a fair chance."""
    scenario = Scenario()
    scenario.enter_and_reveal(address(1), "0x" + "11" * 32)
    polled: list[Fetched] = []

    def poll() -> Fetched:
        polled.append(fetch_entries(ctx, scenario.task, SPEC))
        return polled[-1]

    poll_until(poll, lambda found: found.missing)
    reasons = [found.pending[0] for found in polled if found.pending]
    assert "being fetched" in reasons
    assert any("no source is configured" in reason for reason in reasons), "the first failure was final"
    assert not polled[-1].pending
    assert ctx.background.tried("fetched/nothing", 1, 0.0) is False


def test_a_fetch_that_never_ends_counts_as_missing(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = Scenario()
    scenario.enter_and_reveal(address(1), "0x" + "11" * 32)
    release = threading.Event()
    monkeypatch.setattr(ctx.fetcher, "get_directory", lambda *_: release.wait(60))
    ctx.config = ctx.config.model_copy(update={"fetch_timeout_seconds": 0.1})
    assert fetch_entries(ctx, scenario.task, SPEC).pending == {0: "being fetched"}
    try:
        found = poll_until(lambda: fetch_entries(ctx, scenario.task, SPEC), lambda found: found.missing)
        assert (found.missing, found.pending) == ({0: "being fetched"}, {})
    finally:
        release.set()


def test_the_look_back_finds_entries_of_earlier_tasks_for_the_same_base(ctx: Context) -> None:
    tasks = {}
    for task_id in (1, 2, 3, 4):
        scenario = Scenario(task_id=task_id, state=ctx.state)
        scenario.enter_and_reveal(address(1), add_entry(ctx, task_id))
        scenario.enter_and_reveal(address(2), "0x" + "11" * 32)
        tasks[task_id] = scenario.task
        ctx.specs[task_id] = SPEC
    for task_id in (1, 2):
        old = tasks[task_id].schedule
        tasks[task_id].schedule = old.__class__(1, 2, 3, COMMIT_END, COMMIT_END, old.expires_at)
    ctx.specs[2] = SPEC.model_copy(update={"base": SPEC.base.model_copy(update={"digest": "11" * 32})})
    earlier = poll_until(lambda: fetch_earlier(ctx, tasks[4], SPEC), lambda found: found.pending == 0)
    names = [folder.name.rpartition("-")[0] for folder in earlier.folders]  # without the digest
    assert names == ["task-1-lane-0"], "task 3 still runs, task 2 has another base"
