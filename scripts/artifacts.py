"""Compile the contracts with forge and write the artifacts that the package ships.

Usage: python scripts/artifacts.py compile|ship|check

`compile` builds contracts/ with forge, in one compiler run that the forge tests reuse. From forge's output it writes
one file per deployable contract to .toolchain/artifacts, and the same contracts as ethPM contract types, which ape
loads, to .toolchain/contract-types. `ship` copies the artifacts to node/covey/chain/artifacts, where they are
committed, and `check` exits with 1 if the two folders differ. An artifact contains:

    contractName         name of the contract
    sourceName           source unit, as in the compiler input
    compilerVersion      full version of the compiler
    inputHash            sha256 of the compiler input (`compiler_input`; `compile` writes it to .toolchain/inputs)
    settings             the settings of that input
    sources              names of its sources; the files lie below the repository and below node_modules
    restricted           names of the functions that the access manager guards
    abi                  JSON ABI
    bytecode             creation code without constructor arguments, 0x-prefixed hex
    runtimeBytecode      deployed code with the immutables zero, 0x-prefixed hex
    immutableReferences  [{name, start, length}], in bytes of the deployed code, sorted by start
"""

from __future__ import annotations

import argparse
import filecmp
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ROOT / "node" / "covey" / "chain" / "artifacts"
FRESH = ROOT / ".toolchain" / "artifacts"
INPUTS = ROOT / ".toolchain" / "inputs"
CONTRACT_TYPES = ROOT / ".toolchain" / "contract-types"
FORGE = ROOT / ".toolchain" / "forge"
# Folder of the OpenZeppelin package in forge's source names, and the name by which the sources import it.
DEPENDENCY_FOLDER = "node_modules/@openzeppelin/contracts/"
DEPENDENCY = "@openzeppelin/contracts/"
# Contracts of the dependency that are deployed as they are. Everything else that ships lies directly in contracts/.
DEPLOYED_DEPENDENCIES = ("AccessManager",)
CODE_LIMIT = 24_576  # bytes, EIP-170

Json = dict[str, Any]


def outdated_artifacts() -> Iterator[Path]:
    """Yield the files in forge's output that come from contracts/ and its dependencies, not from tests."""
    cache = FORGE / "cache" / "solidity-files-cache.json"
    if not cache.exists():
        return
    for source, entry in json.loads(cache.read_text())["files"].items():
        if not source.startswith("tests/"):
            for versions in entry["artifacts"].values():
                for profiles in versions.values():
                    for build in profiles.values():
                        yield FORGE / "out" / build["path"]


def compile_with_forge() -> list[Json]:
    """Compile contracts/ and its dependencies in one compiler run; return forge's output for each contract.

    One run, because AST ids, which immutable references and base contracts are given by, mean nothing in another. So
    what forge has from earlier runs is deleted first. The AST is requested in addition to what foundry.toml asks for.
    """
    for path in outdated_artifacts():
        path.unlink(missing_ok=True)
    built = subprocess.run(
        ["forge", "build", "--ast", "contracts"], cwd=ROOT, env=os.environ | {"FOUNDRY_PROFILE": "default"}, check=False
    )
    if built.returncode != 0:
        sys.exit("error: forge could not compile contracts/")
    outputs = [json.loads(path.read_text()) for path in sorted(set(outdated_artifacts()))]
    return [output for output in outputs if "metadata" in output]  # a source without contracts has none


def canonical_name(unit: str) -> str:
    """Return the name of a source unit as other sources import it."""
    return unit.replace(DEPENDENCY_FOLDER, DEPENDENCY, 1)


def compiler_input(metadata: Json) -> Json:
    """Return the smallest standard JSON input that compiles to the contract's bytecode: its settings and sources."""
    settings = metadata["settings"]
    return {
        "language": "Solidity",
        "sources": {
            name: {"content": (ROOT / unit).read_text(encoding="utf-8")}
            for name, unit in sorted((canonical_name(unit), unit) for unit in metadata["sources"])
        },
        "settings": {
            "evmVersion": settings["evmVersion"],
            "metadata": {"bytecodeHash": "none"},
            "optimizer": settings["optimizer"],
            "viaIR": settings["viaIR"],
        },
    }


def canonical_bytes(value: Json) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def declarations(node: Any) -> Iterator[tuple[str, str]]:
    """Yield (AST id, name) of every state variable below an AST node."""
    if isinstance(node, dict):
        if node.get("nodeType") == "VariableDeclaration" and node.get("stateVariable"):
            yield str(node["id"]), node["name"]
        for child in node.values():
            yield from declarations(child)
    elif isinstance(node, list):
        for child in node:
            yield from declarations(child)


def restricted(contract: Json, contracts: dict[int, Json]) -> list[str]:
    """Names of the functions of a contract, its bases included, with the modifier `restricted` of AccessManaged.

    Args:
        contract: AST node of the contract.
        contracts: AST nodes of all contracts, by id.
    """
    return sorted(
        member["name"]
        for base in contract["linearizedBaseContracts"]
        for member in contracts[base]["nodes"]
        if member["nodeType"] == "FunctionDefinition"
        and any(modifier["modifierName"]["name"] == "restricted" for modifier in member["modifiers"])
    )


def artifacts(outputs: list[Json]) -> Iterator[tuple[Json, bytes]]:
    """Yield the artifact and the canonical compiler input of each deployable contract in forge's output."""
    names = dict(pair for output in outputs for pair in declarations(output["ast"]))
    nodes = [node for output in outputs for node in output["ast"]["nodes"] if node["nodeType"] == "ContractDefinition"]
    contracts = {node["id"]: node for node in nodes}
    for output in outputs:
        [(unit, name)] = output["metadata"]["settings"]["compilationTarget"].items()
        code, runtime = output["bytecode"]["object"], output["deployedBytecode"]["object"]
        own = unit.startswith("contracts/") and unit.count("/") == 1
        if code == "0x" or not (own or name in DEPLOYED_DEPENDENCIES):
            continue
        size = len(runtime) // 2 - 1
        if "__$" in code:
            sys.exit(f"error: {unit}: {name} needs a linked library; make the library's functions internal")
        if size > CODE_LIMIT:
            sys.exit(f"error: {unit}: {name} has {size} bytes of code; the limit is {CODE_LIMIT}")
        references = output["deployedBytecode"].get("immutableReferences", {})
        given = compiler_input(output["metadata"])
        source = canonical_bytes(given)
        [contract] = [node for node in output["ast"]["nodes"] if node.get("name") == name]
        artifact = {
            "contractName": name,
            "sourceName": canonical_name(unit),
            "compilerVersion": output["metadata"]["compiler"]["version"],
            "inputHash": "0x" + hashlib.sha256(source).hexdigest(),
            "settings": given["settings"],
            "sources": list(given["sources"]),
            "restricted": restricted(contract, contracts),
            "abi": output["abi"],
            "bytecode": code,
            "runtimeBytecode": runtime,
            "immutableReferences": sorted(
                ({"name": names[key], **place} for key, places in references.items() for place in places),
                key=lambda reference: reference["start"],
            ),
        }
        yield artifact, source


def contract_type(artifact: Json) -> Json:
    """Return an artifact as an ethPM contract type, the form that ape reads."""
    return {
        "contractName": artifact["contractName"],
        "abi": artifact["abi"],
        "deploymentBytecode": {"bytecode": artifact["bytecode"]},
        "runtimeBytecode": {"bytecode": artifact["runtimeBytecode"]},
    }


def render(artifact: Json) -> str:
    """JSON with a line for each key and for each entry of a list, so that a diff shows what changed."""
    lines = []
    for key, value in artifact.items():
        text = json.dumps(value)
        if isinstance(value, list) and value:
            text = "[\n" + ",\n".join(f"    {json.dumps(item)}" for item in value) + "\n  ]"
        lines.append(f"  {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def compile_all() -> None:
    """Compile the contracts; write the artifacts to FRESH, the compiler inputs to INPUTS, CONTRACT_TYPES for ape."""
    built = {artifact["contractName"]: (artifact, source) for artifact, source in artifacts(compile_with_forge())}
    shutil.rmtree(ROOT / ".build", ignore_errors=True)  # ape's cache, which may hold contract types of other sources
    for folder in (FRESH, INPUTS, CONTRACT_TYPES):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    for name, (artifact, source) in sorted(built.items()):
        (FRESH / f"{name}.json").write_text(render(artifact))
        (INPUTS / f"{name}.json").write_bytes(source)
        (CONTRACT_TYPES / f"{name}.json").write_text(json.dumps(contract_type(artifact)))
        size = len(artifact["runtimeBytecode"]) // 2 - 1
        print(f"{name:<24} {size:>6} bytes of code, {CODE_LIMIT - size:>6} below the limit")


def differences() -> tuple[list[str], list[str]]:
    """The names of all artifacts, and of those that differ between FRESH and SHIPPED or are in one only."""
    names = sorted({path.name for folder in (FRESH, SHIPPED) for path in folder.glob("*.json")})
    _, different, missing = filecmp.cmpfiles(FRESH, SHIPPED, names, shallow=False)
    return names, sorted(different + missing)


def ship() -> None:
    """Make SHIPPED equal to FRESH."""
    SHIPPED.mkdir(parents=True, exist_ok=True)
    _, changed = differences()
    for name in changed:
        if (FRESH / name).exists():
            shutil.copyfile(FRESH / name, SHIPPED / name)
        else:
            (SHIPPED / name).unlink()
        print(f"{(SHIPPED / name).relative_to(ROOT)} changed")


def check() -> None:
    """Exit with an error if SHIPPED differs from FRESH."""
    names, changed = differences()
    if changed or not names:
        sys.exit(
            f"error: {', '.join(changed) or 'no artifacts'}: differ from the compiled sources; run `make contracts`"
        )
    print(f"{len(names)} artifacts match the compiled sources")


if __name__ == "__main__":
    actions = {"compile": compile_all, "ship": ship, "check": check}
    parser = argparse.ArgumentParser(description="Compile the contracts; ship the artifacts; check them.")
    parser.add_argument("action", choices=actions)
    actions[parser.parse_args().action]()
