"""Mutation testing: checks that the forge tests detect small mistakes in a contract.

Each mutant is compiled in a copy of the tree with the project's compiler. The tests run with few random cases first
and, if they all pass, with the usual number. Mutants that no test detects are listed: write a test, or explain in
docs/assurance.md why the mutant is equivalent. Results are stored in .toolchain/mutation, so that an interrupted run
resumes.

    python scripts/mutate.py contracts/Staking.sol --tests 'Staking*.t.sol'
    python scripts/mutate.py contracts/Staking.sol ... --report     # print the stored results only
    python scripts/mutate.py contracts/Staking.sol ... --again      # run the survivors again
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from mutants import Mutant, apply, batches, beneficiary, find

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / ".toolchain"
BATCH = 60
"""Maximum mutants per compilation: more exceed the compiler's stack depth in a function."""
LARGE = {"FOUNDRY_CODE_SIZE_LIMIT": "1000000"}  # a batch of mutants exceeds the chain's code size limit
SEARCH = {"FOUNDRY_FUZZ_RUNS": "48", "FOUNDRY_INVARIANT_RUNS": "8", "FOUNDRY_INVARIANT_DEPTH": "48"}


class Tree:
    """A copy of the files that forge needs; only the file under test changes."""

    def __init__(self, folder: Path, file: str, tests: list[str], commit: str | None) -> None:
        self.folder, self.file = folder, file
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("contracts", "tests/solidity", "foundry.toml"):
            target = folder / name
            shutil.rmtree(target, ignore_errors=True)
            if commit is not None:
                packed = subprocess.run(["git", "archive", commit, name], cwd=ROOT, capture_output=True, check=True)
                subprocess.run(["tar", "xf", "-"], cwd=folder, input=packed.stdout, check=True)
            elif (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns(".cache"))
            else:
                shutil.copy(ROOT / name, target)
        # Forge compiles every test file, so only the selected ones stay.
        for test in (folder / "tests/solidity").glob("*.sol"):
            if not any(test.match(pattern) for pattern in tests):
                test.unlink()
        for name in ("node_modules", ".toolchain/solcx", "node/covey/chain/artifacts"):
            link = folder / name
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(ROOT / name)
        self.original = (folder / file).read_bytes()

    def write(self, source: bytes) -> None:
        (self.folder / self.file).write_bytes(source)

    def compile(self, output: list[str]) -> dict[str, Any]:
        """Standard JSON output of the compiler for the file under test."""
        selection = {self.file: {"": output}}
        remappings = ["@openzeppelin/contracts/=node_modules/@openzeppelin/contracts/"]
        compiler_input = {
            "language": "Solidity",
            "sources": {self.file: {"urls": [self.file]}},
            "settings": {"viaIR": True, "evmVersion": "prague", "remappings": remappings, "outputSelection": selection},
        }
        solc = next((TOOLS / "solcx").glob("solc-v*"))
        done = subprocess.run(
            [str(solc), "--standard-json", "--base-path", str(self.folder)],
            input=json.dumps(compiler_input), capture_output=True, text=True, check=True, cwd=self.folder,
        )  # fmt: skip
        compiled: dict[str, Any] = json.loads(done.stdout)
        return compiled

    def forge(self, arguments: list[str], limit: float, environment: dict[str, str] | None = None) -> tuple[int, str]:
        """Run forge. Returns its exit status and output; the status is 124 after `limit` seconds."""
        process = subprocess.Popen(
            ["forge", *arguments],
            cwd=self.folder, env={**os.environ, **LARGE, **(environment or {})}, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
        try:
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return 124, "timed out"
        return process.returncode, output


def loosened(tree: dict[str, Any], source: bytes) -> bytes:
    """Replace `pure` by `view` in private and internal functions, since a mutant's switch reads the block."""
    loose = bytearray(source)
    for contract in tree["nodes"]:
        for node in contract.get("nodes", []):
            if node["nodeType"] != "FunctionDefinition" or contract["contractKind"] != "contract":
                continue
            if node["stateMutability"] == "pure" and node["visibility"] in {"private", "internal"}:
                start = int(node["src"].split(":")[0])
                body = int(node["body"]["src"].split(":")[0]) if node.get("body") else len(source)
                at = source.find(b" pure", start, body)
                if at >= 0:
                    loose[at : at + 5] = b" view"
    return bytes(loose)


def uncompilable(tree: Tree, batch: list[Mutant], places: list[tuple[int, int]]) -> list[Mutant]:
    """Mutants of the batch that the compiler rejects (types, mutability), found by the positions of its errors."""
    errors = [error for error in tree.compile(["ast"]).get("errors", []) if error["severity"] == "error"]
    wrong: list[Mutant] = []
    for error in errors:
        spots = [error.get("sourceLocation", {}), *error.get("secondarySourceLocations", [])]
        ranges = [(spot["start"], spot["end"]) for spot in spots if spot.get("file") == tree.file]
        inside = [m for m, (start, end) in zip(batch, places, strict=True) if any(start <= a < end for a, _ in ranges)]
        # A failing conversion is reported as a whole, around the mutant.
        around = [m for m, (start, end) in zip(batch, places, strict=True) if any(a < start < b for a, b in ranges)]
        wrong += [mutant for mutant in inside or around if mutant not in wrong]
    if errors and not wrong and len(batch) == 1:
        return batch
    if errors and not wrong:
        raise Unlocated(errors[0].get("formattedMessage", ""))
    return wrong


class Unlocated(Exception):
    """The compiler rejects a batch at a position outside all mutants."""


class Run:
    """Runs mutants and stores the results."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        name = Path(options.file).stem
        self.state = TOOLS / "mutation" / f"{name}.jsonl"
        self.state.parent.mkdir(parents=True, exist_ok=True)
        self.tree = Tree(TOOLS / "mutation" / name, options.file, options.tests, options.commit)
        self.results: dict[str, dict[str, Any]] = {}
        if self.state.exists():
            for line in self.state.read_text().splitlines():
                entry = json.loads(line)
                self.results[entry["name"]] = entry
        output = self.tree.compile(["ast"])
        if options.file not in output.get("sources", {}):
            raise SystemExit(f"error: {options.file} does not compile: {output.get('errors')}")
        ast = output["sources"][options.file]["ast"]
        self.source = loosened(ast, self.tree.original)
        self.all = find(ast, self.tree.original)
        self.deadline = time.monotonic() + 60 * options.minutes

    def record(self, mutant: Mutant, result: str, note: str = "") -> None:
        entry = {"name": mutant.name, "result": result, "what": mutant.describe(), "note": note}
        self.results[mutant.name] = entry
        with self.state.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        if not self.options.quiet:
            print(f"{result:<13}{mutant.describe()}{f'  [{note}]' if note else ''}", flush=True)

    def chosen(self) -> list[Mutant]:
        """The sample, selected by the hash of the mutant's name, so that every run has the same one."""
        parts = self.options.fraction
        sample = [m for m in self.all if int(hashlib.sha256(m.name.encode()).hexdigest(), 16) % parts == 0]
        return [m for m in sample if m.function in self.options.functions] if self.options.functions else sample

    def due(self) -> list[Mutant]:
        done = {
            name for name, entry in self.results.items() if not (self.options.again and entry["result"] == "survived")
        }
        return [mutant for mutant in self.chosen() if mutant.name not in done]

    # ------------------------------------------------------------------ running

    def test(self, beneficiary_: str, search: bool) -> tuple[int, str]:
        arguments = ["test", "--fail-fast", "--offline", "--block-coinbase", beneficiary_]
        arguments += ["--no-match-contract", self.options.without]
        return self.tree.forge(arguments, self.options.limit, SEARCH if search else None)

    def notices(self, place: int) -> tuple[str, str]:
        """Run the tests against one mutant. Returns "killed" and the first failing test, or "survived"."""
        for search in (True, False):
            status, output = self.test(beneficiary(place), search)
            if status == 124:
                return "killed", "timed out"
            if status != 0:
                failed = [line.strip() for line in output.splitlines() if "[FAIL" in line]
                if not failed:
                    raise SystemExit(f"error: forge did not run:\n{output[-3000:]}")
                return "killed", name_of(failed[0])
            if self.options.once:
                break
        return "survived", ""

    def batch(self, batch: list[Mutant]) -> None:
        alone = len(batch) == 1 and not batch[0].guard
        while batch:
            source, places = apply(self.tree.original if alone else self.source, batch)
            self.tree.write(source)
            try:
                wrong = uncompilable(self.tree, batch, places)
            except Unlocated:
                self.batch(batch[::2])
                self.batch(batch[1::2])
                return
            for mutant in wrong:
                self.record(mutant, "uncompilable")
            batch = [mutant for mutant in batch if mutant not in wrong]
            if not wrong:
                break
        if not batch:
            return
        # The batch compiles. With no mutant enabled, the tests must pass.
        status, output = (0, "") if alone else self.test(beneficiary(-1), True)
        if status != 0 and "Stack too deep" in output.replace("\n", " ") and len(batch) > 1:
            self.batch(batch[::2])
            self.batch(batch[1::2])
            return
        if status != 0:
            raise SystemExit(f"error: the tests fail without a mutant:\n{output[-3000:]}")
        for place, mutant in enumerate(batch):
            if time.monotonic() > self.deadline:
                return
            self.record(mutant, *self.notices(place))

    def go(self) -> None:
        due = self.due()
        print(f"{self.options.file}: {len(self.all)} mutants, 1 in {self.options.fraction} sampled; {len(due)} to do")
        for batch in batches(due, BATCH):
            if time.monotonic() > self.deadline:
                print(f"stopped after {self.options.minutes} minutes; run the same command to resume")
                break
            self.batch(batch)
        self.tree.write(self.tree.original)

    def report(self) -> bool:
        """Print the counts and the survivors. True if none survived."""
        sample = {mutant.name: mutant for mutant in self.chosen()}
        known = {name: self.results[name]["result"] for name in sample if name in self.results}
        counts = Counter(known.values())
        survived = [mutant for name, mutant in sample.items() if known.get(name) == "survived"]
        for mutant in survived:
            print(f"survived     {mutant.describe()}")
        row = {
            "file": self.options.file,
            "mutants": len(self.all),
            "sampled": len(sample),
            "tried": len(known),
            "killed": counts["killed"],
            "survived": counts["survived"],
            "uncompilable": counts["uncompilable"],
        }
        print(json.dumps(row))
        return not survived


def name_of(line: str) -> str:
    """The name of the failed test in a line of forge's output."""
    found = re.findall(r"\b((?:test|invariant)\w*)", line)
    return found[-1] if found else line[:80]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="the contract, for example contracts/Staking.sol")
    parser.add_argument("--tests", nargs="+", default=["*.t.sol"], help="patterns of test files below tests/solidity")
    parser.add_argument("--once", action="store_true", help="run the tests with few random cases only")
    parser.add_argument("--without", default="Gas", help="test contracts to exclude: a mutant's switch costs gas")
    parser.add_argument("--commit", help="mutate this commit instead of the working tree")
    parser.add_argument("--functions", nargs="*", help="only mutants of these functions")
    parser.add_argument("--fraction", type=int, default=1, help="run one mutant in FRACTION")
    parser.add_argument("--minutes", type=float, default=60.0, help="stop after this time")
    parser.add_argument("--limit", type=float, default=600.0, help="time limit of one test run, seconds")
    parser.add_argument("--again", action="store_true", help="run the survivors again")
    parser.add_argument("--report", action="store_true", help="print the stored results only")
    parser.add_argument("--quiet", action="store_true", help="print the report only")
    options = parser.parse_args()
    if not (ROOT / options.file).is_file():
        sys.exit(f"error: {options.file} is not a file of this project")
    run = Run(options)
    if not options.report:
        run.go()
    run.report()


if __name__ == "__main__":
    main()
