"""Write web/src/abi/<Contract>.ts from the artifacts that ship in the package: one constant an ABI item.

The page imports single items, so that a view loads only the items that it uses. Usage: scripts/web_abi.py [--check]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ARTIFACTS = ROOT / "node" / "covey" / "chain" / "artifacts"
TARGET = ROOT / "web" / "src" / "abi"
CONTRACTS = (
    "CoveyToken",
    "Staking",
    "TaskRegistry",
    "TaskBounds",
    "Scoring",
    "Rewards",
    "Appeals",
    "AppealCommittee",
    "Faults",
)


def _parameter(given: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {key: given[key] for key in ("name", "type", "indexed") if key in given}
    if "components" in given:
        kept["components"] = [_parameter(one) for one in given["components"]]
    return kept


def _item(given: dict[str, Any]) -> dict[str, Any]:
    kept = {key: given[key] for key in ("type", "name", "stateMutability", "anonymous") if given.get(key)}
    for key in ("inputs", "outputs"):
        if key in given:
            kept[key] = [_parameter(one) for one in given[key]]
    return kept


def module(name: str) -> str:
    """The TypeScript of one contract: its functions and events by name, and all its errors as one list."""
    abi = json.loads((ARTIFACTS / f"{name}.json").read_text())["abi"]
    lines = [f"// Written by scripts/web_abi.py from the artifact of {name}. Do not edit."]
    for kind in ("function", "event"):
        items: dict[str, list[dict[str, Any]]] = {}
        for given in abi:
            if given["type"] == kind:
                items.setdefault(given["name"], []).append(_item(given))
        for item_name in sorted(items):
            text = ", ".join(json.dumps(item, separators=(",", ":")) for item in items[item_name])
            suffix = "Event" if kind == "event" else ""
            lines.append(f"export const {item_name}{suffix} = [{text}] as const;")
    errors = [_item(given) for given in abi if given["type"] == "error"]
    errors.sort(key=lambda error: str(error["name"]))
    lines.append(f"export const errors = {json.dumps(errors, separators=(',', ':'))} as const;")
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Write the modules, or with --check compare them. Returns the exit code."""
    stale = []
    TARGET.mkdir(parents=True, exist_ok=True)
    for name in CONTRACTS:
        path = TARGET / f"{name}.ts"
        text = module(name)
        if "--check" in arguments:
            if not path.exists() or path.read_text() != text:
                stale.append(path.name)
        else:
            path.write_text(text)
    if stale:
        print(f"web/src/abi is stale ({', '.join(stale)}): run scripts/web_abi.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
