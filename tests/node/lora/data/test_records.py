"""Files of records."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from covey.lora.data.records import Record, read_records, write_records
from covey.lora.errors import DataError


def test_records_round_trip_in_a_private_file(tmp_path: Path) -> None:
    records = [Record("Fièvre jaune", "a"), Record('quote " and \n newline', "b")]
    path = tmp_path / "deep" / "records.jsonl"
    write_records(path, records)
    assert read_records(path) == records
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ('{"text": "a", "stratum": "s"}\nnot json\n', ":2: not a record"),
        ('{"text": "a"}\n', ":1: not a record"),
        ('["text"]\n', ":1: not a record"),
        ('{"text": " ", "stratum": "s"}\n', ":1: text and stratum"),
        ('{"text": 5, "stratum": "s"}\n', ":1: text and stratum"),
    ],
)
def test_bad_file_is_reported_with_its_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_records(path)
    with pytest.raises(DataError, match="no records at"):
        read_records(tmp_path / "missing.jsonl")
