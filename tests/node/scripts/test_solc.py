"""scripts/solc.js: the npm compiler with the command line of the native one."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

LAUNCHER = Path(__file__).resolve().parents[3] / "scripts" / "solc.js"
LICENCE = "// SPDX-License-Identifier: MIT\npragma solidity 0.8.37;\n"
LIBRARY = LICENCE + "library Twice { function twice(uint256 x) internal pure returns (uint256) { return 2 * x; } }\n"
USER = LICENCE + (
    'import {Twice} from "./Twice.sol";\n'
    "contract User { function f(uint256 x) external pure returns (uint256) { return Twice.twice(x); } }\n"
)


def solc(*arguments: str | Path, source: Any = None, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["node", LAUNCHER, *arguments],
        input=None if source is None else json.dumps(source),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **variables},
    )


def standard(sources: dict[str, Any], **settings: Any) -> dict[str, Any]:
    selection = {"*": {"*": ["evm.bytecode.object", "metadata"]}}
    return {"language": "Solidity", "sources": sources, "settings": {"outputSelection": selection, **settings}}


def compiled(*arguments: str | Path, source: Any, **variables: str) -> dict[str, Any]:
    done = solc(*arguments, "--standard-json", source=source, **variables)
    assert done.returncode == 0, done.stderr
    output: dict[str, Any] = json.loads(done.stdout)
    return output


def errors(output: dict[str, Any]) -> list[str]:
    return [error["message"] for error in output.get("errors", []) if error["severity"] == "error"]


def test_version_is_printed() -> None:
    done = solc("--version")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith("Version: 0.8.37+commit.")


def test_imports_and_urls_resolve_below_the_base_path(tmp_path: Path) -> None:
    (tmp_path / "User.sol").write_text(USER)
    (tmp_path / "Twice.sol").write_text(LIBRARY)
    given = compiled("--base-path", tmp_path, source=standard({"User.sol": {"urls": ["User.sol"]}}))
    inline = compiled(source=standard({"User.sol": {"content": USER}, "Twice.sol": {"content": LIBRARY}}))
    assert errors(given) == []
    assert given["contracts"]["User.sol"]["User"]["evm"] == inline["contracts"]["User.sol"]["User"]["evm"]


def test_imports_resolve_below_an_include_path(tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    (library / "Twice.sol").write_text(LIBRARY)
    arguments = ("--base-path", tmp_path, "--allow-paths", "/", f"--include-path={library}")
    output = compiled(*arguments, source=standard({"User.sol": {"content": USER}}))
    assert errors(output) == []


def test_missing_import_is_a_compiler_error(tmp_path: Path) -> None:
    output = compiled("--base-path", tmp_path, source=standard({"User.sol": {"content": USER}}))
    assert any("Twice.sol" in message and "not found" in message for message in errors(output))


def test_bytecode_has_no_source_hash_by_default() -> None:
    def bytecode(source: str, **settings: Any) -> str:
        output = compiled(source=standard({"A.sol": {"content": source}}, **settings))
        code: str = output["contracts"]["A.sol"]["A"]["evm"]["bytecode"]["object"]
        return code

    plain = LICENCE + "contract A { uint256 public x; }\n"
    commented = plain + "// a comment\n"
    hashed = {"metadata": {"bytecodeHash": "ipfs"}}
    assert bytecode(plain) == bytecode(commented)
    assert bytecode(plain, **hashed) != bytecode(commented, **hashed)


@pytest.mark.parametrize("arguments", [("--bin",), (), ("--base-path",)])
def test_unknown_arguments_are_refused(arguments: tuple[str, ...]) -> None:
    done = solc(*arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1


def native(folder: Path, script: str) -> str:
    program = folder / "solc"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


def test_native_compiler_gets_the_completed_input(tmp_path: Path) -> None:
    program = native(tmp_path, 'echo "$@" > arguments; cat')
    source = standard({"A.sol": {"content": "contract A {}"}})
    done = subprocess.run(
        ["node", LAUNCHER, "--base-path", ".", "--standard-json", "-"],
        input=json.dumps(source),
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={**os.environ, "COVEY_SOLC_NATIVE": program},
    )
    assert (tmp_path / "arguments").read_text().split() == ["--base-path", ".", "--standard-json"]
    assert json.loads(done.stdout)["settings"]["metadata"] == {"bytecodeHash": "none"}


def test_failure_of_the_native_compiler_is_reported(tmp_path: Path) -> None:
    program = native(tmp_path, "cat > /dev/null; echo broken >&2; exit 3")
    done = solc("--standard-json", source=standard({}), COVEY_SOLC_NATIVE=program)
    assert done.returncode == 1
    assert done.stderr == f"Error: {program}: broken\n"


SEVERAL = {
    name: {"content": LICENCE + f"contract {name[0]} {{ uint256 public {name[0].lower()} = {number}; }}\n"}
    for number, name in enumerate(("A.sol", "B.sol", "C.sol"))
}
BY_SOURCE = {name: {"*": ["abi", "evm.bytecode.object"], "": ["ast"]} for name in SEVERAL}


@pytest.mark.parametrize("selection", [BY_SOURCE, {"*": {"*": ["abi", "evm.bytecode.object"], "": ["ast"]}}])
def test_jobs_on_several_cores_give_the_output_of_one_job(selection: Any) -> None:
    source = standard(SEVERAL, outputSelection=selection)
    one, several = (compiled(source=source, COVEY_SOLC_JOBS=jobs) for jobs in ("1", "2"))
    assert list(one["contracts"]) == list(SEVERAL)
    assert several == one


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_tests_compile_without_ir_unless_they_ask_for_it(jobs: str) -> None:
    contract = "contract A { uint256 public a = 1; }\n"
    sources = {
        "contracts/A.sol": LICENCE + contract,
        "tests/solidity/Plain.t.sol": LICENCE + contract.replace("A", "Plain"),
        "tests/solidity/Asking.t.sol": LICENCE + "// via-IR: measures gas.\n" + contract.replace("A", "Asking"),
    }
    source = standard(
        {name: {"content": text} for name, text in sources.items()},
        viaIR=True,
        optimizer={"enabled": True, "runs": 100},
    )
    output = compiled(source=source, COVEY_SOLC_JOBS=jobs)
    found = {
        name: json.loads(contract["metadata"])["settings"]
        for unit in output["contracts"].values()
        for name, contract in unit.items()
    }
    assert {name: settings.get("viaIR", False) for name, settings in found.items()} == {
        "A": True,
        "Plain": False,
        "Asking": True,
    }
    assert {name: settings["optimizer"]["runs"] for name, settings in found.items()} == {
        "A": 100,
        "Plain": 1,
        "Asking": 100,
    }


def test_warnings_and_errors_of_several_jobs_are_reported_once() -> None:
    broken = SEVERAL | {"B.sol": {"content": LICENCE + "contract B { uint256 x = ; }\n"}}
    output = compiled(source=standard(broken, outputSelection=BY_SOURCE), COVEY_SOLC_JOBS="2")
    assert len(errors(output)) == 1


def test_cached_output_is_used_for_the_same_input(tmp_path: Path) -> None:
    source = standard(SEVERAL, outputSelection=BY_SOURCE)
    variables = {"COVEY_SOLC_CACHE": str(tmp_path), "COVEY_SOLC_JOBS": "2"}
    first = compiled(source=source, **variables)
    entries = sorted(tmp_path.iterdir())
    assert len(entries) == 2
    for entry in entries:
        entry.write_text(entry.read_text().replace('"abi"', '"cached"'))
    assert "abi" in first["contracts"]["A.sol"]["A"]
    assert "cached" in compiled(source=source, **variables)["contracts"]["A.sol"]["A"]
    changed = standard(SEVERAL, outputSelection=BY_SOURCE, optimizer={"enabled": True, "runs": 7})
    assert "abi" in compiled(source=changed, **variables)["contracts"]["A.sol"]["A"]


def test_imported_files_have_outputs_when_jobs_are_split(tmp_path: Path) -> None:
    (tmp_path / "Twice.sol").write_text(LIBRARY)
    source = standard(SEVERAL | {"User.sol": {"content": USER}})
    output = compiled("--base-path", tmp_path, source=source, COVEY_SOLC_JOBS="2")
    assert set(output["contracts"]) == {*SEVERAL, "User.sol", "Twice.sol"}


def test_output_that_depends_on_other_files_is_not_cached(tmp_path: Path) -> None:
    (tmp_path / "Twice.sol").write_text(LIBRARY)
    cache = tmp_path / "cache"
    source = standard({"User.sol": {"content": USER}})
    assert errors(compiled("--base-path", tmp_path, source=source, COVEY_SOLC_CACHE=str(cache))) == []
    assert not cache.exists()
