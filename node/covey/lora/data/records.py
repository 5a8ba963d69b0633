"""Records on disk. Does not import torch.

A file of records is JSON Lines, one object per line: ``{"text": "…", "stratum": "…"}``. It never leaves the machine.
Checks, the choice of tasks and the workers all read it with `iter_records`, so that none accepts what another refuses.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

from covey.lora.errors import DataError

_MAX_LINE = 64 << 20
_UTF8_MARK = b"\xef\xbb\xbf"
_EXAMPLE = '{"text": "…", "stratum": "…"}'
# Beginnings of files that are something else, longer ones first.
_FORMATS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
    (b"\x00\x00\x00{", "UTF-32"),
    (b"{\x00\x00\x00", "UTF-32"),
    (b"\x00{", "UTF-16"),
    (b"{\x00", "UTF-16"),
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"PK\x03\x04", "a zip archive"),
    (b"PAR1", "Parquet"),
)
_UNUSABLE = (FileNotFoundError, NotADirectoryError, PermissionError)
"""Errors of a path that a retry meets again. Others, such as of a network disk, may pass."""


@dataclass(frozen=True)
class Record:
    """A text and its stratum, which is one of the strata that a task's spec names."""

    text: str
    stratum: str


def read_records(path: Path) -> list[Record]:
    """Read a file of records. Raises like `iter_records`."""
    return list(iter_records(path))


def count_strata(path: Path) -> dict[str, int]:
    """Number of records by stratum. Raises like `iter_records`."""
    return dict(Counter(record.stratum for record in iter_records(path)))


def iter_records(path: Path) -> Iterator[Record]:
    """Read a file of records line by line.

    The file is UTF-8, with or without a byte-order mark. Empty lines at its end are skipped.

    Raises:
        DataError: the file is missing, has another encoding, has no records, or a line is not a record. The message
            has the file, the line's number and the reason.
        OSError: the disk failed.
    """
    try:
        if not path.is_file():
            raise DataError(f"no records at {path}: give a JSON Lines file of objects like {_EXAMPLE}")
        with path.open("rb") as file:
            yield from _parse(path, file)
    except _UNUSABLE as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None


def _parse(path: Path, file: BinaryIO) -> Iterator[Record]:
    start = file.read(len(_UTF8_MARK) + 1)
    for mark, name in _FORMATS:
        if start.startswith(mark):
            raise DataError(f"{path} is {name}: records are JSON Lines in UTF-8")
    file.seek(len(_UTF8_MARK) if start.startswith(_UTF8_MARK) else 0)
    empty, number = 0, 0
    while line := file.readline(_MAX_LINE):
        number += 1
        if not line.strip():
            empty = empty or number
            continue
        if empty:
            raise DataError(f"{path}:{empty}: the line is empty; each line is {_EXAMPLE}")
        if len(line) == _MAX_LINE:
            raise DataError(f"{path}:{number}: the line is longer than {_MAX_LINE >> 20} MiB")
        try:
            yield _record(line)
        except ValueError as error:
            raise DataError(f"{path}:{number}: {error}") from None
    if number == 0 or empty == 1:
        raise DataError(f"{path} is empty: give at least one record")


def _record(line: bytes) -> Record:
    """The record in one line. Raises ValueError with the reason."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1} of the line is not UTF-8: convert the file to UTF-8") from None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        if isinstance(error, json.JSONDecodeError):
            reason = f" at column {error.colno}"
        else:
            reason = ": nested too deep" if isinstance(error, RecursionError) else ": a number is too long"
        raise ValueError(f"not JSON{reason}; each line is {_EXAMPLE}") from None
    if not isinstance(value, dict):
        raise ValueError(f"{_describe(value)}, not an object; each line is {_EXAMPLE}")
    return Record(_text(value, "text"), _text(value, "stratum"))


def _text(fields: dict[str, object], name: str) -> str:
    if name not in fields:
        _refuse_fields(fields, name)
    value = fields[name]
    if not isinstance(value, str):
        quoted = f': write it in quotes, "{value}"' if name == "stratum" and isinstance(value, (int, float)) else ""
        raise ValueError(f'"{name}" is {_describe(value)}, not a string{quoted}')
    if not value.strip():
        raise ValueError(f'"{name}" is empty')
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f'"{name}" has a lone surrogate, \\u{ord(value[error.start]):04x}, at character {error.start + 1}: '
            "it is not Unicode text"
        ) from None
    return value


def _refuse_fields(fields: dict[str, object], missing: str) -> NoReturn:
    if missing == "text" and ("messages" in fields or "conversations" in fields):
        raise ValueError('a chat, not a text: write the whole conversation as one "text"')
    names = ", ".join(repr(name[:40]) for name in list(fields)[:6]) or "none"
    raise ValueError(f'no "{missing}" (its fields: {names}); each line is {_EXAMPLE}')


def _describe(value: object) -> str:
    """An untrusted JSON value in a few words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"the number {str(value)[:40]}"
    if isinstance(value, list):
        return "an array"
    return "an object" if isinstance(value, dict) else "a string"


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Write a JSON Lines file that only its owner may read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps({"text": record.text, "stratum": record.stratum}, ensure_ascii=False) + "\n")
