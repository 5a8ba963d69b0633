"""A full disk loses no data, sends nothing that is not durable, and costs only time."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import logging
import os
import resource
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from tests.support.daemon.context import SPEC, node_config, open_context, poll_until
from tests.support.daemon.results import score_job, score_result
from tests.support.daemon.scenario import Scenario, address

from covey.chain.contracts import Call
from covey.chain.errors import FatalError
from covey.chain.events.decoder import Event
from covey.chain.events.follower import Checkpoint
from covey.chain.signing.keystore import create_keystore
from covey.chain.tx.store import SqliteTxStore
from covey.config.node import NodeConfig
from covey.daemon.context import Context
from covey.daemon.duties import jobs
from covey.daemon.duties.fetching import fetch_entries
from covey.daemon.duties.outcomes import Waiting
from covey.daemon.planning.duty import Duty, DutyKind
from covey.daemon.run import STOPPED, run
from covey.daemon.storage.disk_space import free_bytes, is_full, shortages, storage_folders
from covey.daemon.storage.journal import JobStatus, Journal
from covey.daemon.storage.secrets import SecretError, SecretFile, derive_key, key_from_file
from covey.daemon.workers.executor import Limits, ProcessExecutor
from covey.ipfs import BlockStore, StoreFull
from covey.ipfs.keeper import Keeper
from covey.lora.jobs.session import Session
from covey.protocol.entry import ENTRY_FILES

KEY = derive_key(b"k" * 32)
DUTY = Duty(1_000, DutyKind.SCORE, 1)


def open_journal(folder: Path) -> Journal:
    return Journal(folder / "journal.sqlite", SecretFile(folder / "secrets.log", KEY))


@contextmanager
def no_more_pages(db: sqlite3.Connection) -> Iterator[None]:
    """Forbid the database to grow, so that SQLite fails as on a full disk."""
    [limit] = db.execute("PRAGMA max_page_count").fetchone()
    [pages] = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count={pages}")
    try:
        yield
    finally:
        db.execute(f"PRAGMA max_page_count={limit}")


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Limit files of this process to `size` bytes. A write across the limit is cut off, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def lose_database(folder: Path) -> None:
    for path in folder.glob("journal.sqlite*"):
        path.unlink()


class TestJournal:
    def test_a_failed_write_leaves_no_open_transaction(self, tmp_path: Path) -> None:
        journal = open_journal(tmp_path)
        large = [
            Event("X", "Y", {"words": "f" * 3000}, block, f"0x{block:064x}", f"0x{block:064x}", 0)
            for block in range(50)
        ]
        with no_more_pages(journal.db), pytest.raises(sqlite3.OperationalError, match="full") as caught:
            journal.commit(large, Checkpoint(50, "0x"))
        assert is_full(caught.value)
        assert not journal.db.in_transaction
        assert (list(journal.events()), journal.checkpoints()) == ([], [])
        journal.commit(large, Checkpoint(50, "0x"))
        assert len(list(open_journal(tmp_path).events())) == 50

    def test_a_request_that_cannot_be_stored_is_not_pending(self, tmp_path: Path) -> None:
        journal = open_journal(tmp_path)
        store = SqliteTxStore(journal.db)
        call = Call("0x" + "11" * 20, b"x" * 20_000, "a call")
        with no_more_pages(journal.db), pytest.raises(sqlite3.OperationalError, match="full"):
            store.add("key", "0x" + "22" * 20, call, None)
        assert not journal.db.in_transaction
        assert store.get("key") is None
        assert store.add("key", "0x" + "22" * 20, call, None).call == call


class TestSecrets:
    def test_an_incomplete_line_is_removed_and_the_next_one_complete(self, tmp_path: Path) -> None:
        journal = open_journal(tmp_path)
        journal.save_secret("first", {"salt": "aa" * 32})
        size = (tmp_path / "secrets.log").stat().st_size
        with file_size_limit(size + 10), pytest.raises(SecretError, match="cannot store the secret second") as caught:
            journal.save_secret("second", {"salt": "bb" * 32})
        assert is_full(caught.value)
        assert (tmp_path / "secrets.log").stat().st_size == size
        journal.save_secret("second", {"salt": "bb" * 32})
        lose_database(tmp_path)
        reopened = open_journal(tmp_path)
        assert reopened.secret("second") == {"salt": "bb" * 32}

    def test_an_incomplete_line_that_cannot_be_removed_does_not_spoil_the_next(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = SecretFile(tmp_path / "secrets.log", KEY)

        def refuse(fd: int, size: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

        with monkeypatch.context() as patched:
            patched.setattr(os, "ftruncate", refuse)
            with file_size_limit(10), pytest.raises(SecretError):
                file.append("first", {"salt": "aa"})
        assert (tmp_path / "secrets.log").stat().st_size == 10
        file.append("second", {"salt": "bb"})
        assert dict(file.read()) == {"second": {"salt": "bb"}}

    def test_a_salt_that_only_the_file_stored_does_not_replace_the_one_used(self, tmp_path: Path) -> None:
        """The journal fails to store the first salt, so nothing is sent for it. The second one is committed to."""
        journal = open_journal(tmp_path)
        with no_more_pages(journal.db), pytest.raises(sqlite3.OperationalError, match="full"):
            journal.save_secret("entry/1", {"salt": "aa" * 20_000})
        assert journal.secret("entry/1") is None
        journal.save_secret("entry/1", {"salt": "bb" * 20_000})
        journal.close()
        lose_database(tmp_path)
        assert open_journal(tmp_path).secret("entry/1") == {"salt": "bb" * 20_000}

    def test_a_key_that_could_not_be_written_is_created_at_the_next_start(self, tmp_path: Path) -> None:
        path = tmp_path / "secrets.key"
        with file_size_limit(0), pytest.raises(SecretError, match=r"secrets\.key"):
            key_from_file(path, tmp_path / "secrets.log")
        assert not path.exists()
        key = key_from_file(path, tmp_path / "secrets.log")
        assert key == key_from_file(path, tmp_path / "secrets.log")

    def test_a_keystore_that_could_not_be_written_can_be_created_again(self, tmp_path: Path) -> None:
        path = tmp_path / "keystore.json"
        with file_size_limit(10), pytest.raises(FatalError, match="cannot write"):
            create_keystore(path, "secret", iterations=1 << 10)
        create_keystore(path, "secret", iterations=1 << 10)


_WORKER = """
import json, pathlib, sys
print(json.dumps({"type": "hello", "pid": 1 << 30}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    has_space = pathlib.Path(request["job"]["seed"]).exists()
    if has_space: message = {"type": "result", "result": json.loads(sys.argv[1])}
    else:
        message = {"type": "error", "kind": "disk_full", "message": "[Errno 28] No space left on device", "retry": True}
    print(json.dumps({"id": request["id"], **message}), flush=True)
"""
"""A worker that has disk space once the file named by the job's seed exists."""


def settings(tmp_path: Path, **changes: Any) -> NodeConfig:
    (tmp_path / "data").mkdir(exist_ok=True)
    return node_config(tmp_path / "data", **{"min_free_disk": 0, "max_job_attempts": 2, **changes})


@pytest.fixture
def ctx(tmp_path: Path) -> Iterator[Context]:
    limits = Limits(memory_bytes=1 << 40, seconds=60, threads=1)
    argv = (sys.executable, "-c", _WORKER, score_result().model_dump_json())
    executor = ProcessExecutor("subprocess", limits, tmp_path / "logs", argv=argv)
    with open_context(tmp_path, config=settings(tmp_path), executor=executor) as context:
        yield context
    executor.close()


def wait_until(happened: Callable[[], bool]) -> None:
    poll_until(happened)


class TestJobs:
    def test_a_result_that_cannot_be_stored_waits_for_space(self, ctx: Context, tmp_path: Path) -> None:
        space = tmp_path / "space"
        space.touch()
        ctx.journal.start_job(DUTY.key, 1)
        ctx.executor.submit(DUTY.key, score_job(str(space)), 1)
        wait_until(lambda: not ctx.executor.keys())
        writer = sqlite3.connect(ctx.journal.path, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")  # stands for any reason why the journal cannot be written
        ctx.journal.db.execute("PRAGMA busy_timeout=0")
        for _ in range(2):
            with pytest.raises(sqlite3.OperationalError):
                jobs.collect(ctx)
        writer.execute("ROLLBACK")
        assert jobs.collect(ctx) == 0
        assert jobs.score(ctx, DUTY, score_job()) == score_result()
        assert ctx.unrecorded == []

    def test_an_attempt_without_disk_space_does_not_count(self, ctx: Context, tmp_path: Path) -> None:
        space = tmp_path / "space"
        for _ in range(ctx.config.max_job_attempts + 2):
            ctx.backoff.reset(f"job {DUTY.key}")
            assert isinstance(jobs.score(ctx, DUTY, score_job(str(space))), Waiting)
            wait_until(lambda: jobs.collect(ctx) == 1)
        job = ctx.journal.job(DUTY.key)
        assert job is not None
        assert (job.status, job.starts, job.failures) == (JobStatus.FAILED, 0, 0)
        assert "No space left" in (job.error or "")
        space.touch()
        ctx.backoff.reset(f"job {DUTY.key}")
        assert isinstance(jobs.score(ctx, DUTY, score_job(str(space))), Waiting)
        wait_until(lambda: jobs.collect(ctx) == 0 and not ctx.executor.active(DUTY.key))
        assert jobs.score(ctx, DUTY, score_job()) == score_result()

    def test_an_attempt_without_a_log_file_does_not_count(self, ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*args: object, **kwargs: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("covey.daemon.workers.executor.SubprocessChannel", refuse)
        assert isinstance(jobs.score(ctx, DUTY, score_job()), Waiting)
        wait_until(lambda: jobs.collect(ctx) == 1)
        job = ctx.journal.job(DUTY.key)
        assert job is not None
        assert (job.starts, job.failures) == (0, 0)

    def test_no_job_starts_below_min_free_disk(self, ctx: Context, tmp_path: Path) -> None:
        ctx.config = settings(tmp_path, min_free_disk=1 << 60)
        step = jobs.score(ctx, DUTY, score_job())
        assert isinstance(step, Waiting)
        assert "disk full" in step.reason and "free up space" in step.reason
        assert ctx.journal.job(DUTY.key) is None


class TestFetching:
    @pytest.mark.parametrize("error", [StoreFull("cannot write"), OSError(errno.ENOSPC, "No space left on device")])
    def test_an_entry_that_cannot_be_stored_here_is_never_missing(
        self, ctx: Context, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        """A missing entry scores 0 in the end. A full disk of this machine must not have this effect."""
        scenario = Scenario()
        files: dict[str, Any] = {name: name.encode() for name in ENTRY_FILES}
        scenario.enter_and_reveal(address(1), "0x" + ctx.store.add_directory(files).word.hex())

        def refuse(*args: object) -> None:
            raise error

        with monkeypatch.context() as patched:
            patched.setattr(ctx.fetcher, "get_directory", refuse)
            found = poll_until(lambda: fetch_entries(ctx, scenario.task, SPEC), lambda found: found.local_errors)
            assert (found.missing, found.invalid, found.folders) == ({}, {}, {})
        wait_until(lambda: fetch_entries(ctx, scenario.task, SPEC).complete(1))


class TestStores:
    def test_blocks_that_cannot_be_stored_leave_nothing_behind(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = BlockStore(tmp_path / "blocks")

        def refuse(*args: object, **kwargs: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(os, "makedirs", refuse)
            with pytest.raises(StoreFull, match="No space left"):
                store.add_directory({"a": b"1" * 1000, "b": b"2" * 1000})
        assert list((tmp_path / "blocks" / "tmp").iterdir()) == []
        assert store.pins() == ()
        store.add_directory({"a": b"1" * 1000, "b": b"2" * 1000})
        assert len(store.pins()) == 1

    def test_content_is_retained_only_once_that_is_durable(self, tmp_path: Path) -> None:
        store = BlockStore(tmp_path / "blocks")
        keeper = Keeper(store, tmp_path / "retained.json")
        first = store.add_directory({"a": b"1"})
        second = store.add_directory({"a": b"2"})
        keeper.retain(first, "task 1: entry")
        with file_size_limit(10), pytest.raises(OSError, match="too large"):
            keeper.retain(second, "task 2: entry")
        with file_size_limit(10), pytest.raises(OSError, match="too large"):
            keeper.settle(first, 100, 1)
        assert keeper.retained() == Keeper(store, tmp_path / "retained.json").retained()
        assert [(content.cid, content.keep_until) for content in keeper.retained()] == [(first, None)]
        keeper.settle(first, 100, 0)
        with file_size_limit(1), pytest.raises(OSError, match="too large"):
            keeper.release(100)
        assert [content.cid for content in keeper.release(100)] == [first]


class TestDetection:
    def test_a_full_disk_is_distinguished_from_other_errors(self) -> None:
        with pytest.raises(StoreFull) as caught:
            _raise_store_full()
        assert is_full(caught.value)
        assert not is_full(OSError(errno.EACCES, "Permission denied"))
        assert not is_full(StoreFull("its quota is used up"))
        assert not is_full(None)

    def test_a_shortage_is_reported_with_what_to_do(self, tmp_path: Path) -> None:
        assert shortages(settings(tmp_path)) == []
        assert shortages(settings(tmp_path, store="http://127.0.0.1:5001")) == []
        free = free_bytes(tmp_path)
        assert free is not None and free > 0
        [line] = shortages(settings(tmp_path, min_free_disk=1 << 60))
        assert "disk full" in line and "free up space there" in line and str(tmp_path / "data") in line
        assert free_bytes(tmp_path / "nowhere") is None

    def test_a_store_on_another_disk_is_checked_too(self, tmp_path: Path) -> None:
        if (shm := Path("/dev/shm")).stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("/dev/shm is on the same disk")
        assert storage_folders(settings(tmp_path, store=str(shm))) == [tmp_path / "data", shm]

    @pytest.mark.daemon
    def test_a_node_that_starts_on_a_full_disk_waits_for_space(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = logging.getLogger().handlers[:], logging.getLogger().level
        create_keystore(tmp_path / "keystore.json", "secret", iterations=1 << 10)
        (tmp_path / "password").write_text("secret\n", encoding="utf-8")
        keys = {"keystore": str(tmp_path / "keystore.json"), "password_file": str(tmp_path / "password")}
        config = settings(tmp_path, **keys, gateway_listen=None, health_listen=None)

        def refuse(*args: object, **kwargs: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("covey.daemon.storage.data_dir.os.open", refuse)
        stop, codes = threading.Event(), list[int]()
        thread = threading.Thread(target=lambda: codes.append(run(config, stop=stop)))
        thread.start()
        output, end = "", time.monotonic() + 120
        while "not started yet" not in output:
            assert time.monotonic() < end and thread.is_alive(), output
            output += capsys.readouterr().err
            time.sleep(0.05)
        stop.set()
        thread.join(120)
        logging.getLogger().handlers[:], level = before
        logging.getLogger().setLevel(level)
        assert codes == [STOPPED]
        assert f"disk full: free up space in {tmp_path / 'data'}" in output


def _raise_store_full() -> None:
    try:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")
    except OSError:
        raise StoreFull("cannot write") from None


def test_a_worker_without_disk_space_reports_it(tmp_path: Path) -> None:
    class Runner:
        def run(self, job: dict[str, Any], progress: object) -> dict[str, Any]:
            raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path))

        def release(self) -> None: ...

    answers = io.StringIO()
    full = io.TextIOWrapper(io.FileIO("/dev/full", "w"), write_through=True)
    with full, contextlib.redirect_stderr(full):
        Session(['{"id": "x", "job": {"kind": "probe"}}\n'], answers, cast(Any, Runner())).serve()
    last = json.loads(answers.getvalue().splitlines()[-1])
    assert (last["kind"], last["retry"]) == ("disk_full", True)
