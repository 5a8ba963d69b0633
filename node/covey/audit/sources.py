"""The compiler input of deployed contracts: standard JSON, as Sourcify and Etherscan take it and solc compiles it.

One file holds the sources of all contracts of a deployment. What a single contract was compiled from is a part of it:
its record names the sources, and keeps the sha256 of the canonical bytes of that part.
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

PACKAGES = "node_modules"
"""Where a checkout keeps the sources that are not its own."""


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no spaces: the bytes whose sha256 is an input's hash."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def input_hash(value: dict[str, Any]) -> str:
    """0x-prefixed sha256 of a compiler input."""
    return "0x" + hashlib.sha256(canonical(value)).hexdigest()


def from_checkout(folder: Path, records: Iterable[ContractRecord]) -> dict[str, Any]:
    """The compiler input of some contracts, its sources read from a checkout.

    Settings are those of this package's artifacts.

    Raises:
        AuditError: a source is not there.
    """
    records = list(records)
    sources = {}
    for name in sorted({name for record in records for name in record.sources}):
        places = (folder / name, folder / PACKAGES / name)
        file = next((place for place in places if place.is_file()), None)
        if file is None:
            raise AuditError(f"{folder} has no source {name}: name a checkout of covey after `make setup`")
        sources[name] = {"content": file.read_text(encoding="utf-8")}
    settings = artifacts.load(records[0].name).settings if records else {}
    return {"language": "Solidity", "sources": sources, "settings": settings}


def from_deployment(folder: Path) -> dict[str, Any]:
    """The compiler input kept beside the records of a deployment.

    Raises:
        AuditError: there is none, or it is no compiler input.
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
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AuditError(f"{file}: not a compiler input ({error})") from None
    return dict(found)


def part_of(whole: dict[str, Any], record: ContractRecord) -> dict[str, Any]:
    """What one contract was compiled from.

    Raises:
        AuditError: a source that its record names is missing.
    """
    missing = sorted(set(record.sources) - whole["sources"].keys())
    if missing:
        raise AuditError(f"the compiler input has no {', '.join(missing)}, which {record.name} was compiled from")
    return {
        "language": "Solidity",
        "sources": {name: whole["sources"][name] for name in sorted(record.sources)},
        "settings": whole["settings"],
    }
