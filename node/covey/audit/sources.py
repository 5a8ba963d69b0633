"""Compiler input of deployed contracts: standard JSON, the format of solc, Sourcify and Etherscan.

One file holds the sources of all contracts of a deployment. The input of a single contract is a subset of it: the
contract's record names its sources and holds the sha256 of the subset's canonical bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from covey.audit.record import AuditError
from covey.chain import artifacts
from covey.chain.deployment import COMPILER_INPUT, ContractRecord

CHECKOUT = Path(__file__).resolve().parents[3]
"""The repository, if the package is used from a checkout."""
PACKAGES = "node_modules"
"""Folder of third-party sources in a checkout."""


def canonical(value: Any) -> bytes:
    """Canonical JSON: sorted keys, no spaces. An input's hash is the sha256 of these bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def input_hash(value: dict[str, Any]) -> str:
    """0x-prefixed sha256 of a compiler input."""
    return "0x" + hashlib.sha256(canonical(value)).hexdigest()


def from_checkout(folder: Path, records: Iterable[ContractRecord]) -> dict[str, Any]:
    """Build the compiler input of contracts from a checkout's sources and the settings of this package's artifacts.

    Raises:
        AuditError: a source is missing.
    """
    records = list(records)
    sources = {}
    for name in sorted({name for record in records for name in record.sources}):
        places = (folder / name, folder / PACKAGES / name)
        file = next((place for place in places if place.is_file()), None)
        if file is None:
            raise AuditError(f"{folder} has no source {name}: give a checkout of covey after `make setup`")
        sources[name] = {"content": file.read_text(encoding="utf-8")}
    settings = artifacts.load(records[0].name).settings if records else {}
    return {"language": "Solidity", "sources": sources, "settings": settings}


def from_deployment(folder: Path) -> dict[str, Any]:
    """Read the compiler input beside a deployment's records.

    Raises:
        AuditError: the file is missing, or is not a compiler input.
    """
    file = folder / COMPILER_INPUT
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if not (isinstance(found["sources"], dict) and isinstance(found["settings"], dict)):
            raise ValueError("no sources or settings")
    except FileNotFoundError:
        raise AuditError(
            f"no sources: {folder} has no {COMPILER_INPUT}; give --sources with a checkout of covey after `make setup`"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise AuditError(f"{file}: not a compiler input ({error})") from None
    return dict(found)


def part_of(whole: dict[str, Any], record: ContractRecord) -> dict[str, Any]:
    """The compiler input of one contract, a subset of the deployment's.

    Raises:
        AuditError: a source named in the record is missing.
    """
    missing = sorted(set(record.sources) - whole["sources"].keys())
    if missing:
        raise AuditError(f"the compiler input has no {', '.join(missing)}, a source of {record.name}")
    return {
        "language": "Solidity",
        "sources": {name: whole["sources"][name] for name in sorted(record.sources)},
        "settings": whole["settings"],
    }
