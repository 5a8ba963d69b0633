"""A disposable copy of the data folder: a copied journal, links to large files, and an unchanged original."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from covey.cli.views.durations import format_duration
from covey.daemon.storage.data_dir import is_running, lock_data_dir
from covey.daemon.storage.journal import DutyStatus, Journal
from covey.daemon.storage.scratch_copy import copy_data
from covey.daemon.storage.secrets import SecretFile


def fingerprint(folder: Path) -> dict[str, tuple[int, str]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for part in ("entries/net/4", "work/net/entry-5", "fetched/net/4/0"):
        (folder / part).mkdir(parents=True)
        (folder / part / "file").write_bytes(b"weights")
    (folder / "base-digests.json").write_text("{}", encoding="utf-8")
    return folder


@pytest.mark.parametrize("alive", [False, True])
def test_the_copy_is_complete_and_the_original_unchanged(data: Path, tmp_path: Path, alive: bool) -> None:
    descriptor = lock_data_dir(data)
    journal = Journal(data / "journal.sqlite", SecretFile(data / "secrets", bytes(32)))
    journal.save_secret("salt", {"salt": "00"})
    journal.end_duty("enter/4/0/0", 4, DutyStatus.DONE, "sent", 7)
    if not alive:
        # As after a kill: committed data may still be in the write-ahead log.
        shutil.copyfile(data / "journal.sqlite-wal", tmp_path / "wal")
        journal.close()
        shutil.copyfile(tmp_path / "wal", data / "journal.sqlite-wal")
        os.close(descriptor)
    assert is_running(data) == alive
    before = fingerprint(data)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    copy_data(data, scratch)
    copy = Journal(scratch / "journal.sqlite", None)
    assert copy.secret("salt") == {"salt": "00"}
    assert copy.ended_duties(4) == {"enter/4/0/0": DutyStatus.DONE}
    copy.end_duty("enter/9/0/0", 9, DutyStatus.DONE, "only in the copy", 8)
    copy.close()
    assert not (scratch / "secrets").exists()
    assert (scratch / "entries/net/4/file").read_bytes() == b"weights"
    (scratch / "work/net/entry-5").rename(scratch / "entries/net/5")
    shutil.rmtree(scratch)
    assert {name: file for name, file in fingerprint(data).items() if not name.endswith("-shm")} == {
        name: file for name, file in before.items() if not name.endswith("-shm")
    }
    if alive:
        journal.close()
        os.close(descriptor)


def test_a_missing_data_folder_gives_an_empty_copy(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    copy_data(tmp_path / "none", tmp_path / "scratch")
    assert list((tmp_path / "scratch").iterdir()) == []
    assert not is_running(tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0, "0s"), (59, "59s"), (60, "1m 0s"), (3_700, "1h 1m"), (90_000, "1d 1h"), (-61, "-1m 1s")],
)
def test_the_remaining_time_is_formatted(seconds: int | None, text: str) -> None:
    assert format_duration(seconds) == text
