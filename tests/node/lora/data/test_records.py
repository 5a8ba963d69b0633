"""Files of records."""

from __future__ import annotations

import gzip
import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from covey.lora.data.records import Record, count_strata, read_records, write_records
from covey.lora.errors import DataError

GOOD = '{"text": "Fièvre jaune", "stratum": "a"}\n'


def line(**fields: object) -> str:
    return json.dumps({"text": "x", "stratum": "a", **fields}) + "\n"


def test_records_round_trip_in_a_private_file(tmp_path: Path) -> None:
    records = [
        Record("Fièvre jaune", "a"),
        Record('quote " and \n newline', "b"),
        Record("\u2028 \x85 \U0001f9a0", "b"),
    ]
    path = tmp_path / "deep" / "records.jsonl"
    write_records(path, records)
    assert read_records(path) == records
    assert count_strata(path) == {"a": 1, "b": 2}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(GOOD.encode(), id="plain"),
        pytest.param(GOOD.rstrip().encode(), id="no newline at the end"),
        pytest.param(b"\xef\xbb\xbf" + GOOD.encode(), id="byte-order mark"),
        pytest.param(GOOD.replace("\n", "\r\n").encode(), id="windows line ends"),
        pytest.param((GOOD + "\n\n").encode(), id="empty lines at the end"),
        pytest.param((GOOD + " \t\r\n").encode(), id="blanks at the end"),
        pytest.param(line(text="Fièvre jaune", id=5, tags=[None]).encode(), id="further fields"),
        pytest.param(b' { "stratum":"a" , "text":"Fi\\u00e8vre jaune" } \n', id="escapes and spaces"),
    ],
)
def test_every_spelling_of_a_file_is_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "records.jsonl"
    path.write_bytes(content)
    assert read_records(path) == [Record("Fièvre jaune", "a")]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("not json\n", "not JSON at column 1"),
        ('{"text": "a", "stratum": "s"\n', "not JSON at column"),
        ('{"text": "a", "stratum": "s"} {}\n', "not JSON at column"),
        pytest.param("[" * 100_000 + "\n", "not JSON: nested too deep", id="deep"),
        pytest.param("9" * 5_000 + "\n", "not JSON: a number is too long", id="long number"),
        ('["text"]\n', "an array, not an object"),
        ("5\n", "the number 5, not an object"),
        ("null\n", "null, not an object"),
        ('"text"\n', "a string, not an object"),
        ("{}\n", 'no "text" .its fields: none.'),
        ('{"stratum": "s"}\n', "no \"text\" .its fields: 'stratum'."),
        ('{"prompt": "p", "completion": "c", "stratum": "s"}\n', "no \"text\" .its fields: 'prompt', 'completion'"),
        ('{"messages": [{"role": "user", "content": "u"}], "stratum": "a"}\n', "a chat, not a text"),
        ('{"conversations": [], "stratum": "a"}\n', "a chat, not a text"),
        ('{"text": "a"}\n', 'no "stratum"'),
        (line(text=""), '"text" is empty'),
        (line(text=" \n\t"), '"text" is empty'),
        (line(text=None), '"text" is null, not a string'),
        (line(text=5), '"text" is the number 5, not a string$'),
        (line(text=["a"]), '"text" is an array, not a string'),
        (line(text={"a": 1}), '"text" is an object, not a string'),
        (line(text=True), '"text" is true, not a string'),
        (line(stratum=1), '"stratum" is the number 1, not a string: write it in quotes, "1"'),
        (line(stratum=1.5), '"stratum" is the number 1.5'),
        (line(stratum=None), '"stratum" is null'),
        (line(stratum=""), '"stratum" is empty'),
        (line(text="a\ud800b"), r'"text" has a lone surrogate, \\ud800, at character 2'),
        (line(stratum="\udfff"), r'"stratum" has a lone surrogate, \\udfff'),
    ],
)
def test_bad_line_is_refused_with_file_line_and_reason(tmp_path: Path, bad: str, reason: str) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text(GOOD + GOOD + bad + GOOD, encoding="utf-8")
    for read in (read_records, count_strata):
        with pytest.raises(DataError, match=rf"records\.jsonl:3: .*{reason}") as caught:
            read(path)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 400


def test_empty_line_between_records_is_refused_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text(GOOD + "\n\n" + GOOD, encoding="utf-8")
    with pytest.raises(DataError, match=r"records\.jsonl:2: the line is empty"):
        read_records(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty: give at least one record"),
        (b"\n\n  \n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (GOOD.encode("utf-16"), "is UTF-16: records are JSON Lines in UTF-8"),
        (GOOD.encode("utf-16-le"), "is UTF-16"),
        (GOOD.encode("utf-16-be"), "is UTF-16"),
        (b"\xfe\xff" + GOOD.encode("utf-16-be"), "is UTF-16"),
        (GOOD.encode("utf-32"), "is UTF-32"),
        (GOOD.encode("utf-32-be"), "is UTF-32"),
        (GOOD.encode("latin-1"), r":1: byte 13 of the line is not UTF-8"),
        (gzip.compress(GOOD.encode(), mtime=0), "is gzip"),
        (b"PAR1\x15\x00", "is Parquet"),
        (b"PK\x03\x04\x14", "is a zip archive"),
        (b"text,stratum\nhello,a\n", ":1: not JSON at column 1"),
        (b'[{"text": "a", "stratum": "b"}]', ":1: an array, not an object"),
    ],
)
def test_file_of_another_kind_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "records.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=reason):
        read_records(path)


def test_path_that_is_no_readable_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text(GOOD, encoding="utf-8")
    for path in ("missing", "loop", "dangling", "pipe", "", "file/below"):
        with pytest.raises(DataError, match="no records at"):
            read_records(tmp_path / path)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_bytes(content)
    try:
        records = read_records(path)
    except DataError:
        records = []
    if records:
        assert sum(count_strata(path).values()) == len(records)
