"""The auditor's guide and the threat model reference only existing calls, events and tests."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from covey.chain import artifacts

ROOT = Path(__file__).resolve().parents[3]
GUIDE = (ROOT / "docs" / "auditor-guide.md").read_text(encoding="utf-8")
VARIABLES = dict(re.findall(r"(\w+)=\$\(at (\w+)\)", GUIDE))


def canonical(parameter: dict[str, Any]) -> str:
    """Canonical type of an ABI parameter, as in signatures."""
    kind: str = parameter["type"]
    if not kind.startswith("tuple"):
        return kind
    return "(" + ",".join(map(canonical, parameter["components"])) + ")" + kind.removeprefix("tuple")


def calls() -> list[tuple[str, str]]:
    found = re.findall(r"cast call \$(\w+)\s+'([^']+)'", GUIDE)
    assert len(found) > 15
    return sorted({(VARIABLES[variable], text) for variable, text in found if "…" not in text})


def logs() -> list[tuple[str, str]]:
    found = re.findall(r"cast logs --address \$(\w+) '([^']+)'", GUIDE)
    assert len(found) > 5
    return sorted({(VARIABLES[variable], text) for variable, text in found})


@pytest.mark.parametrize(("contract", "text"), calls())
def test_every_call_exists_with_these_types(contract: str, text: str) -> None:
    known = set()
    for item in artifacts.load(contract).abi:
        if item["type"] == "function":
            inputs, outputs = (",".join(map(canonical, item[side])) for side in ("inputs", "outputs"))
            known.add(f"{item['name']}({inputs})({outputs})")
    assert text in known


@pytest.mark.parametrize(("contract", "text"), logs())
def test_every_event_exists_with_these_types(contract: str, text: str) -> None:
    known = set()
    for item in artifacts.load(contract).abi:
        if item["type"] == "event":
            inputs = (canonical(c) + (" indexed" if c["indexed"] else "") for c in item["inputs"])
            known.add(f"{item['name']}({','.join(inputs)})")
    assert text in known


def test_threat_model_references_existing_tests() -> None:
    text = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    suites = {path.name.removesuffix(".t.sol"): path for path in ROOT.glob("tests/solidity/*.t.sol")}
    named = re.findall(r"`(\w+)\.(test\w+)`", text)
    assert len(named) > 25
    missing = [
        f"{suite}.{test}"
        for suite, test in named
        if suite not in suites or f"function {test}(" not in suites[suite].read_text(encoding="utf-8")
    ]
    assert not missing
    paths = re.findall(r"`(tests/[\w./]+)`", text)
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
    for path, test in re.findall(r"`(tests/[\w./]+)` \(`(test_\w+)`\)", text):
        assert f"def {test}(" in (ROOT / path).read_text(encoding="utf-8"), test
