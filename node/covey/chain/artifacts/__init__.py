"""Compiled contracts in the package: one JSON file per contract, written by ``make contracts``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from covey.chain.errors import FatalError

CONTRACTS = (
    "AccessManager",
    "CoveyToken",
    "Staking",
    "BeaconRandomness",
    "TaskBounds",
    "TaskRegistry",
    "Scoring",
    "Rewards",
    "Appeals",
    "AppealCommittee",
    "Faults",
    "Emissions",
)
"""The contracts of a deployment, in order of deployment."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """One compiled contract."""

    name: str
    abi: list[dict[str, Any]]
    bytecode: bytes
    """Creation code without constructor arguments."""
    runtime_bytecode: bytes
    """Deployed code with all immutables zero."""
    immutables: tuple[tuple[str, int, int], ...]
    """(name, start, length) of each occurrence of an immutable in the deployed code, bytes."""
    input_hash: str
    """0x-prefixed sha256 of the compiler input."""
    compiler: str
    """Full version of the compiler."""
    source_name: str
    """Source unit of the contract in the compiler input."""
    settings: dict[str, Any]
    """Settings of the compiler input."""
    sources: tuple[str, ...]
    """Names of the sources of the compiler input."""
    restricted: tuple[str, ...]
    """Names of the functions that the access manager restricts."""


@cache
def load(name: str) -> Artifact:
    """Load the artifact of a contract.

    Raises:
        FatalError: the package has no contract of that name.
    """
    try:
        text = resources.files(__name__).joinpath(f"{name}.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FatalError(f"the package has no compiled contract {name}; run `make contracts`") from None
    fields = json.loads(text)
    return Artifact(
        name=fields["contractName"],
        abi=fields["abi"],
        bytecode=bytes.fromhex(fields["bytecode"].removeprefix("0x")),
        runtime_bytecode=bytes.fromhex(fields["runtimeBytecode"].removeprefix("0x")),
        immutables=tuple((place["name"], place["start"], place["length"]) for place in fields["immutableReferences"]),
        input_hash=fields["inputHash"],
        compiler=fields["compilerVersion"],
        source_name=fields["sourceName"],
        settings=fields["settings"],
        sources=tuple(fields["sources"]),
        restricted=tuple(fields["restricted"]),
    )


def immutable_values(name: str, code: bytes) -> dict[str, int] | None:
    """Read a deployed contract's immutables by name; None if the code is not this package's version of the contract."""
    artifact = load(name)
    values: dict[str, int] = {}
    masked = bytearray(code)
    for immutable, start, length in artifact.immutables:
        value = int.from_bytes(code[start : start + length], "big")
        if values.setdefault(immutable, value) != value:
            return None
        masked[start : start + length] = bytes(length)
    return values if bytes(masked) == artifact.runtime_bytecode else None
