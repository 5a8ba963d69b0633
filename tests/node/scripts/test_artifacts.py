"""scripts/artifacts.py: what it writes and when its check fails. The compilation itself: tests/contracts."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "artifacts.py"


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    specification = importlib.util.spec_from_file_location("artifacts", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    for name in ("FRESH", "SHIPPED"):
        folder = tmp_path / name.lower()
        folder.mkdir()
        monkeypatch.setattr(module, name, folder)
    return module


LIBRARY = "node_modules/@openzeppelin/contracts/utils/L.sol"


def forge_outputs(
    root: Path, code: str = "0x6000", unit: str = "contracts/A.sol", immutables: Any = None
) -> list[dict[str, Any]]:
    """Write three sources below `root`; return forge's output for a contract that uses two of them."""
    for name in (unit, LIBRARY, "contracts/Other.sol"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    settings = {
        "compilationTarget": {unit: "A"},
        "evmVersion": "prague",
        "optimizer": {"enabled": True, "runs": 1},
        "viaIR": True,
        "remappings": [],
    }
    variables = [{"nodeType": "VariableDeclaration", "stateVariable": True, "id": i, "name": f"v{i}"} for i in (7, 8)]
    # The contract and its base contract, with two functions each.
    base = {"nodeType": "ContractDefinition", "id": 2, "name": "B", "linearizedBaseContracts": [2]}
    base["nodes"] = [function("g", "restricted"), function("f", "other")]
    own = {"nodeType": "ContractDefinition", "id": 1, "name": "A", "linearizedBaseContracts": [1, 2]}
    own["nodes"] = [function("h", "other", "restricted"), function("i")]
    return [
        {
            "abi": [],
            "metadata": {
                "compiler": {"version": "0.8.37+commit.0"},
                "settings": settings,
                "sources": {unit: {}, LIBRARY: {}},
            },
            "bytecode": {"object": code},
            "deployedBytecode": {"object": code, "immutableReferences": immutables or {}},
            "ast": {"nodes": [*variables, own, base]},
        }
    ]


def function(name: str, *modifiers: str) -> dict[str, Any]:
    """Return the part of a function's AST node that the script reads."""
    named = [{"modifierName": {"name": modifier}} for modifier in modifiers]
    return {"nodeType": "FunctionDefinition", "name": name, "modifiers": named}


def test_restricted_functions_include_those_of_base_contracts(script: ModuleType, tmp_path: Path) -> None:
    [(artifact, _)] = script.artifacts(forge_outputs(tmp_path))
    assert artifact["restricted"] == ["g", "h"]


def test_immutable_references_have_names_and_are_sorted_by_start(script: ModuleType, tmp_path: Path) -> None:
    places = {"8": [{"start": 9, "length": 32}], "7": [{"start": 50, "length": 32}, {"start": 1, "length": 32}]}
    [(artifact, _)] = script.artifacts(forge_outputs(tmp_path, immutables=places))
    assert [(place["name"], place["start"]) for place in artifact["immutableReferences"]] == [
        ("v7", 1),
        ("v8", 9),
        ("v7", 50),
    ]


def test_compiler_input_holds_the_used_sources_under_their_import_names(script: ModuleType, tmp_path: Path) -> None:
    outputs = forge_outputs(tmp_path)
    [(artifact, source)] = script.artifacts(outputs)
    assert list(json.loads(source)["sources"]) == ["@openzeppelin/contracts/utils/L.sol", "contracts/A.sol"]
    assert "remappings" not in json.loads(source)["settings"]
    (tmp_path / "contracts/Other.sol").write_text("changed")
    [(same, _)] = script.artifacts(outputs)
    assert same["inputHash"] == artifact["inputHash"]
    (tmp_path / "contracts/A.sol").write_text("changed")
    [(other, _)] = script.artifacts(outputs)
    assert other["inputHash"] != artifact["inputHash"]


@pytest.mark.parametrize("unit", ["contracts/mocks/A.sol", "node_modules/@openzeppelin/contracts/utils/A.sol"])
def test_contracts_outside_the_contracts_folder_do_not_ship(script: ModuleType, tmp_path: Path, unit: str) -> None:
    assert list(script.artifacts(forge_outputs(tmp_path, unit=unit))) == []


def test_interfaces_do_not_ship(script: ModuleType, tmp_path: Path) -> None:
    assert list(script.artifacts(forge_outputs(tmp_path, code="0x"))) == []


@pytest.mark.parametrize(
    ("code", "message"),
    [("0x73__$0123$__", "linked library"), ("0x" + "00" * 24_577, "the limit is 24576")],
    ids=["unlinked", "too large"],
)
def test_undeployable_contract_is_an_error(script: ModuleType, tmp_path: Path, code: str, message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        list(script.artifacts(forge_outputs(tmp_path, code=code)))


def test_render_writes_one_abi_entry_per_line(script: ModuleType) -> None:
    artifact = {"contractName": "A", "abi": [{"type": "error"}, {"type": "event"}], "immutableReferences": []}
    text = script.render(artifact)
    assert json.loads(text) == artifact
    assert len(text.splitlines()) == 8


def test_check_requires_the_same_files_with_the_same_bytes(
    script: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="no artifacts"):
        script.check()
    (script.FRESH / "A.json").write_text("a")
    (script.SHIPPED / "Gone.json").write_text("g")
    with pytest.raises(SystemExit, match=r"A\.json, Gone\.json: differ from the compiled sources"):
        script.check()
    script.ship()
    script.check()
    assert "1 artifacts match the compiled sources" in capsys.readouterr().out
    (script.SHIPPED / "A.json").write_text("b")
    with pytest.raises(SystemExit, match=r"A\.json: differ from"):
        script.check()
