"""Compiles a contract with py-solc-x and the compiler version in its deployment record."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covey.audit.record import AuditError
from covey.audit.sources import CHECKOUT
from covey.chain.deployment import ContractRecord

SOLCX_BINARY_PATH = "SOLCX_BINARY_PATH"
TOOLCHAIN = Path(".toolchain") / "solcx"
"""Where `make setup` puts the compiler, in a checkout."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """The compiler's output for a contract."""

    abi: list[dict[str, Any]]
    creation: bytes
    runtime: bytes
    """Runtime code; immutables are zero."""
    immutables: tuple[tuple[str, int, int], ...]
    """(name, start, length) of each occurrence of an immutable in the runtime code, bytes, sorted by start."""


def compile_contract(part: dict[str, Any], record: ContractRecord) -> Compiled:
    """Compile a contract from its compiler input.

    Raises:
        AuditError: py-solc-x or the compiler is not installed, or the sources do not compile; the message has the fix.
    """
    try:
        import solcx
        from solcx.exceptions import SolcError, SolcNotInstalled
    except ImportError:
        raise AuditError("py-solc-x is not installed: pip install 'covey[audit]'") from None
    version = record.compiler.split("+")[0]
    outputs = ["abi", "metadata", "evm.bytecode.object", "evm.deployedBytecode"]
    selection = {"*": {"": ["ast"]}, record.source_name: {"": ["ast"], record.name: outputs}}
    standard = {**part, "settings": {**part["settings"], "outputSelection": selection}}
    try:
        output = solcx.compile_standard(standard, solc_binary=str(_compiler(version)))
    except SolcNotInstalled:
        raise AuditError(
            f"solc {version} is not installed: run `make setup` in a checkout of covey and this command in that folder "
            f"(or set SOLCX_BINARY_PATH), or `python -c 'import solcx; solcx.install_solc(\"{version}\")'`"
        ) from None
    except SolcError as error:
        raise AuditError(f"{record.name} does not compile: {_first_line(error)}") from None
    try:
        contract = output["contracts"][record.source_name][record.name]
    except KeyError:
        raise AuditError(f"{record.source_name} has no contract {record.name}") from None
    used = json.loads(contract["metadata"])["compiler"]["version"]
    if used != record.compiler:
        raise AuditError(f"the installed solc {version} is {used}; {record.name} was compiled with {record.compiler}")
    deployed = contract["evm"]["deployedBytecode"]
    names = dict(_variables([source["ast"] for source in output["sources"].values()]))
    places = deployed.get("immutableReferences", {})
    return Compiled(
        abi=contract["abi"],
        creation=bytes.fromhex(contract["evm"]["bytecode"]["object"]),
        runtime=bytes.fromhex(deployed["object"]),
        immutables=tuple(
            sorted(
                ((names[key], place["start"], place["length"]) for key, found in places.items() for place in found),
                key=lambda place: place[1],
            )
        ),
    )


def _compiler(version: str) -> Path:
    """The compiler: of SOLCX_BINARY_PATH, of a checkout after `make setup`, or of py-solc-x's own folder."""
    from solcx.install import get_executable

    if SOLCX_BINARY_PATH not in os.environ:
        for checkout in (Path.cwd(), CHECKOUT):
            folder = checkout / TOOLCHAIN
            if (folder / f"solc-v{version}").is_file():
                return Path(get_executable(version, folder))
    return Path(get_executable(version))


def _variables(node: Any) -> list[tuple[str, str]]:
    """(AST id, name) of every state variable below an AST node."""
    if isinstance(node, list):
        return [pair for child in node for pair in _variables(child)]
    if not isinstance(node, dict):
        return []
    found = [pair for child in node.values() for pair in _variables(child)]
    if node.get("nodeType") == "VariableDeclaration" and node.get("stateVariable"):
        found.append((str(node["id"]), node["name"]))
    return found


def _first_line(error: Exception) -> str:
    """The compiler's first error in one line."""
    lines = [line for line in str(error).splitlines() if "Error" in line]
    return " ".join((lines or [type(error).__name__])[0].split())[:200]
