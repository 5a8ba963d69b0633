"""scripts/artifacts.py: the artifacts it writes and its check. tests/contracts covers the compilation itself."""

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


def run_of(code: str = "6000", unit: str = "contracts/A.sol", immutables: Any = None) -> tuple[Any, Any]:
    """The input and output of a compiler run over one contract that uses one library."""
    library = "contracts/.cache/openzeppelin/local/utils/L.sol"
    given = {
        "sources": {unit: {"content": "a"}, library: {"content": "l"}, "contracts/Other.sol": {"content": "o"}},
        "settings": {
            "evmVersion": "prague",
            "optimizer": {"enabled": True, "runs": 1},
            "viaIR": True,
            "remappings": [],
        },
    }
    metadata = {"compiler": {"version": "0.8.37+commit.0"}, "sources": {unit: {}, library: {}}}
    deployed = {"object": code, "immutableReferences": immutables or {}}
    contract = {
        "abi": [],
        "metadata": json.dumps(metadata),
        "evm": {"bytecode": {"object": code}, "deployedBytecode": deployed},
    }
    variables = [{"nodeType": "VariableDeclaration", "stateVariable": True, "id": i, "name": f"v{i}"} for i in (7, 8)]
    # A contract and its base, with two functions each.
    inherited = {"nodeType": "ContractDefinition", "id": 2, "name": "B", "linearizedBaseContracts": [2]}
    inherited["nodes"] = [function("g", "restricted"), function("f", "other")]
    own = {"nodeType": "ContractDefinition", "id": 1, "name": "A", "linearizedBaseContracts": [1, 2]}
    own["nodes"] = [function("h", "other", "restricted"), function("i")]
    nodes = [*variables, own, inherited]
    return given, {"sources": {unit: {"ast": {"nodes": nodes}}}, "contracts": {unit: {"A": contract}}}


def function(name: str, *modifiers: str) -> dict[str, Any]:
    """The parts of a function's syntax tree that the script reads."""
    named = [{"modifierName": {"name": modifier}} for modifier in modifiers]
    return {"nodeType": "FunctionDefinition", "name": name, "modifiers": named}


def test_restricted_functions_include_those_of_bases(script: ModuleType) -> None:
    [(artifact, _)] = script.artifacts(*run_of())
    assert artifact["restricted"] == ["g", "h"]


def test_immutables_have_names_and_are_sorted(script: ModuleType) -> None:
    places = {"8": [{"start": 9, "length": 32}], "7": [{"start": 50, "length": 32}, {"start": 1, "length": 32}]}
    [(artifact, _)] = script.artifacts(*run_of(immutables=places))
    assert [(place["name"], place["start"]) for place in artifact["immutableReferences"]] == [
        ("v7", 1),
        ("v8", 9),
        ("v7", 50),
    ]


def test_compiler_input_has_the_used_sources_by_import_path(script: ModuleType) -> None:
    [(artifact, source)] = script.artifacts(*run_of())
    assert list(json.loads(source)["sources"]) == ["@openzeppelin/contracts/utils/L.sol", "contracts/A.sol"]
    assert "remappings" not in json.loads(source)["settings"]
    changed_input, output = run_of()
    changed_input["sources"]["contracts/Other.sol"]["content"] = "changed"
    [(same, _)] = script.artifacts(changed_input, output)
    assert same["inputHash"] == artifact["inputHash"]
    changed_input["sources"]["contracts/A.sol"]["content"] = "changed"
    [(other, _)] = script.artifacts(changed_input, output)
    assert other["inputHash"] != artifact["inputHash"]


@pytest.mark.parametrize("unit", ["contracts/mocks/A.sol", "contracts/.cache/openzeppelin/local/utils/A.sol"])
def test_only_contracts_of_the_top_folder_ship(script: ModuleType, unit: str) -> None:
    assert list(script.artifacts(*run_of(unit=unit))) == []


def test_interfaces_do_not_ship(script: ModuleType) -> None:
    assert list(script.artifacts(*run_of(code=""))) == []


@pytest.mark.parametrize(
    ("code", "message"), [("73__$0123$__", "linked library"), ("00" * 24_577, "the limit is 24576")]
)
def test_undeployable_contract_is_an_error(script: ModuleType, code: str, message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        list(script.artifacts(*run_of(code=code)))


def test_render_writes_one_line_per_abi_entry(script: ModuleType) -> None:
    artifact = {"contractName": "A", "abi": [{"type": "error"}, {"type": "event"}], "immutableReferences": []}
    text = script.render(artifact)
    assert json.loads(text) == artifact
    assert len(text.splitlines()) == 8


def test_check_compares_files_byte_by_byte(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
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
