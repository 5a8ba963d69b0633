"""Over a thousand hostile adapters: each is refused for its reason, in bounded memory, without side effects."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.lora import instrumented
from tests.support.lora.hostile import cases
from tests.support.lora.hostile_base import CONFIG_FIELDS, Case, write_valid
from tests.support.lora.hostile_config import NEUTRAL_FIELDS
from tests.support.lora.instrumented import judge, judge_header

from covey.lora.adapters import loader
from covey.lora.adapters.format import CONFIG
from covey.lora.adapters.refusal import Refusal

CASES = cases()


def fingerprint(folder: Path) -> str:
    """Hash of a folder's names, kinds, sizes and the first bytes of its files. Links are not followed."""
    found = hashlib.sha256()
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        status = entry.stat(follow_symlinks=False)
        found.update(f"{os.fsencode(entry.name)!r} {status.st_mode} {status.st_size} ".encode())
        if entry.is_symlink():
            found.update(os.fsencode(os.readlink(entry.path)))
        elif entry.is_file(follow_symlinks=False):
            with open(entry.path, "rb") as file:
                found.update(file.read(2 << 20))
    return found.hexdigest()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Path]]:
    """The folder of each case, by name."""
    root = tmp_path_factory.mktemp("hostile")
    yield {case.name: case.make(root / f"{number:04}") for number, case in enumerate(CASES)}
    shutil.rmtree(root)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
@pytest.mark.timeout(20)
def test_hostile_adapter_is_refused_for_its_reason(folders: dict[str, Path], case: Case) -> None:
    folder = folders[case.name]
    before = fingerprint(folder)
    assert judge(folder) == case.reason.value
    if case.reason not in (Refusal.NOT_FINITE, Refusal.WRONG_MANIFEST) and "manifest.json" not in case.name:
        assert judge_header(folder) == case.reason.value
    assert fingerprint(folder) == before


def test_cases_differ_and_cover_every_reason(folders: dict[str, Path]) -> None:
    assert len({fingerprint(folder) for folder in folders.values()}) >= 1200
    assert {case.reason for case in CASES} == set(Refusal)
    assert min(Counter(case.family for case in CASES).values()) >= 10


def test_valid_adapter_is_accepted(tmp_path: Path) -> None:
    write_valid(tmp_path / "valid")
    assert judge(tmp_path / "valid") == judge_header(tmp_path / "valid") == "accepted"
    (tmp_path / "valid" / "manifest.json").unlink()
    assert judge_header(tmp_path / "valid") == "accepted"
    assert judge(tmp_path / "valid") == Refusal.MISSING_FILE


def test_known_fields_are_accepted_at_neutral_values_only(tmp_path: Path) -> None:
    assert set(NEUTRAL_FIELDS) == set(loader._NEUTRAL)
    write_valid(tmp_path / "valid")
    for field, values in loader._NEUTRAL.items():
        for value in values:
            (tmp_path / "valid" / CONFIG).write_text(json.dumps(CONFIG_FIELDS | {field: value}))
            assert judge(tmp_path / "valid") == "accepted", (field, value)


@pytest.fixture(scope="module")
def watched(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Report of a separate process with a memory limit and an audit hook; see instrumented.py."""
    root = tmp_path_factory.mktemp("watched")
    write_valid(root / "valid")
    (root / "index").write_text("\n".join(map(str, [root / "valid", *folders.values()])))
    places = [root, root / "valid", next(iter(folders.values())).parent]
    before = [sorted(os.listdir(place)) for place in places]
    done = subprocess.run(
        [
            sys.executable,
            str(Path(instrumented.__file__)),
            str(root / "index"),
        ],
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [sorted(os.listdir(place)) for place in places] == before
    assert not Path("/tmp/covey-was-here").exists()
    return dict(json.loads(done.stdout))


def test_refusals_use_little_memory(folders: dict[str, Path], watched: dict[str, Any]) -> None:
    expected = {folders[case.name].name: case.reason.value for case in CASES}
    assert watched["verdicts"] == expected
    assert watched["growth_kib"] < 64 << 10


def test_nothing_is_written_imported_or_executed(watched: dict[str, Any]) -> None:
    assert watched["violations"] == []
    assert watched["modules"] == []
    assert any("pickle.find_class" in line for line in watched["proof"])  # the hook detects what it forbids
