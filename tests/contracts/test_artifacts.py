"""What the package ships, what ape compiles and what forge compiles is the same bytecode."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = {path.stem: json.loads(path.read_text()) for path in ROOT.glob("node/covey/chain/artifacts/*.json")}


def by_signature(abi: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(entry, sort_keys=True) for entry in abi)


def test_every_contract_ships(project: Any) -> None:
    sources = {path.stem for path in ROOT.glob("contracts/*.sol")}
    assert sources
    assert sources <= SHIPPED.keys()


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_ape_compiles_the_shipped_artifact(project: Any, name: str) -> None:
    artifact = SHIPPED[name]
    if artifact["sourceName"].startswith("@"):
        pytest.skip("a contract of a dependency: ape keeps no type of it")
    compiled = project.contracts.get(name, check_for_changes=False).contract_type
    assert compiled.deployment_bytecode.bytecode == artifact["bytecode"]
    assert compiled.runtime_bytecode.bytecode == artifact["runtimeBytecode"]


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_forge_compiles_the_shipped_artifact(name: str) -> None:
    artifact = SHIPPED[name]
    output = ROOT / ".toolchain" / "forge" / "out" / Path(artifact["sourceName"]).name / f"{name}.json"
    if not output.exists():
        pytest.skip("forge has compiled nothing yet: run `make test-solidity` first")
    compiled = json.loads(output.read_text())
    assert compiled["bytecode"]["object"] == artifact["bytecode"]
    assert by_signature(compiled["abi"]) == by_signature(artifact["abi"])  # forge sorts its ABI
