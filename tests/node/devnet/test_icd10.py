"""The demo's split of ICD-10-CM."""

from __future__ import annotations

from pathlib import Path

import pytest

from covey.devnet import icd10
from covey.lora.data.records import read_records
from covey.lora.errors import DataError


def test_every_chapter_is_in_one_stratum() -> None:
    chapters = sorted(chapter for group in icd10.STRATA.values() for chapter in group)
    assert chapters == list(range(1, 23))


def test_all_files_are_disjoint_and_hospitals_specialise(split: icd10.Split) -> None:
    files = [*split.hospitals, *split.validators, split.common]
    texts = [{record.text for record in read_records(path)} for path in files]
    assert sum(len(part) for part in texts) == len(set().union(*texts))
    for path, own in zip(split.hospitals, icd10.HOSPITAL_STRATA, strict=True):
        assert {record.stratum for record in read_records(path)} == {own, icd10.GENERAL}
    for path in [*split.validators, split.common]:
        found = [record.stratum for record in read_records(path)]
        assert {found.count(stratum) for stratum in icd10.STRATA} == {30}


def test_split_depends_on_the_seed_only(tmp_path: Path, cache: Path) -> None:
    sizes = icd10.SplitSizes(own=(5, 5, 5, 5), general=5, validator=5, common=5)
    again = [icd10.write_split(tmp_path / name, seed, 1, sizes, cache) for name, seed in (("a", 1), ("b", 1), ("c", 2))]
    first, second, other = (part.hospitals[0].read_bytes() for part in again)
    assert first == second != other


def test_default_sizes_give_each_validator_at_least_600_records(tmp_path: Path, cache: Path) -> None:
    split = icd10.write_split(tmp_path, 1, 3, cache=cache)
    assert [len(read_records(path)) >= 600 for path in split.validators] == [True] * 3


def test_too_many_validators_are_refused(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(DataError, match="use fewer"):
        icd10.write_split(tmp_path, 1, 100, cache=cache)
    assert list(tmp_path.iterdir()) == []


def test_cache_returns_the_same_records_and_may_be_broken(tmp_path: Path) -> None:
    fresh = icd10.all_records(tmp_path / "cache")
    assert len(fresh) > 40_000
    (cached,) = (tmp_path / "cache").iterdir()
    assert icd10.all_records(tmp_path / "cache") == fresh
    cached.write_text("{")
    assert icd10.all_records(tmp_path / "cache") == fresh
    assert cached.stat().st_size > 1_000_000
    (tmp_path / "file").write_text("not a folder")
    assert icd10.all_records(tmp_path / "file") == fresh
