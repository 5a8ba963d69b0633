"""Base digests are computed once, and the data folder is kept within its quota except for what is in use."""

from __future__ import annotations

import json
import logging
import os
import shutil
from pathlib import Path
from typing import cast

import pytest
from tests.support.daemon.scenario import Scenario

from covey.daemon.retention.data_quota import BASES, DataQuota, InUse, evict
from covey.daemon.retention.retention import RetentionService
from covey.daemon.workers import base_digests
from covey.daemon.workers.base_digests import BaseDigests
from covey.ipfs import BlockStore
from covey.ipfs.keeper import Keeper
from covey.lora.bases.digest import base_digest
from covey.lora.bases.resolve import TINY, resolve, tiny_folder
from covey.lora.errors import BaseModelError
from covey.protocol.spec import TaskSpec
from covey.protocol.types import Outcome

KB = 1 << 10
NETWORK = "31337-0xabc"


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Folders hashed so far, in order."""
    folders: list[Path] = []

    def record(folder: Path) -> str:
        folders.append(folder)
        return base_digest(folder)

    monkeypatch.setattr(base_digests, "base_digest", record)
    return folders


class TestBaseDigests:
    def test_a_digest_is_computed_once_over_restarts(self, tmp_path: Path, hashed: list[Path]) -> None:
        file = tmp_path / "digests.json"
        expected = resolve(TINY).digest
        assert BaseDigests(file).digest(TINY) == expected
        reopened = BaseDigests(file)
        assert (reopened.known(TINY), reopened.digest(TINY), len(hashed)) == (expected, expected, 1)

    def test_a_changed_file_is_hashed_again(self, tmp_path: Path, hashed: list[Path]) -> None:
        folder = Path(shutil.copytree(tiny_folder(), tmp_path / "base"))
        digests = BaseDigests(tmp_path / "digests.json")
        before = digests.digest(str(folder))
        config = folder / "config.json"
        config.write_text(config.read_text(encoding="utf-8") + " ", encoding="utf-8")
        after = digests.digest(str(folder))
        assert before != after == resolve(str(folder)).digest
        (folder / "README.md").write_text("does not count", encoding="utf-8")
        assert (digests.digest(str(folder)), len(hashed)) == (after, 2)

    def test_a_damaged_cache_is_rebuilt(self, tmp_path: Path, hashed: list[Path]) -> None:
        file = tmp_path / "digests.json"
        for content in ("{", "[]", '{"version": 1, "bases": {"tiny": 7}}', '{"version": 9, "bases": {}}'):
            file.write_text(content, encoding="utf-8")
            assert BaseDigests(file).digest(TINY) == resolve(TINY).digest
        assert len(hashed) == 4
        assert json.loads(file.read_text(encoding="utf-8"))["version"] == 1

    def test_a_missing_base_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(BaseModelError, match="no base model"):
            BaseDigests(tmp_path / "digests.json").digest(str(tmp_path / "none"))

    def test_a_hub_base_keeps_its_digest_after_its_files_are_evicted(self, tmp_path: Path) -> None:
        file = tmp_path / "digests.json"
        file.write_text(
            json.dumps({"version": 1, "bases": {"Org/Base": {"digest": "ab" * 32, "files": []}}}), encoding="utf-8"
        )
        assert BaseDigests(file).digest("Org/Base") == "ab" * 32


def put(path: Path, kilobytes: int, age: float) -> Path:
    """A folder with one file, last used `age` seconds ago."""
    path.mkdir(parents=True)
    (path / "file").write_bytes(os.urandom(kilobytes * KB))
    then = 1_700_000_000 - age
    for changed in (path / "file", path):
        os.utime(changed, (then, then))
    return path


class TestEviction:
    @pytest.fixture
    def data(self, tmp_path: Path) -> Path:
        put(tmp_path / "entries" / NETWORK / "1", 100, 500)
        put(tmp_path / "entries" / NETWORK / "2", 100, 400)
        put(tmp_path / "entries" / "other-network" / "2", 100, 300)
        put(tmp_path / BASES / "models--Org--Old", 100, 600)
        put(tmp_path / BASES / "models--Org--New", 100, 700)
        put(tmp_path / "work" / NETWORK / "entry-2", 100, 800)
        put(tmp_path / "work" / NETWORK / "entry-9", 100, 100)
        (tmp_path / "journal.sqlite").write_bytes(bytes(500 * KB))
        return tmp_path

    def remaining(self, data: Path) -> set[str]:
        return {str(path.parent.relative_to(data)) for path in data.rglob("file")}

    def test_nothing_is_evicted_below_the_quota(self, data: Path) -> None:
        before = self.remaining(data)
        usage = evict(data, 10_000 * KB, InUse(NETWORK, (), ()))
        assert 700 * KB <= usage.total_bytes < 800 * KB
        assert (usage.evicted_bytes, self.remaining(data)) == (0, before)

    def test_the_oldest_is_evicted_first_and_what_is_in_use_stays(self, data: Path) -> None:
        usage = evict(data, 500 * KB, InUse(NETWORK, {2}, {"Org/New"}))
        assert usage.evicted_bytes > 0
        assert usage.total_bytes <= 500 * KB
        assert self.remaining(data) == {
            f"entries/{NETWORK}/2", f"work/{NETWORK}/entry-2", f"{BASES}/models--Org--New", f"work/{NETWORK}/entry-9",
        }  # fmt: skip
        assert (data / "journal.sqlite").stat().st_size == 500 * KB

    def test_what_is_in_use_stays_above_the_quota(self, data: Path) -> None:
        in_use = InUse(NETWORK, {1, 2, 9}, {"Org/New", "Org/Old"})
        assert evict(data, 16 * KB, in_use).total_bytes > 500 * KB
        assert len(self.remaining(data)) == 6, "only the other network's entry is evicted"

    def test_a_check_reports_a_quota_that_is_used_up_by_running_tasks_and_retained_content(self, data: Path) -> None:
        scenario = Scenario(task_id=1)
        ended = Scenario(task_id=2, state=scenario.state).end(Outcome.FAILED)
        with BlockStore(data / "blocks") as store:
            cid = store.add_directory({"adapter": b"weights"})
            keeper = Keeper(store, data / "retained.json")
            keeper.retain(cid, "task 9: entry")
            digests = BaseDigests(data / "digests.json")
            digests._known = {"Org/Old": {"digest": "aa", "files": []}, "Org/New": {"digest": "bb", "files": []}}
            spec = cast(TaskSpec, type("Spec", (), {"base": type("Base", (), {"digest": "aa"})}))
            quota = DataQuota(data, 250 * KB, NETWORK, ("Org/Old", "Org/New"), digests, {1: spec, 2: spec})
            evicted: list[int] = []
            service = RetentionService(keeper, store, days=1, every_s=3600, data=quota, evicted=evicted.append)
            service.tick(ended.state, 10)
            assert service._thread is not None
            service._thread.join(120)
            report = service.report
        assert self.remaining(data) == {f"entries/{NETWORK}/1", f"{BASES}/models--Org--Old", f"work/{NETWORK}/entry-9"}
        assert evicted[0] > 300 * KB
        assert report.data_bytes is not None
        assert report.data_bytes > 250 * KB
        assert any("all in use, and disk_quota is" in problem for problem in report.problems)


def test_an_eviction_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path / "entries" / NETWORK / "1", 100, 500)
    with caplog.at_level(logging.INFO, logger="covey.daemon"):
        evict(tmp_path, 16 * KB, InUse(NETWORK, (), ()))
    [record] = [record for record in caplog.records if record.message == "evicted"]
    assert vars(record)["path"] == f"entries/{NETWORK}/1"
