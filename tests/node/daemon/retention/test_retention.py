"""Published content stays pinned until some days after its task's end, and fetched content is evicted."""

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
from tests.support.daemon.context import node_config, open_context, poll_until
from tests.support.daemon.scenario import Scenario
from tests.support.ipfs.pinning_service import TOKEN, Service

from covey.daemon.context import Context
from covey.daemon.duties import enter, publish, rows
from covey.daemon.duties.outcomes import Ended, Step
from covey.daemon.monitoring.health import HealthState, Snapshot
from covey.daemon.planning.duty import Duty, DutyKind
from covey.daemon.retention import retention as retention_module
from covey.daemon.retention.retention import RetentionService, label_of, open_keeper, task_of
from covey.daemon.state.committee import Committee, RevealedScores
from covey.daemon.storage.commitments import CommittedEntry, CommittedRow
from covey.daemon.storage.journal import DutyStatus
from covey.ipfs import BlockStore, Cid, Gateway, IpfsError, directory_cid, open_fetcher, open_store
from covey.ipfs.keeper import DAY_S, Keeper
from covey.protocol.sheet import SHEET_NAME
from covey.protocol.types import Outcome

NOW = 5_000
SALT = bytes(32)


@pytest.fixture
def ctx(tmp_path: Path) -> Iterator[Context]:
    with open_context(tmp_path) as context:
        yield context


def finish(advance: Callable[[], Step]) -> Ended:
    """Advance a duty until it has ended."""
    return cast(Ended, poll_until(advance, lambda step: isinstance(step, Ended), seconds=100))


def publish_both(ctx: Context, scenario: Scenario) -> tuple[Cid, Cid]:
    """Publish a revealed entry and a revealed score sheet of one task. Returns their CIDs."""
    folder = ctx.folder("entries", "1")
    folder.mkdir()
    (folder / "adapter").write_bytes(b"weights")
    entry, sheet = directory_cid(folder), directory_cid({SHEET_NAME: b"{}"})
    secret = CommittedEntry(entry.word, SALT, folder)
    ctx.journal.save_secret(enter.secret_name(ctx, scenario.task), secret.to_payload())
    entry_duty, sheet_duty = (
        Duty(NOW, kind, scenario.task_id) for kind in (DutyKind.PUBLISH_ENTRY, DutyKind.PUBLISH_SHEET)
    )
    rows.save(ctx, sheet_duty, CommittedRow(words=(0,), evidence=sheet.word, salt=SALT, sheet=b"{}"))
    revealed = RevealedScores(ctx.identity.operator, 1, 0, sheet.word, (0,))
    scenario.task.committee = Committee(0, target=7, total=10, revealed=[revealed])
    assert finish(lambda: publish.entry(ctx, scenario.task, entry_duty)).status == DutyStatus.DONE
    assert finish(lambda: publish.sheet(ctx, scenario.task, sheet_duty)).status == DutyStatus.DONE
    return entry, sheet


def run_check(service: RetentionService, scenario: Scenario, now: int) -> None:
    """Run a cycle in which a check is due, and wait for the check."""
    before = service.report
    service._next_at = 0.0
    service.tick(scenario.state, now)
    assert service._thread is not None
    service._thread.join(100)
    assert service.report is not before


def retention_of(ctx: Context, keeper: Keeper | None = None) -> RetentionService:
    return RetentionService(keeper or ctx.keeper, ctx.fetcher.cache, days=2, every_s=3600)


def test_a_label_names_its_task() -> None:
    assert task_of(label_of(17, "entry")) == 17
    assert task_of("holiday pictures") is None


def test_published_content_is_retained_until_days_after_its_task_has_ended(ctx: Context) -> None:
    scenario = Scenario()
    entry, sheet = publish_both(ctx, scenario)
    assert {content.cid: content.label for content in ctx.keeper.retained()} == {
        entry: "task 1: entry",
        sheet: "task 1: score sheet",
    }
    service = retention_of(ctx)
    run_check(service, scenario, now=NOW + 1_000 * DAY_S)
    assert [content.keep_until for content in ctx.keeper.retained()] == [None, None], "its task still runs"
    scenario.end(Outcome.PAID)
    run_check(service, scenario, now=NOW)
    keeper = open_keeper(ctx.config, ctx.store, ctx.fetcher)  # as after a restart
    service = retention_of(ctx, keeper)
    run_check(service, scenario, now=NOW + 2 * DAY_S - 1)
    assert {content.keep_until for content in keeper.retained()} == {NOW + 2 * DAY_S}, "the first expiry stays"
    assert {pin.cid for pin in ctx.store.pins()} == {entry, sheet}
    assert (service.retained, service.report.missing_pins, service.report.problems) == (2, (), ())
    run_check(service, scenario, now=NOW + 2 * DAY_S)
    assert (service.retained, ctx.store.pins()) == (0, ())


def test_files_changed_after_their_commitment_are_not_retained(ctx: Context) -> None:
    scenario = Scenario()
    folder = ctx.folder("entries", "1")
    folder.mkdir()
    (folder / "adapter").write_bytes(b"other weights")
    secret = CommittedEntry(directory_cid({"adapter": b"weights"}).word, SALT, folder)
    ctx.journal.save_secret(enter.secret_name(ctx, scenario.task), secret.to_payload())
    duty = Duty(NOW, DutyKind.PUBLISH_ENTRY, scenario.task_id)
    assert finish(lambda: publish.entry(ctx, scenario.task, duty)).status == DutyStatus.GIVEN_UP
    assert ctx.keeper.retained() == ()


def test_a_missing_pin_is_logged_once_and_reported_until_it_is_fixed(
    ctx: Context, caplog: pytest.LogCaptureFixture
) -> None:
    scenario = Scenario()
    entry, _ = publish_both(ctx, scenario)
    root = ctx.store.get_local(entry)
    cast(BlockStore, ctx.store).delete_block(entry)
    service = retention_of(ctx)
    with caplog.at_level(logging.WARNING, "covey.daemon"):
        for _ in range(2):
            run_check(service, scenario, NOW)
    assert [record.message for record in caplog.records] == ["pin missing"]
    report = service.report
    [missing] = report.missing_pins
    assert missing.startswith(f"task 1: entry ({entry}) at {ctx.store.name}: ")
    health_state = HealthState()
    health_state.show(
        Snapshot(retained=service.retained, missing_pins=report.missing_pins, stored_bytes=report.stored_bytes)
    )
    lines = generate_latest(health_state.registry).decode().splitlines()
    assert "covey_retained_directories 2.0" in lines
    assert "covey_missing_pins 1.0" in lines
    assert service._next_at - time.monotonic() <= 60, "the next check follows soon"
    cast(BlockStore, ctx.store).put_block(entry, root)
    run_check(service, scenario, NOW)
    assert service.report.missing_pins == ()
    assert service._next_at - time.monotonic() > 60


def test_no_check_starts_before_it_is_due(ctx: Context) -> None:
    service = retention_of(ctx)
    run_check(service, Scenario(), NOW)
    report, thread = service.report, service._thread
    service.tick(Scenario().state, NOW)
    assert (service._thread, service.report) == (thread, report)


def fill(store: BlockStore, count: int, *, pin: bool) -> None:
    for number in range(count):
        store.add_directory({"f": bytes([number]) * 1_000}, pin=pin)


@pytest.mark.parametrize(("pinned", "full"), [(1, False), (9, True)])
def test_fetched_content_is_collected_down_to_the_target(ctx: Context, tmp_path: Path, pinned: int, full: bool) -> None:
    cache = BlockStore(tmp_path / "cache")
    fill(cache, 9, pin=False)
    fill(cache, pinned, pin=True)
    cache.quota_bytes = cache.usage()
    service = RetentionService(ctx.keeper, cache, days=1, every_s=3600)
    service.check(NOW)
    stored = service.report.stored_bytes
    assert stored == cache.usage()
    assert service.report.quota_bytes == cache.quota_bytes
    assert len(cache.pins()) == pinned
    assert all(cache.has(pin.cid) for pin in cache.pins())
    if full:
        [problem] = service.report.problems
        assert "nearly all pinned" in problem
    else:
        assert service.report.problems == ()
        assert 0 < stored <= 0.75 * cache.quota_bytes


def test_a_locked_store_is_collected_in_the_next_check(
    ctx: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention_module, "_LOCK_WAIT_S", 0.05)
    cache = BlockStore(tmp_path / "cache", quota_bytes=10_000)
    fill(cache, 9, pin=False)
    service = RetentionService(ctx.keeper, cache, days=1, every_s=3600)
    adding = os.open(cache.root / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(adding, fcntl.LOCK_SH)
    before = cache.usage()
    service.check(NOW)
    assert service.report.stored_bytes == before
    os.close(adding)
    service.check(NOW)
    assert (cache.usage() < before, service.report.problems) == (True, ())


def test_a_bug_in_a_check_is_reported(ctx: Context, caplog: pytest.LogCaptureFixture) -> None:
    service = RetentionService(cast(Any, None), cast(BlockStore, ctx.store), days=1, every_s=3600)
    service.check(NOW)
    assert "AttributeError" in service.report.problems[0]
    assert "retention check failed" in caplog.text


@pytest.mark.daemon
def test_a_store_that_does_not_answer_is_reported(ctx: Context, tmp_path: Path) -> None:
    with open_store("http://127.0.0.1:1") as silent:
        service = retention_of(ctx, Keeper(silent, tmp_path / "retained.json"))
        service.check(NOW)
    [problem] = service.report.problems
    start = "retained content cannot be checked: kubo at /ip4/127.0.0.1/tcp/1/http cannot be reached"
    assert problem.startswith(start)


@pytest.mark.daemon
def test_a_pinning_service_pins_what_the_node_retains(ctx: Context, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n", encoding="utf-8")
    with Service() as server:
        settings = {"pinning_service": server.endpoint, "pinning_token_file": str(token)}
        config = node_config(ctx.config.data_dir, **settings)
        ctx.keeper = open_keeper(config, ctx.store, ctx.fetcher)
        scenario = Scenario()
        cids = publish_both(ctx, scenario)
        assert {pin["pin"]["cid"] for pin in server.pins.values()} == {str(cid) for cid in cids}
        service = retention_of(ctx)
        run_check(service, scenario, NOW)
        assert service.report.missing_pins == ()
        token.write_text("stale", encoding="utf-8")
        refused = retention_of(ctx, open_keeper(config, ctx.store, ctx.fetcher))
        run_check(refused, scenario, NOW)
        assert len(refused.report.missing_pins) == 2
        assert all("refuses the access token" in missing for missing in refused.report.missing_pins)
        scenario.end(Outcome.FAILED)
        run_check(service, scenario, NOW)
        run_check(service, scenario, NOW + 2 * DAY_S)
        assert (server.pins, service.retained) == ({}, 0)


@pytest.mark.daemon
def test_a_gateway_that_does_not_serve_retained_content_is_reported(ctx: Context) -> None:
    scenario = Scenario()
    publish_both(ctx, scenario)
    config = node_config(ctx.config.data_dir, retention_check_gateways=["http://127.0.0.1:1"])
    service = retention_of(ctx, open_keeper(config, ctx.store, ctx.fetcher))
    service.check(NOW)
    assert len(service.report.missing_pins) == 2
    assert all(" at http://127.0.0.1:1: " in missing for missing in service.report.missing_pins)


@pytest.mark.daemon
def test_a_lost_block_is_fetched_again_from_a_peer(ctx: Context, tmp_path: Path) -> None:
    scenario = Scenario()
    entry, _ = publish_both(ctx, scenario)
    (lost,) = (file.cid for file in ctx.store.list_directory(entry))
    peer = BlockStore(tmp_path / "peer")
    with Gateway(peer) as gateway, open_fetcher(ctx.store, [gateway.url]) as fetcher:
        service = retention_of(ctx, open_keeper(ctx.config, ctx.store, fetcher))
        cast(BlockStore, ctx.store).delete_block(lost)
        for _ in range(2):
            run_check(service, scenario, NOW)
            (missing,) = service.report.missing_pins
            assert f"{lost} is not in" in missing
            assert "no other source has it now" in missing
        peer.add_directory({"adapter": b"weights"})
        run_check(service, scenario, NOW)
        (missing,) = service.report.missing_pins
        assert missing.endswith("damaged or lost blocks fetched again: 1")
        run_check(service, scenario, NOW)
        assert service.report.missing_pins == ()
    assert ctx.store.has(entry)


def test_a_damaged_list_of_retained_content_stops_the_start(ctx: Context) -> None:
    (ctx.config.data_dir / "retained.json").write_text("{", encoding="utf-8")
    with pytest.raises(IpfsError, match="is damaged"):
        open_keeper(ctx.config, ctx.store, ctx.fetcher)
