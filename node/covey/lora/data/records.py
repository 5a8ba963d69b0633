"""Records on disk. Does not import torch.

A file of records is JSON Lines, one object per line: ``{"text": "…", "stratum": "…"}``. It never leaves the machine.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from covey.lora.errors import DataError


@dataclass(frozen=True)
class Record:
    """A text and its stratum, which is one of the strata that a task's spec names."""

    text: str
    stratum: str


def read_records(path: Path) -> list[Record]:
    """Read a JSON Lines file of records. Raises DataError with the number of the first bad line."""
    if not path.is_file():
        raise DataError(f"no records at {path}: give a JSON Lines file of objects with text and stratum")
    records = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                value = json.loads(line)
                text, stratum = value["text"], value["stratum"]
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(f'{path}:{number}: not a record; each line is {{"text": …, "stratum": …}}') from error
            if not (isinstance(text, str) and text.strip() and isinstance(stratum, str) and stratum):
                raise DataError(f"{path}:{number}: text and stratum must be non-empty strings")
            records.append(Record(text, stratum))
    if not records:
        raise DataError(f"{path} is empty: give at least one record")
    return records


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Write a JSON Lines file that only its owner may read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps({"text": record.text, "stratum": record.stratum}, ensure_ascii=False) + "\n")
