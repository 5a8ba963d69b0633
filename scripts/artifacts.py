"""Compile the contracts with ape (through py-solc-x) and write the artifacts that the package ships.

Usage: python scripts/artifacts.py compile|ship|check

`compile` writes one file a deployable contract to .toolchain/artifacts, `ship` copies them to
node/covey/chain/artifacts, where they are committed, and `check` exits with 1 if the two differ.
An artifact contains:

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
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ROOT / "node" / "covey" / "chain" / "artifacts"
FRESH = ROOT / ".toolchain" / "artifacts"
INPUTS = ROOT / ".toolchain" / "inputs"
# Folder of ape's copy of the OpenZeppelin package, and its name in the sources.
APE_DEPENDENCY = "contracts/.cache/openzeppelin/local/"
DEPENDENCY = "@openzeppelin/contracts/"
# Contracts of the dependency that are deployed unchanged. All other shipped contracts are directly in contracts/.
DEPLOYED_DEPENDENCIES = ("AccessManager",)
CODE_LIMIT = 24_576  # bytes, EIP-170

Json = dict[str, Any]


def compile_with_ape() -> tuple[Json, Json]:
    """Compile every contract with ape and return the standard JSON input and output of the run.

    ape keeps only a part of the output, so its call of py-solc-x is intercepted, with immutables and metadata added to
    the selected output. Afterwards ape's cache (.build) is current.
    """
    import ape
    import ape_solidity.compiler
    from ape.exceptions import CompilerError

    plugin: Any = ape_solidity.compiler
    runs: list[tuple[Json, Json]] = []
    compile_standard = plugin.compile_standard

    def record(input_data: Json, **arguments: Any) -> Json:
        for selection in input_data["settings"]["outputSelection"].values():
            selection["*"] = sorted({*selection["*"], "metadata", "evm.deployedBytecode.immutableReferences"})
        output: Json = compile_standard(input_data, **arguments)
        runs.append((input_data, output))
        return output

    shutil.rmtree(ROOT / "contracts" / ".cache", ignore_errors=True)
    with mock.patch.object(plugin, "compile_standard", record):
        try:
            ape.Project(ROOT).load_contracts(use_cache=False)
        except CompilerError as error:
            sys.exit(f"error: {error}")
    if len(runs) != 1:
        sys.exit(f"error: ape made {len(runs)} compiler runs instead of one; is there a .sol file in contracts/?")
    return runs[0]


def canonical_name(unit: str) -> str:
    """The import path of a source unit, independent of the folder in which ape compiled it."""
    return unit.replace(APE_DEPENDENCY, DEPENDENCY, 1)


def compiler_input(run: Json, metadata: Json) -> Json:
    """The smallest standard JSON input that compiles to the contract's bytecode: settings, and the sources it uses."""
    settings = run["settings"]
    return {
        "language": "Solidity",
        "sources": {
            canonical_name(name): {"content": run["sources"][name]["content"]} for name in sorted(metadata["sources"])
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


def restricted(output: Json, unit: str, name: str) -> list[str]:
    """Names of the functions of a contract, its bases included, with the modifier `restricted` of AccessManaged."""
    nodes = {
        node["id"]: node
        for source in output["sources"].values()
        for node in source["ast"]["nodes"]
        if node["nodeType"] == "ContractDefinition"
    }
    [contract] = [node for node in output["sources"][unit]["ast"]["nodes"] if node.get("name") == name]
    return sorted(
        member["name"]
        for base in contract["linearizedBaseContracts"]
        for member in nodes[base]["nodes"]
        if member["nodeType"] == "FunctionDefinition"
        and any(modifier["modifierName"]["name"] == "restricted" for modifier in member["modifiers"])
    )


def artifacts(run: Json, output: Json) -> Iterator[tuple[Json, bytes]]:
    """Yield the artifact and the canonical compiler input of each deployable contract of a compiler run."""
    names = dict(pair for source in output["sources"].values() for pair in declarations(source["ast"]))
    for unit, contracts in output["contracts"].items():
        for name, contract in contracts.items():
            own = unit.startswith("contracts/") and unit.count("/") == 1
            code = contract["evm"]["bytecode"]["object"]
            runtime = contract["evm"]["deployedBytecode"]["object"]
            if not code or not (own or name in DEPLOYED_DEPENDENCIES):
                continue
            if "__$" in code:
                sys.exit(f"error: {unit}: {name} needs a linked library; make the library's functions internal")
            if len(runtime) // 2 > CODE_LIMIT:
                sys.exit(f"error: {unit}: {name} has {len(runtime) // 2} bytes of code; the limit is {CODE_LIMIT}")
            metadata = json.loads(contract["metadata"])
            references = contract["evm"]["deployedBytecode"].get("immutableReferences", {})
            given = compiler_input(run, metadata)
            source = canonical_bytes(given)
            artifact = {
                "contractName": name,
                "sourceName": canonical_name(unit),
                "compilerVersion": metadata["compiler"]["version"],
                "inputHash": "0x" + hashlib.sha256(source).hexdigest(),
                "settings": given["settings"],
                "sources": list(given["sources"]),
                "restricted": restricted(output, unit, name),
                "abi": contract["abi"],
                "bytecode": "0x" + code,
                "runtimeBytecode": "0x" + runtime,
                "immutableReferences": sorted(
                    ({"name": names[key], **place} for key, places in references.items() for place in places),
                    key=lambda reference: reference["start"],
                ),
            }
            yield artifact, source


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
    """Compile every contract and write the artifacts to FRESH, the compiler inputs to INPUTS."""
    built = {artifact["contractName"]: (artifact, source) for artifact, source in artifacts(*compile_with_ape())}
    for folder in (FRESH, INPUTS):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    for name, (artifact, source) in sorted(built.items()):
        (FRESH / f"{name}.json").write_text(render(artifact))
        (INPUTS / f"{name}.json").write_bytes(source)
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
