"""Digests are computed once, and the data folder holds no more than its quota, but for what is in use or promised."""

from __future__ import annotations

import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any, cast

import pytest
from tests.support.daemon.scenario import Scenario

from covey.daemon.retention.data_quota import BASES, DataQuota, InUse, make_room
from covey.daemon.retention.retention import RetentionService
from covey.daemon.workers import base_digests as bases_module
from covey.daemon.workers.base_digests import BaseDigests
from covey.ipfs import BlockStore
from covey.ipfs.keeper import Keeper
from covey.lora.bases.resolve import TINY, resolve, tiny_folder
from covey.lora.errors import BaseModelError
from covey.protocol.spec import TaskSpec
from covey.protocol.types import Outcome

KB = 1 << 10
NETWORK = "31337-0xabc"


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Folders that were hashed, in order."""
    folders: list[Path] = []
    real = bases_module.base_digest

    def counting(folder: Path) -> str:
        folders.append(folder)
        return real(folder)

    monkeypatch.setattr(bases_module, "base_digest", counting)
    return folders


class TestDigests:
    def test_are_computed_once_over_restarts(self, tmp_path: Path, hashed: list[Path]) -> None:
        file = tmp_path / "digests.json"
        wanted = resolve(TINY).digest
        assert BaseDigests(file).digest(TINY) == wanted
        again = BaseDigests(file)
        assert (again.known(TINY), again.digest(TINY), len(hashed)) == (wanted, wanted, 1)

    def test_follow_a_file_that_changed(self, tmp_path: Path, hashed: list[Path]) -> None:
        folder = Path(shutil.copytree(tiny_folder(), tmp_path / "base"))
        digests = BaseDigests(tmp_path / "digests.json")
        before = digests.digest(str(folder))
        config = folder / "config.json"
        config.write_text(config.read_text(encoding="utf-8") + " ", encoding="utf-8")
        after = digests.digest(str(folder))
        assert before != after == resolve(str(folder)).digest
        (folder / "README.md").write_text("does not count", encoding="utf-8")
        assert (digests.digest(str(folder)), len(hashed)) == (after, 2)

    def test_a_damaged_file_costs_a_computation_and_no_more(self, tmp_path: Path, hashed: list[Path]) -> None:
        file = tmp_path / "digests.json"
        for content in ("{", "[]", '{"version": 1, "bases": {"tiny": 7}}', '{"version": 9, "bases": {}}'):
            file.write_text(content, encoding="utf-8")
            assert BaseDigests(file).digest(TINY) == resolve(TINY).digest
        assert len(hashed) == 4
        assert json.loads(file.read_text(encoding="utf-8"))["version"] == 1

    def test_a_base_that_is_not_there_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(BaseModelError, match="no base model"):
            BaseDigests(tmp_path / "digests.json").digest(str(tmp_path / "none"))

    def test_a_hub_base_keeps_its_digest_when_its_files_made_room(self, tmp_path: Path) -> None:
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
    for one in (path / "file", path):
        os.utime(one, (then, then))
    return path


class TestRoom:
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

    def left(self, data: Path) -> set[str]:
        return {str(path.parent.relative_to(data)) for path in data.rglob("file")}

    def test_nothing_goes_below_the_quota(self, data: Path) -> None:
        before = self.left(data)
        total, freed = make_room(data, 10_000 * KB, InUse(NETWORK, (), ()))
        assert 700 * KB <= total < 800 * KB
        assert (freed, self.left(data)) == (0, before)

    def test_the_oldest_goes_first_and_what_is_in_use_stays(self, data: Path) -> None:
        total, freed = make_room(data, 500 * KB, InUse(NETWORK, {2}, {"Org/New"}))
        assert freed > 0
        assert total <= 500 * KB
        assert self.left(data) == {
            f"entries/{NETWORK}/2", f"work/{NETWORK}/entry-2", f"{BASES}/models--Org--New", f"work/{NETWORK}/entry-9",
        }  # fmt: skip
        assert (data / "journal.sqlite").stat().st_size == 500 * KB

    def test_what_is_in_use_stays_though_it_is_too_much(self, data: Path) -> None:
        in_use = InUse(NETWORK, {1, 2, 9}, {"Org/New", "Org/Old"})
        total, _ = make_room(data, 16 * KB, in_use)
        assert total > 500 * KB
        assert len(self.left(data)) == 6, "all but the other network's"

    def test_a_round_evicts_never_what_runs_or_is_promised_and_tells_when_all_is_in_use(self, data: Path) -> None:
        story = Scenario(task_id=1)
        over = Scenario(task_id=2, world=story.world).end(Outcome.FAILED)
        with BlockStore(data / "blocks") as store:
            cid = store.add_directory({"adapter": b"weights"})
            keeper = Keeper(store, data / "retained.json")
            keeper.retain(cid, "task 9: entry")
            digests = BaseDigests(data / "digests.json")
            digests._known = {"Org/Old": {"digest": "aa", "files": []}, "Org/New": {"digest": "bb", "files": []}}
            spec = cast(TaskSpec, type("Spec", (), {"base": type("Base", (), {"digest": "aa"})}))
            room = DataQuota(data, 250 * KB, NETWORK, ("Org/Old", "Org/New"), digests, {1: spec, 2: spec})
            freed: list[int] = []
            watch = RetentionService(keeper, store, days=1, every_s=3600, data=room, evicted=freed.append)
            watch.tick(over.world, 10)
            assert watch._thread is not None
            watch._thread.join(20)
            kept = watch.kept
        assert self.left(data) == {f"entries/{NETWORK}/1", f"{BASES}/models--Org--Old", f"work/{NETWORK}/entry-9"}
        assert freed[0] > 300 * KB
        assert kept.data_bytes is not None
        assert kept.data_bytes > 250 * KB
        assert any("all in use, and disk_quota is" in problem for problem in kept.problems)


def test_an_eviction_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path / "entries" / NETWORK / "1", 100, 500)
    with caplog.at_level(logging.INFO, logger="covey.daemon"):
        make_room(tmp_path, 16 * KB, InUse(NETWORK, (), ()))
    [record] = [record for record in caplog.records if record.message == "room made"]
    told: Any = record
    assert told.path == f"entries/{NETWORK}/1"
