"""Clinical text for the demo: ICD-10-CM (April 2026, public domain), split between hospitals.

Every code gives one record: its title, with its category and inclusion terms. Chapters form five strata. Each of the
four hospitals holds records of one stratum that no other has, and a share of general medicine. Validators and the
common test set hold records of all strata; no trainer has them. Codes that differ only in the seventh character are
left out: they would make half of all records near-duplicates. Does not import torch.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import platformdirs

from covey.lora.data.records import Record, read_records, write_records
from covey.lora.errors import DataError

GENERAL = "general-medicine"
STRATA: Mapping[str, tuple[int, ...]] = {
    "heart-lung-blood": (3, 9, 10),
    "mind-nerve-senses": (5, 6, 7, 8),
    "bone-joint-injury": (13, 19, 20),
    "mother-child": (14, 15, 16, 17),
    GENERAL: (1, 2, 4, 11, 12, 18, 21, 22),
}
HOSPITAL_STRATA = tuple(stratum for stratum in STRATA if stratum != GENERAL)
_PACKAGE = "simple-icd-10-cm"
_FORMAT = 1  # version of the cached records
_RANGE = re.compile(r" \([A-Z]\w*(-[A-Z]\w*)?\)$")


@dataclass(frozen=True)
class SplitSizes:
    """Records per stratum in each file. A hospital trains on ``own`` records of its stratum and ``general`` others."""

    own: tuple[int, ...] = (900, 540, 250, 150)
    general: int = 90
    validator: int = 150
    common: int = 240


@dataclass(frozen=True)
class Split:
    """Files written by :func:`write_split`."""

    hospitals: list[Path]
    validators: list[Path]
    common: Path


def write_split(
    folder: Path, seed: int, validators: int = 3, sizes: SplitSizes | None = None, cache: Path | None = None
) -> Split:
    """Write four hospitals' training records, each validator's held-out records and the common test set.

    All files are disjoint and depend on ``seed``, ``validators`` and ``sizes`` only. ``cache`` is as in
    :func:`all_records`. Raises DataError if the tables have too few records.
    """
    sizes = sizes or SplitSizes()
    if validators < 1:
        raise DataError("at least one validator is needed")
    if len(sizes.own) != len(HOSPITAL_STRATA):
        raise DataError(f"sizes.own needs {len(HOSPITAL_STRATA)} numbers, one per hospital")
    rng = random.Random(f"covey icd-10-cm {seed}")
    pools: dict[str, list[Record]] = {stratum: [] for stratum in STRATA}
    for record in all_records(cache):
        pools[record.stratum].append(record)
    for stratum in STRATA:
        rng.shuffle(pools[stratum])

    def take(stratum: str, count: int) -> list[Record]:
        if len(pools[stratum]) < count:
            raise DataError(f"ICD-10-CM has too few records of {stratum!r} for {validators} validators: use fewer")
        taken, pools[stratum] = pools[stratum][:count], pools[stratum][count:]
        return taken

    def take_all(count: int) -> list[Record]:
        return [record for stratum in STRATA for record in take(stratum, count)]

    split = Split(
        hospitals=[folder / f"hospital-{index}.jsonl" for index in range(len(HOSPITAL_STRATA))],
        validators=[folder / f"validator-{index}.jsonl" for index in range(validators)],
        common=folder / "common.jsonl",
    )
    held_out = [(split.common, sizes.common), *((path, sizes.validator) for path in split.validators)]
    files = {path: take_all(count) for path, count in held_out}
    for path, stratum, own in zip(split.hospitals, HOSPITAL_STRATA, sizes.own, strict=True):
        files[path] = take(stratum, own) + take(GENERAL, sizes.general)
        rng.shuffle(files[path])
    for path, records in files.items():  # only after all of them are complete
        write_records(path, records)
    return split


def all_records(cache: Path | None = None) -> list[Record]:
    """All records in the order of the tables, without duplicates.

    Parsing the tables takes about 2 s, reading the cached records 0.2 s. ``cache`` is their folder, by default the
    user's cache folder; each release of the tables has its own file. Errors of the cache are ignored.
    """
    try:
        release = version(_PACKAGE)
    except PackageNotFoundError as error:
        raise DataError(f"the clinical tables are not installed: `pip install {_PACKAGE}`") from error
    folder = cache or Path(platformdirs.user_cache_dir("covey"))
    cached = folder / f"icd-10-cm-{release}-{_FORMAT}.jsonl"
    with contextlib.suppress(DataError, OSError):
        return read_records(cached)
    records = _parse()
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=folder)
        os.close(descriptor)
        write_records(Path(name), records)
        os.replace(name, cached)  # atomic, also between concurrent runs
    return records


def _parse() -> list[Record]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import simple_icd_10_cm as icd

    stratum_of = {str(chapter): stratum for stratum, chapters in STRATA.items() for chapter in chapters}
    records: dict[str, Record] = {}
    for code in icd.get_all_codes():
        if icd.is_chapter_or_block(code) or icd.is_extended_subcategory(code):
            continue
        ancestors = icd.get_ancestors(code)
        title = icd.get_description(code)
        category = next((a for a in reversed(ancestors) if not icd.is_chapter_or_block(a)), None)
        parts = [title] if category is None else [_RANGE.sub("", icd.get_description(category)), title]
        text = ": ".join(dict.fromkeys(parts))
        terms = icd.get_inclusion_term(code)
        if terms:
            text += ". Includes: " + "; ".join(terms)
        text += "."
        records.setdefault(text, Record(text, stratum_of[ancestors[-1]]))
    return list(records.values())
