"""Getting entries out of a store: those of the task, and those of earlier tasks that may not be sold again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from tests.support.daemon.scenario import COMMIT_END, Scenario, address, me

from covey.config.node import NodeConfig
from covey.daemon.context import Context
from covey.daemon.duties.fetching import Fetched, drop_fetched, fetch_entries
from covey.daemon.duties.lookback import Earlier, fetch_earlier
from covey.daemon.strategy import Strategy
from covey.daemon.workers.background import Background
from covey.daemon.workers.base_digests import BaseDigests
from covey.ipfs import BlockStore, open_fetcher
from covey.ipfs.keeper import Keeper
from covey.protocol.entry import ENTRY_FILES
from covey.protocol.spec import TaskSpec

SPEC = TaskSpec.parse(
    {
        "version": 1,
        "base": {"name": "tiny", "revision": "local", "digest": "00" * 32, "family": "qwen3"},
        "adapter": {"target_modules": ["q_proj"], "max_rank": 4, "max_bytes": 1000},
        "domain": "weather",
        "strata": [{"name": "a", "weight": 10_000, "min_records": 8, "min_tokens": 8}],
        "evaluation": {"source": "local", "sequence_length": 32, "min_records": 8, "max_records": 8},
        "scoring": {"h": 50, "tau": 500, "floor": 100},
    }
)


@pytest.fixture
def ctx(tmp_path: Path) -> Iterator[Context]:
    config = NodeConfig.model_validate(
        {
            "roles": ["validator"],
            "keystore": "k",
            "rpc_urls": ["http://127.0.0.1:1"],
            "deployment": "d",
            "data_dir": str(tmp_path / "data"),
            "heldout_records": "r",
        }
    )
    store = BlockStore(tmp_path / "blocks")
    keeper = Keeper(store, tmp_path / "retained.json")
    background = Background(retry_seconds=0.05)
    none: Any = cast(Any, None)  # fetching needs neither the chain nor a worker
    with open_fetcher(store) as fetcher:
        yield Context(
            config,
            me(),
            none,
            none,
            none,
            none,
            store,
            fetcher,
            keeper,
            background,
            Strategy(),
            BaseDigests(tmp_path / "bases.json"),
        )
    background.close()


def add(ctx: Context, seed: int, *, extra: bool = False) -> str:
    """An entry's files in the store; the digest as an event tells it."""
    files: dict[str, Any] = {name: f"{name} {seed}".encode() for name in ENTRY_FILES}
    if extra:
        files["readme.md"] = b"more than an entry may hold"
    return "0x" + ctx.store.add_directory(files).word.hex()


def enter(story: Scenario, operator: str, digest: str) -> None:
    story.enter(operator)
    lane, entry = len(story.task.lanes), story.task.entries[operator]
    story.tell("TaskRegistry", "EntryRevealed", operator=operator, lane=lane, sequence=entry.sequence, digest=digest)


def settled(look: Callable[[], Any], ready: Callable[[Any], bool]) -> Any:
    end = time.monotonic() + 10
    while not ready(found := look()):
        assert time.monotonic() < end, found
        time.sleep(0.01)
    return found


def test_entries_are_here_bad_or_missing(ctx: Context) -> None:
    story = Scenario()
    enter(story, address(1), add(ctx, 1))
    enter(story, address(2), add(ctx, 2, extra=True))
    enter(story, address(3), "0x" + "11" * 32)

    def look() -> Fetched:
        return fetch_entries(ctx, story.task, SPEC)

    found = settled(
        look, lambda one: one.folders and one.bad and one.missing.get(2, "being fetched") != "being fetched"
    )
    assert set(found.folders) == {0}
    assert sorted(path.name for path in found.folders[0].iterdir()) == sorted(ENTRY_FILES)
    assert set(found.bad) == {1}
    found = settled(look, lambda one: one.missing[2] != "being fetched")
    assert "no source is configured" in found.missing[2]
    assert not found.complete(3)
    ctx.store.add_directory(dict.fromkeys(ENTRY_FILES, b""))
    drop_fetched(ctx, story.task.id)
    assert not found.folders[0].exists()


def test_a_missing_entry_that_turns_up_completes_the_row(ctx: Context) -> None:
    content = dict.fromkeys(ENTRY_FILES, b"late")
    other = BlockStore(ctx.config.data_dir / "elsewhere")
    digest = "0x" + other.add_directory(content).word.hex()
    story = Scenario()
    enter(story, address(1), digest)
    settled(lambda: fetch_entries(ctx, story.task, SPEC), lambda one: "no source" in one.missing.get(0, ""))
    ctx.store.add_directory(content)
    assert settled(lambda: fetch_entries(ctx, story.task, SPEC), lambda one: one.complete(1)).bad == {}


def test_what_was_only_begun_is_not_missing(ctx: Context) -> None:
    """Not before the third try, or three times the longest wait for an answer: also for whoever looks late."""
    story = Scenario()
    enter(story, address(1), "0x" + "11" * 32)
    looks: list[Fetched] = []

    def look() -> Fetched:
        looks.append(fetch_entries(ctx, story.task, SPEC))
        return looks[-1]

    settled(look, lambda one: one.missing)
    told = [one.coming[0] for one in looks if one.coming]
    assert "being fetched" in told
    assert any("no source is configured" in reason for reason in told), "the first failure decided"
    assert not looks[-1].coming
    assert ctx.background.tried("fetched/nothing", 1, 0.0) is False


def test_a_fetch_that_never_ends_is_missing_in_the_end(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    story = Scenario()
    enter(story, address(1), "0x" + "11" * 32)
    release = threading.Event()
    monkeypatch.setattr(ctx.fetcher, "get_directory", lambda *_: release.wait(60))
    ctx.config = ctx.config.model_copy(update={"fetch_timeout_seconds": 0.1})
    assert fetch_entries(ctx, story.task, SPEC).coming == {0: "being fetched"}
    try:
        found = settled(lambda: fetch_entries(ctx, story.task, SPEC), lambda one: one.missing)
        assert (found.missing, found.coming) == ({0: "being fetched"}, {})
    finally:
        release.set()


def test_what_earlier_tasks_showed_is_looked_back_at(ctx: Context) -> None:
    world = ctx.world
    tasks = {}
    for task_id in (1, 2, 3, 4):
        story = Scenario(task_id=task_id, world=world)
        enter(story, address(1), add(ctx, task_id))
        enter(story, address(2), "0x" + "11" * 32)
        tasks[task_id] = story.task
        ctx.specs[task_id] = SPEC
    for task_id in (1, 2):
        old = tasks[task_id].schedule
        tasks[task_id].schedule = old.__class__(1, 2, 3, COMMIT_END, COMMIT_END, old.expires_at)
    ctx.specs[2] = SPEC.model_copy(update={"base": SPEC.base.model_copy(update={"digest": "11" * 32})})

    def look() -> Earlier:
        return fetch_earlier(ctx, tasks[4], SPEC)

    found = settled(look, lambda one: one.coming == 0)
    names = [folder.name.rpartition("-")[0] for folder in found.folders]  # less the content's
    assert names == ["task-1-lane-0"], "task 3 still runs, task 2 has another base"
