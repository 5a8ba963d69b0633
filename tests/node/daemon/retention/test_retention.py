"""What a node published is kept for as long as it promised, looked after, and what it only fetched makes room."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from prometheus_client import generate_latest
from tests.support.daemon.scenario import Scenario, me
from tests.support.ipfs.pinning_service import TOKEN, Service

from covey.config.node import NodeConfig
from covey.daemon.context import Context, Ended, Step
from covey.daemon.duties import enter, publish, rows
from covey.daemon.monitoring.health import HealthState, Snapshot
from covey.daemon.planning.plan import Duty, DutyKind
from covey.daemon.retention import retention as keeping
from covey.daemon.retention.retention import RetentionService, label_of, open_keeper, task_of
from covey.daemon.state.world import Committee, RevealedScores
from covey.daemon.storage.journal import DutyStatus, Journal
from covey.daemon.storage.secrets import SecretFile
from covey.daemon.strategy import Strategy
from covey.daemon.workers.background import Background
from covey.daemon.workers.base_digests import BaseDigests
from covey.ipfs import BlockStore, Cid, Gateway, IpfsError, directory_cid, open_fetcher, open_store
from covey.ipfs.keeper import DAY_S, Keeper
from covey.protocol.sheet import SHEET_NAME
from covey.protocol.types import Outcome

NOW = 5_000


def config_of(folder: Path, **settings: Any) -> NodeConfig:
    fields = {
        "roles": ["validator"],
        "keystore": "k",
        "rpc_urls": ["http://127.0.0.1:1"],
        "deployment": "d",
        "data_dir": str(folder),
        "heldout_records": "r",
    }
    return NodeConfig.model_validate({**fields, **settings})


@pytest.fixture
def ctx(tmp_path: Path) -> Iterator[Context]:
    config = config_of(tmp_path / "data")
    config.data_dir.mkdir()
    store = BlockStore(tmp_path / "blocks")
    journal = Journal(config.journal_path, SecretFile(tmp_path / "secrets", bytes(32)))
    background = Background(retry_seconds=0.05)
    none: Any = cast(Any, None)  # publishing needs neither the chain nor a worker
    with open_fetcher(store) as fetcher:
        keeper = open_keeper(config, store, fetcher)
        yield Context(
            config,
            me(),
            none,
            none,
            journal,
            none,
            store,
            fetcher,
            keeper,
            background,
            Strategy(),
            BaseDigests(tmp_path / "bases.json"),
        )
    background.close()
    journal.close()


def wait_for(look: Callable[[], Any]) -> Any:
    end = time.monotonic() + 100
    while not (found := look()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


def finish(advance: Callable[[], Step]) -> Ended:
    def ended() -> Ended | None:
        step = advance()
        return step if isinstance(step, Ended) else None

    return cast(Ended, wait_for(ended))


def publish_both(ctx: Context, story: Scenario) -> tuple[Cid, Cid]:
    """An entry and a score sheet of one task, revealed and published."""
    folder = ctx.folder("entries", "1")
    folder.mkdir()
    (folder / "adapter").write_bytes(b"weights")
    entry, sheet = directory_cid(folder), directory_cid({SHEET_NAME: b"{}"})
    entry_secret = {"folder": str(folder), "digest": entry.word.hex()}
    ctx.journal.keep_secret(enter.secret_name(ctx, story.task), entry_secret)
    entry_duty, sheet_duty = (
        Duty(NOW, kind, story.task_id) for kind in (DutyKind.PUBLISH_ENTRY, DutyKind.PUBLISH_SHEET)
    )
    rows.keep(ctx, sheet_duty, {"sheet": "{}", "evidence": sheet.word.hex()})
    shown = RevealedScores(ctx.me.operator, 1, 0, sheet.word, (0,))
    story.task.committee = Committee(0, target=7, total=10, revealed=[shown])
    assert finish(lambda: publish.entry(ctx, story.task, entry_duty)).status == DutyStatus.DONE
    assert finish(lambda: publish.sheet(ctx, story.task, sheet_duty)).status == DutyStatus.DONE
    return entry, sheet


def rounds(watch: RetentionService, story: Scenario, now: int) -> None:
    """A look that has its round begin and end."""
    before = watch.kept
    watch._next_at = 0.0
    watch.tick(story.world, now)
    assert watch._thread is not None
    watch._thread.join(100)
    assert watch.kept is not before


def watch_over(ctx: Context, keeper: Keeper | None = None) -> RetentionService:
    return RetentionService(keeper or ctx.keeper, ctx.fetcher.cache, days=2, every_s=3600)


def test_labels_name_their_task() -> None:
    assert task_of(label_of(17, "entry")) == 17
    assert task_of("holiday pictures") is None


def test_what_is_published_is_kept_until_its_task_has_ended_and_some_days_more(ctx: Context) -> None:
    story = Scenario()
    entry, sheet = publish_both(ctx, story)
    assert {promise.cid: promise.label for promise in ctx.keeper.retained()} == {
        entry: "task 1: entry",
        sheet: "task 1: score sheet",
    }
    watch = watch_over(ctx)
    rounds(watch, story, now=NOW + 1_000 * DAY_S)
    assert [promise.keep_until for promise in ctx.keeper.retained()] == [None, None], "its task still runs"
    story.end(Outcome.PAID)
    rounds(watch, story, now=NOW)
    keeper = open_keeper(ctx.config, ctx.store, ctx.fetcher)  # as after a restart
    watch = watch_over(ctx, keeper)
    rounds(watch, story, now=NOW + 2 * DAY_S - 1)
    assert {promise.keep_until for promise in keeper.retained()} == {NOW + 2 * DAY_S}, "the first look's word stays"
    assert {pin.cid for pin in ctx.store.pins()} == {entry, sheet}
    assert (watch.promised, watch.kept.lapses, watch.kept.problems) == (2, (), ())
    rounds(watch, story, now=NOW + 2 * DAY_S)
    assert (watch.promised, ctx.store.pins()) == (0, ())


def test_files_that_changed_since_their_commitment_are_not_promised(ctx: Context) -> None:
    story = Scenario()
    folder = ctx.folder("entries", "1")
    folder.mkdir()
    (folder / "adapter").write_bytes(b"other weights")
    secret = {"folder": str(folder), "digest": directory_cid({"adapter": b"weights"}).word.hex()}
    ctx.journal.keep_secret(enter.secret_name(ctx, story.task), secret)
    duty = Duty(NOW, DutyKind.PUBLISH_ENTRY, story.task_id)
    assert finish(lambda: publish.entry(ctx, story.task, duty)).status == DutyStatus.GIVEN_UP
    assert ctx.keeper.retained() == ()


def test_a_lapse_is_logged_once_and_shown_until_it_is_mended(ctx: Context, caplog: pytest.LogCaptureFixture) -> None:
    story = Scenario()
    entry, _ = publish_both(ctx, story)
    root = ctx.store.get_local(entry)
    cast(BlockStore, ctx.store).delete_block(entry)
    watch = watch_over(ctx)
    with caplog.at_level(logging.WARNING, "covey.daemon"):
        for _ in range(2):
            rounds(watch, story, NOW)
    assert [record.message for record in caplog.records] == ["promised content lapsed"]
    [lapse] = watch.kept.lapses
    assert lapse.startswith(f"task 1: entry ({entry}) at {ctx.store.name}: ")
    health_state = HealthState()
    health_state.show(Snapshot(promised=watch.promised, lapses=watch.kept.lapses, stored_bytes=watch.kept.stored_bytes))
    lines = generate_latest(health_state.registry).decode().splitlines()
    assert "covey_promises 2.0" in lines
    assert "covey_promises_lapsed 1.0" in lines
    assert watch._next_at - time.monotonic() <= 60, "looked at again soon"
    cast(BlockStore, ctx.store).put_block(entry, root)
    rounds(watch, story, NOW)
    assert watch.kept.lapses == ()
    assert watch._next_at - time.monotonic() > 60


def test_no_round_begins_before_its_time(ctx: Context) -> None:
    watch = watch_over(ctx)
    rounds(watch, Scenario(), NOW)
    found = watch.kept
    thread = watch._thread
    watch.tick(Scenario().world, NOW)
    assert (watch._thread, watch.kept) == (thread, found)


def fill(store: BlockStore, count: int, *, pin: bool) -> None:
    for number in range(count):
        store.add_directory({"f": bytes([number]) * 1_000}, pin=pin)


@pytest.mark.parametrize(("pinned", "full"), [(1, False), (9, True)])
def test_what_was_only_fetched_makes_room(ctx: Context, tmp_path: Path, pinned: int, full: bool) -> None:
    cache = BlockStore(tmp_path / "cache")
    fill(cache, 9, pin=False)
    fill(cache, pinned, pin=True)
    cache.quota_bytes = cache.usage()
    watch = RetentionService(ctx.keeper, cache, days=1, every_s=3600)
    watch.round(NOW)
    stored = watch.kept.stored_bytes
    assert stored == cache.usage()
    assert watch.kept.quota_bytes == cache.quota_bytes
    assert len(cache.pins()) == pinned
    assert all(cache.has(pin.cid) for pin in cache.pins())
    if full:
        [problem] = watch.kept.problems
        assert "nearly all pinned" in problem
    else:
        assert watch.kept.problems == ()
        assert 0 < stored <= 0.75 * cache.quota_bytes


def test_a_store_in_use_is_left_for_the_next_round(
    ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "_LOCK_WAIT_S", 0.05)
    cache = BlockStore(tmp_path / "cache", quota_bytes=10_000)
    fill(cache, 9, pin=False)
    watch = RetentionService(ctx.keeper, cache, days=1, every_s=3600)
    adding = os.open(cache.root / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(adding, fcntl.LOCK_SH)
    before = cache.usage()
    watch.round(NOW)
    assert watch.kept.stored_bytes == before
    os.close(adding)
    watch.round(NOW)
    assert (cache.usage() < before, watch.kept.problems) == (True, ())


def test_a_defect_in_a_round_is_told(ctx: Context, caplog: pytest.LogCaptureFixture) -> None:
    watch = RetentionService(cast(Any, None), cast(BlockStore, ctx.store), days=1, every_s=3600)
    watch.round(NOW)
    assert "AttributeError" in watch.kept.problems[0]
    assert "check of what is promised failed" in caplog.text


@pytest.mark.daemon
def test_a_silent_store_is_told(ctx: Context, tmp_path: Path) -> None:
    with open_store("http://127.0.0.1:1") as silent:
        watch = watch_over(ctx, Keeper(silent, tmp_path / "retained.json"))
        watch.round(NOW)
    [problem] = watch.kept.problems
    assert problem.startswith("what is promised cannot be checked: kubo at /ip4/127.0.0.1/tcp/1/http cannot be reached")


@pytest.mark.daemon
def test_a_pinning_service_keeps_what_the_node_keeps(ctx: Context, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n", encoding="utf-8")
    with Service() as service:
        settings = {"pinning_service": service.endpoint, "pinning_token_file": str(token)}
        config = config_of(ctx.config.data_dir, **settings)
        ctx.keeper = open_keeper(config, ctx.store, ctx.fetcher)
        story = Scenario()
        cids = publish_both(ctx, story)
        assert {pin["pin"]["cid"] for pin in service.pins.values()} == {str(cid) for cid in cids}
        watch = watch_over(ctx)
        rounds(watch, story, NOW)
        assert watch.kept.lapses == ()
        token.write_text("stale", encoding="utf-8")
        refused = watch_over(ctx, open_keeper(config, ctx.store, ctx.fetcher))
        rounds(refused, story, NOW)
        assert len(refused.kept.lapses) == 2
        assert all("refuses the access token" in lapse for lapse in refused.kept.lapses)
        story.end(Outcome.FAILED)
        rounds(watch, story, NOW)
        rounds(watch, story, NOW + 2 * DAY_S)
        assert (service.pins, watch.promised) == ({}, 0)


@pytest.mark.daemon
def test_a_gateway_that_must_deliver_and_does_not_is_told(ctx: Context) -> None:
    story = Scenario()
    publish_both(ctx, story)
    config = config_of(ctx.config.data_dir, retention_check_gateways=["http://127.0.0.1:1"])
    watch = watch_over(ctx, open_keeper(config, ctx.store, ctx.fetcher))
    watch.round(NOW)
    assert len(watch.kept.lapses) == 2
    assert all(" at http://127.0.0.1:1: " in lapse for lapse in watch.kept.lapses)


@pytest.mark.daemon
def test_a_block_lost_here_is_fetched_again_from_a_peer(ctx: Context, tmp_path: Path) -> None:
    story = Scenario()
    entry, _ = publish_both(ctx, story)
    (lost,) = (file.cid for file in ctx.store.list_directory(entry))
    peer = BlockStore(tmp_path / "peer")
    with Gateway(peer) as gateway, open_fetcher(ctx.store, [gateway.url]) as fetcher:
        watch = watch_over(ctx, open_keeper(ctx.config, ctx.store, fetcher))
        cast(BlockStore, ctx.store).delete_block(lost)
        for _ in range(2):
            rounds(watch, story, NOW)
            (lapse,) = watch.kept.lapses
            assert f"{lost} is not in" in lapse
            assert "no other source has it now" in lapse
        peer.add_directory({"adapter": b"weights"})
        rounds(watch, story, NOW)
        (lapse,) = watch.kept.lapses
        assert lapse.endswith("damaged or lost blocks fetched again: 1")
        rounds(watch, story, NOW)
        assert watch.kept.lapses == ()
    assert ctx.store.has(entry)


def test_a_damaged_file_of_promises_stops_the_start(ctx: Context) -> None:
    (ctx.config.data_dir / "retained.json").write_text("{", encoding="utf-8")
    with pytest.raises(IpfsError, match="is damaged"):
        open_keeper(ctx.config, ctx.store, ctx.fetcher)
