"""The package ships the bytecode that forge compiles, and ape tests that bytecode."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.contracts.system import contract_named

from covey.audit.compile import compile_contract
from covey.audit.sources import canonical, from_checkout, part_of
from covey.chain.deployment import ContractRecord

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = {path.stem: json.loads(path.read_text()) for path in ROOT.glob("node/covey/chain/artifacts/*.json")}


def by_signature(abi: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(entry, sort_keys=True) for entry in abi)


def test_every_contract_is_shipped() -> None:
    sources = {path.stem for path in ROOT.glob("contracts/*.sol")} - {"Committee"}  # abstract
    assert sources
    assert sources <= SHIPPED.keys()


OWN = sorted(name for name, artifact in SHIPPED.items() if artifact["sourceName"].startswith("contracts/"))


@pytest.mark.parametrize("name", OWN)
def test_ape_loads_the_shipped_artifact(name: str) -> None:
    artifact = SHIPPED[name]
    compiled = contract_named(name).contract_type
    assert compiled.deployment_bytecode.bytecode == artifact["bytecode"]
    assert compiled.runtime_bytecode.bytecode == artifact["runtimeBytecode"]


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_forge_output_equals_the_shipped_artifact(name: str) -> None:
    artifact = SHIPPED[name]
    output = ROOT / ".toolchain" / "forge" / "out" / Path(artifact["sourceName"]).name / f"{name}.json"
    if not output.exists():
        pytest.skip("forge has compiled nothing yet: run `make build-solidity` first")
    compiled = json.loads(output.read_text())
    assert compiled["bytecode"]["object"] == artifact["bytecode"]
    assert by_signature(compiled["abi"]) == by_signature(artifact["abi"])  # forge sorts its ABI


@pytest.mark.parametrize("name", ["BeaconRandomness", "CoveyToken"])
def test_compiler_input_gives_the_shipped_bytecode(name: str) -> None:
    artifact = SHIPPED[name]
    source = (ROOT / ".toolchain" / "inputs" / f"{name}.json").read_bytes()
    assert "0x" + hashlib.sha256(source).hexdigest() == artifact["inputHash"]

    record = ContractRecord(
        name=name,
        address="",
        constructor_args=[],
        tx_hash="",
        block=0,
        input_hash=artifact["inputHash"],
        runtime_hash="",
        compiler=artifact["compilerVersion"],
        source_name=artifact["sourceName"],
        sources=tuple(artifact["sources"]),
    )
    part = part_of(from_checkout(ROOT, [record]), record)
    assert canonical(part) == source
    compiled = compile_contract(part, record)  # tests/node/audit/test_bytecode.py finds this in the compiler's cache
    assert "0x" + compiled.creation.hex() == artifact["bytecode"]
    assert "0x" + compiled.runtime.hex() == artifact["runtimeBytecode"]
