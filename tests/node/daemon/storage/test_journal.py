"""The journal's guarantees, also for a process that is killed during a write."""

from __future__ import annotations

import os
import random
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support.daemon.results import score_result

from covey.chain.events.decoder import Event
from covey.chain.events.follower import Checkpoint
from covey.daemon.storage.journal import KEPT_CHECKPOINTS, DutyStatus, JobStatus, Journal, JournalError, JournalLocked
from covey.daemon.storage.secrets import SecretError, SecretFile, derive_key

KEY = derive_key(b"k" * 32)
SOURCE = Path(__file__).resolve().parents[4] / "node"


def event(block: int, index: int = 0) -> Event:
    args = {"taskId": 1, "operator": "0x" + "ab" * 20, "words": [2**255 + block, 0], "params": {"h": index}}
    return Event("ScoresRevealed", "Scoring", args, block, f"0x{block:064x}", f"0x{index:064x}", index)


def open_journal(folder: Path, key: bytes = KEY) -> Journal:
    return Journal(folder / "journal.sqlite", SecretFile(folder / "secrets.log", key))


class TestEvents:
    def test_events_are_read_back_with_their_checkpoint(self, tmp_path: Path) -> None:
        journal = open_journal(tmp_path)
        assert journal.checkpoints() == []
        events = [event(5), event(5, 1), event(7)]
        journal.commit(events, Checkpoint(9, "0x09"))
        journal.close()
        journal = open_journal(tmp_path)
        assert list(journal.events()) == events
        assert list(journal.events(after_block=5)) == [event(7)]
        assert journal.checkpoints() == [Checkpoint(9, "0x09")]

    def test_a_repeated_range_changes_nothing(self, tmp_path: Path) -> None:
        journal = open_journal(tmp_path)
        for _ in range(2):
            journal.commit([event(5)], Checkpoint(6, "0x06"))
        assert list(journal.events()) == [event(5)]

    def test_a_rewind_deletes_what_is_above_the_block(self, tmp_path: Path) -> None:
        journal = open_journal(tmp_path)
        for block in range(4, 8):
            journal.commit([event(block)], Checkpoint(block, f"0x{block}"))
        journal.rewind(5)
        assert [stored.block for stored in journal.events()] == [4, 5]
        assert [checkpoint.block for checkpoint in journal.checkpoints()] == [5, 4]

    def test_the_number_of_checkpoints_is_limited(self, tmp_path: Path) -> None:
        journal = open_journal(tmp_path)
        for block in range(KEPT_CHECKPOINTS + 20):
            journal.commit([], Checkpoint(block, "0x"))
        kept = journal.checkpoints()
        assert len(kept) == KEPT_CHECKPOINTS
        assert kept[0].block == KEPT_CHECKPOINTS + 19

    def test_a_failed_write_leaves_neither_events_nor_checkpoint(self, tmp_path: Path) -> None:
        journal = open_journal(tmp_path)
        bad = event(6)._replace(args={"taskId": object()})
        with pytest.raises(TypeError):
            journal.commit([event(5), bad], Checkpoint(6, "0x06"))
        assert list(journal.events()) == []
        assert journal.checkpoints() == []


class TestSecrets:
    def test_a_secret_is_in_both_places_and_encrypted_in_the_file(self, tmp_path: Path) -> None:
        journal = open_journal(tmp_path)
        journal.save_secret("entry/1", {"salt": "5a17" * 16})
        assert journal.secret("entry/1") == {"salt": "5a17" * 16}
        data = (tmp_path / "secrets.log").read_bytes()
        assert b"5a17" not in data
        assert b"entry" not in data
        assert stat.S_IMODE((tmp_path / "secrets.log").stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "journal.sqlite").stat().st_mode) == 0o600

    def test_secrets_survive_a_lost_database(self, tmp_path: Path) -> None:
        journal = open_journal(tmp_path)
        journal.save_secret("entry/1", {"salt": "aa"})
        journal.save_secret("scores/1/0", {"salt": "bb"})
        journal.close()
        for path in tmp_path.glob("journal.sqlite*"):
            path.unlink()
        journal = open_journal(tmp_path)
        assert journal.secret("entry/1") == {"salt": "aa"}
        assert journal.secret("scores/1/0") == {"salt": "bb"}

    def test_secrets_survive_a_lost_file(self, tmp_path: Path) -> None:
        journal = open_journal(tmp_path)
        journal.save_secret("entry/1", {"salt": "aa"})
        journal.close()
        (tmp_path / "secrets.log").unlink()
        assert open_journal(tmp_path).secret("entry/1") == {"salt": "aa"}

    def test_another_payload_under_a_name_is_refused(self, tmp_path: Path) -> None:
        journal = open_journal(tmp_path)
        journal.save_secret("entry/1", {"salt": "aa"})
        journal.save_secret("entry/1", {"salt": "aa"})
        with pytest.raises(SecretError, match="entry/1"):
            journal.save_secret("entry/1", {"salt": "bb"})
        assert len((tmp_path / "secrets.log").read_bytes().splitlines()) == 1

    def test_an_incomplete_line_is_skipped_and_ended(self, tmp_path: Path) -> None:
        journal = open_journal(tmp_path)
        journal.save_secret("entry/1", {"salt": "aa"})
        journal.close()
        with (tmp_path / "secrets.log").open("ab") as file:
            file.write(b"AAAA")
        reopened = SecretFile(tmp_path / "secrets.log", KEY)
        reopened.append("entry/2", {"salt": "bb"})
        assert [name for name, _ in reopened.read()] == ["entry/1", "entry/2"]

    def test_another_key_reads_nothing(self, tmp_path: Path) -> None:
        SecretFile(tmp_path / "secrets.log", KEY).append("entry/1", {})
        assert list(SecretFile(tmp_path / "secrets.log", derive_key(b"x" * 32)).read()) == []

    def test_a_secret_that_cannot_be_stored_is_an_error(self, tmp_path: Path) -> None:
        journal = open_journal(tmp_path)
        assert journal._secret_file is not None
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, journal._secret_file._fd)
        with pytest.raises(SecretError, match="No space left"):
            journal.save_secret("entry/1", {"salt": "aa"})
        assert journal.secret("entry/1") is None

    def test_short_key_material_is_refused(self) -> None:
        with pytest.raises(SecretError):
            derive_key(b"short")


class TestDutiesAndJobs:
    def test_ended_duties_are_read_by_task(self, tmp_path: Path) -> None:
        journal = open_journal(tmp_path)
        journal.end_duty("enter/1/0/0", 1, DutyStatus.DECLINED, "its fee is too high", 100)
        assert journal.ended_duties(1) == {"enter/1/0/0": DutyStatus.DECLINED}
        assert journal.ended_duties(2) == {}
        assert journal.duty_status("enter/1/0/0") == (DutyStatus.DECLINED, "its fee is too high")
        assert journal.duty_counts() == {"declined": 1}

    def test_a_job_counts_its_starts_and_failures(self, tmp_path: Path) -> None:
        journal = open_journal(tmp_path)
        journal.start_job("score/1/0/0", 1)
        journal.fail_job("score/1/0/0", "out of memory", final=False)
        journal.start_job("score/1/0/0", 1)
        job = journal.job("score/1/0/0")
        assert job is not None
        assert (job.status, job.starts, job.failures, job.error) == (JobStatus.RUNNING, 2, 1, "out of memory")
        journal.finish_job("score/1/0/0", score_result())
        job = journal.job("score/1/0/0")
        assert job is not None
        assert (job.status, job.result, job.error) == (JobStatus.DONE, score_result(), None)
        journal.fail_job("score/1/0/0", "bad records", final=True)
        assert [job.key for job in journal.jobs(JobStatus.REFUSED)] == ["score/1/0/0"]

    def test_a_restart_reconsiders_everything_that_is_not_done(self, tmp_path: Path) -> None:
        journal = open_journal(tmp_path)
        for number, status in enumerate(DutyStatus):
            journal.end_duty(f"duty/{number}", 1, status, "", 0)
        for key, final in (("a", True), ("b", False)):
            journal.start_job(key, 1)
            journal.fail_job(key, "no records", final=final)
        journal.start_job("c", 1)
        journal.finish_job("c", score_result())
        journal.reconsider()
        assert list(journal.ended_duties(1).values()) == [DutyStatus.DONE]
        jobs = [journal.job(key) for key in "abc"]
        assert [(job.status, job.starts, job.failures) for job in jobs if job] == [
            (JobStatus.FAILED, 1, 0),
            (JobStatus.FAILED, 1, 0),
            (JobStatus.DONE, 1, 0),
        ]


def test_a_journal_belongs_to_one_network(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.bind({"chain": "1", "registry": "0xaa"})
    journal.bind({"chain": "1", "registry": "0xaa"})
    with pytest.raises(JournalError, match="belongs to registry 0xaa, not 0xbb"):
        journal.bind({"chain": "1", "registry": "0xbb"})


_WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from covey.chain.events.decoder import Event
from covey.chain.events.follower import Checkpoint
from covey.daemon.storage.journal import DutyStatus, Journal
from covey.daemon.storage.secrets import SecretFile, derive_key
folder = Path(sys.argv[1])
journal = Journal(folder / "journal.sqlite", SecretFile(folder / "secrets.log", derive_key(b"k" * 32)))
known = journal.checkpoints()
block = known[0].block + 1 if known else 0
print("ready", flush=True)
while True:
    events = [Event("E", "C", {"n": i}, block, "0x", "0x", i) for i in range(3)]
    journal.commit(events, Checkpoint(block, "0x"))
    journal.save_secret(f"secret/{block}", {"salt": str(block)})
    print("sent", block, flush=True)
    journal.end_duty(f"duty/{block}", block, DutyStatus.DONE, "", block)
    block += 1
"""


def test_a_writer_killed_at_any_time_stores_everything_once(tmp_path: Path) -> None:
    rng = random.Random(7)
    sent: set[int] = set()
    for _ in range(8):
        argv = [sys.executable, "-c", _WRITER, str(tmp_path), str(SOURCE)]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0.0, 0.15))
        process.kill()
        lines = process.stdout.read().rpartition("\n")[0].splitlines()
        process.wait()
        sent |= {int(line.split()[1]) for line in lines}
        _check(tmp_path, sent)
    assert sent, "no writer stored anything; nothing was tested"


def _check(folder: Path, sent: set[int]) -> None:
    journal = open_journal(folder)
    events = [(event.block, event.log_index) for event in journal.events()]
    checkpoints = journal.checkpoints()
    newest = checkpoints[0].block if checkpoints else -1
    assert events == [(block, index) for block in range(newest + 1) for index in range(3)], "skipped or repeated"
    assert newest >= max(sent, default=-1)
    for block in sent:
        assert journal.secret(f"secret/{block}") == {"salt": str(block)}, "sent before its secret was stored"
    assert journal._secret_file is not None
    names = [name for name, _ in journal._secret_file.read()]
    assert len(names) == len(set(names)), "a secret was stored twice"
    journal.close()


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to be read as one" * 100, b"SQLite format 3\0" + b"x" * 5000]
)
def test_damaged_journal_is_named_with_its_remedy(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "journal.sqlite").write_bytes(content)
    with pytest.raises(JournalError, match=r"journal\.sqlite is damaged .*move it .*away and start again"):
        open_journal(tmp_path)


def test_page_that_was_overwritten_is_named(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    journal.commit([event(5)], Checkpoint(9, "0x09"))
    journal.close()
    path = tmp_path / "journal.sqlite"
    data = bytearray(path.read_bytes())
    data[100:4096] = b"\xff" * 3996  # the schema
    path.write_bytes(data)
    with pytest.raises(JournalError, match="damaged"):
        open_journal(tmp_path)


def test_locked_journal_is_waited_for_by_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_journal(tmp_path).close()
    monkeypatch.setattr("covey.daemon.storage.journal._LOCK_TIMEOUT_S", 0.05)
    other = sqlite3.connect(tmp_path / "journal.sqlite", isolation_level=None)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(JournalLocked, match="is locked by another program"):
        open_journal(tmp_path)
    other.execute("COMMIT")
    other.close()
    open_journal(tmp_path).close()
