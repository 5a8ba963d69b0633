"""The valid adapter from which all hostile ones are derived, and functions that corrupt it."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from tests.support.lora.instrumented import BASE, BASE_DIGEST, OPERATOR, TASK

from covey.lora.adapters.export import weights_bytes
from covey.lora.adapters.format import CONFIG, MANIFEST, WEIGHTS
from covey.lora.adapters.refusal import Refusal
from covey.lora.bases.shapes import TARGET_MODULES, adapter_shapes
from covey.protocol import canonical

RANK = 1
SHAPES = adapter_shapes(BASE, RANK, frozenset(TARGET_MODULES))
NAMES = sorted(SHAPES)

Json: TypeAlias = dict[str, Any]
Write: TypeAlias = Callable[[Path], object]

MANIFEST_FIELDS: Json = {
    "version": 1,
    "task": TASK.model_dump(),
    "operator": OPERATOR,
    "base_digest": BASE_DIGEST,
    "records": 10,
    "tokens_seen": 100,
    "software": {},
    "training": {
        "optimiser": "adamw",
        "learning_rate": "0.001",
        "schedule": "linear",
        "dropout": "0",
        "warmup_steps": 0,
        "weight_decay": "0",
        "steps": 1,
        "batch_records": 1,
        "sequence_length": 64,
        "rank": RANK,
        "alpha": 2,
        "seed": 1,
    },
}
CONFIG_FIELDS: Json = {
    "base_model_name_or_path": "tiny",
    "bias": "none",
    "lora_alpha": 2,
    "lora_dropout": 0,
    "peft_type": "LORA",
    "r": RANK,
    "target_modules": sorted(TARGET_MODULES),
    "task_type": "CAUSAL_LM",
}


def _arrays() -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    generator = np.random.default_rng(1)
    return {name: generator.normal(size=SHAPES[name]).astype(np.float32) for name in NAMES}


VALID_WEIGHTS = weights_bytes(_arrays())
VALID_CONFIG = canonical.dumps(CONFIG_FIELDS)
VALID_MANIFEST = canonical.dumps(MANIFEST_FIELDS)
HEADER_BYTES = int.from_bytes(VALID_WEIGHTS[:8], "little")
HEADER: Json = json.loads(VALID_WEIGHTS[8 : 8 + HEADER_BYTES])
DATA = VALID_WEIGHTS[8 + HEADER_BYTES :]


@dataclass(frozen=True)
class Case:
    """A hostile adapter: ``write`` corrupts a folder with the valid one."""

    family: str
    name: str
    write: Write
    reason: Refusal

    def make(self, folder: Path) -> Path:
        """Write the adapter into ``folder``, which must not exist."""
        write_valid(folder)
        self.write(folder)
        return folder


def write_valid(folder: Path) -> None:
    """Write the valid adapter."""
    folder.mkdir()
    for name, data in ((WEIGHTS, VALID_WEIGHTS), (CONFIG, VALID_CONFIG), (MANIFEST, VALID_MANIFEST)):
        (folder / name).write_bytes(data)


# Functions that corrupt a folder.


def raw(name: str, data: bytes) -> Write:
    return lambda folder: (folder / name).write_bytes(data)


def fields(**change: Any) -> Write:
    return raw(CONFIG, json.dumps(CONFIG_FIELDS | change).encode())


def without(*names: str) -> Write:
    return raw(CONFIG, json.dumps({k: v for k, v in CONFIG_FIELDS.items() if k not in names}).encode())


def file(header: bytes, data: bytes = DATA) -> bytes:
    return struct.pack("<Q", len(header)) + header + data


def header(edit: Callable[[Json], object]) -> Write:
    value: Json = json.loads(json.dumps(HEADER))
    edit(value)
    return raw(WEIGHTS, file(json.dumps(value).encode()))


def entry(tensor: str, **change: Any) -> Write:
    return header(lambda value: value[tensor].update(change))


def text(old: str, new: str) -> Write:
    """Replace a part of the header's text."""
    before = VALID_WEIGHTS[8 : 8 + HEADER_BYTES].decode()
    if old not in before:
        raise ValueError(f"not in the header: {old!r}")
    return raw(WEIGHTS, file(before.replace(old, new, 1).encode()))


def renamed(old: str, new: str) -> Write:
    return header(lambda value: value.update({new: value.pop(old)}))


def sparse(name: str, size: int) -> Write:
    return lambda folder: os.truncate(folder / name, size)


def instead(name: str, make: Callable[[Path], object]) -> Write:
    def write(folder: Path) -> None:
        (folder / name).rename(folder.parent / f"{folder.name}-outside")
        make(folder / name)

    return write


def moved(name: str, other: str) -> Write:
    return lambda folder: (folder / name).rename(folder / other)


Rows: TypeAlias = Iterator[tuple[str, Write, Refusal]]
