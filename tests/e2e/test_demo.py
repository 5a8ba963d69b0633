"""The demo with other seeds than its default: no part of it may depend on one draw."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.fork_pool import ForkPool

from covey.devnet.result import DemoResult

COMMAND = [sys.executable, "-c", "from covey.cli.main import run; run()"]
LIMIT_S = 900

pytestmark = [pytest.mark.daemon, pytest.mark.slow, pytest.mark.timeout(1200)]


def environment() -> dict[str, str]:
    """This process's environment, without settings of the user's own node."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVEY_") or name == "COVEY_ANVIL"}


def covey(pool: ForkPool, *arguments: str) -> Any:
    """Run a command that must succeed; returns the JSON that it prints."""
    done = pool.covey(*arguments, "--json", environment=environment(), folder=Path.cwd(), timeout=LIMIT_S)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def of_run(out: Path) -> set[int]:
    """Processes with the run's folder on their command line or among their open files."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            held = [os.readlink(link) for link in (process / "fd").iterdir()]
            held.append((process / "cmdline").read_bytes().decode(errors="replace"))
        except OSError:
            continue
        if any(str(out) in name for name in held) and int(process.name) != os.getpid():
            found.add(int(process.name))
    return found


def check(shown: dict[str, Any]) -> DemoResult:
    """Check what every run must show, whatever its seed."""
    result = DemoResult.model_validate({name: value for name, value in shown.items() if name != "total_s"})
    assert result.check.differences == []
    assert result.check.unavailable == []
    assert result.check.checked >= 100
    assert result.spearman >= 0.8
    for entry in result.entries:
        assert (int(entry.reward_wei) > 0) == entry.honest, f"{entry.name} earned {entry.reward_wei}"
    for row in result.validators:
        assert (int(row.reward_wei) > 0) == row.honest, f"{row.name} earned {row.reward_wei}"
    paid = sum(int(entry.reward_wei) for entry in result.entries)
    assert 0 <= int(result.rules.trainers_pool_wei) - paid < len(result.entries), "all but the rounding is paid"
    matrix = result.matrix
    for name, values, own in zip(matrix.rows, matrix.values, matrix.own, strict=True):
        if own:
            best = matrix.columns[values.index(max(values))]
            assert best in own, f"{name} helps most on {best}: {values}"
    for index, column in enumerate(matrix.columns):
        owners = [name for name, own in zip(matrix.rows, matrix.own, strict=True) if column in own]
        best = max(zip(matrix.values, matrix.rows, strict=True), key=lambda pair: pair[0][index])[1]
        assert not owners or best in owners, f"{column} is helped most by {best}"
    return result


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[DemoResult, Path, list[str]]]:
    """A run of seed 11 whose network stays up: its result, its folder, and the options for its chain."""
    out = tmp_path_factory.mktemp("demo") / "run"
    process = subprocess.Popen(
        [*COMMAND, "demo", "--seed", "11", "--out", str(out), "--keep", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = []
        while (line := process.stdout.readline()) and line != "}\n":
            lines.append(line)
        assert lines, process.stderr.read()[-3000:]
        where = next(line for line in iter(process.stderr.readline, "") if "covey explain" in line).split()
        yield check(json.loads("".join(lines) + "}")), out, where[where.index("--rpc-urls") :]
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        finally:
            process.kill()
    assert process.returncode == 0
    assert of_run(out) == set(), "a process of the run is still running"


@pytest.mark.xdist_group("demo")
def test_demo_pays_by_the_rules_and_its_network_answers(
    running: tuple[DemoResult, Path, list[str]], pool: ForkPool
) -> None:
    result, out, where = running
    assert (out / "report.html").stat().st_size > 20_000
    assert json.loads((out / "result.json").read_text())["spearman"] == result.spearman
    why = covey(pool, "explain", "1", *where)
    assert why["outcome"] == "paid"
    assert why["differences"] == why["unclaimed"] == []
    rewards = {entry["operator"]: int(entry["reward"]) for entry in why["entries"]}
    assert rewards == {entry.operator: int(entry.reward_wei) for entry in result.entries}
    assert [task["state"]["outcome"] for task in covey(pool, "task", "list", *where)] == ["paid"]
    audit = covey(pool, "audit", "replay", *where)
    assert (audit["tasks"], audit["differences"], audit["unclaimed"]) == (1, [], [])
    assert audit["checked"] > 100
    gateway = json.loads((out / "nodes/harbour-heart/settings.json").read_text())["peers"][0]
    shown = covey(pool, "task", "show", "1", *where, "--data-dir", str(out / "reader"), "--peers", gateway)
    assert shown["spec"]["base"]["digest"] == result.base.digest


@pytest.mark.xdist_group("demo")
def test_status_of_a_node_of_the_demo(running: tuple[DemoResult, Path, list[str]], pool: ForkPool) -> None:
    result, out, where = running
    settings = json.loads((out / "nodes/anchor-lab/settings.json").read_text())
    standing = covey(
        pool, "status", *where, "--operator", settings["operator"], "--keystore", settings["keystore"],
        "--health-listen", settings["health_listen"],
    )  # fmt: skip
    assert standing["node"]["operator"] == standing["operator"] == settings["operator"]
    assert standing["eligible"] is True
    assert standing["tasks"][0]["did"] == ["enrolled", "scored", "scores revealed"]
    paid = next(row.reward_wei for row in result.validators if row.operator == settings["operator"])
    assert int(standing["tasks"][0]["paid"]) == int(paid)


@pytest.mark.xdist_group("demo")
def test_delegator_enters_and_leaves_on_the_network(
    running: tuple[DemoResult, Path, list[str]], pool: ForkPool
) -> None:
    """Stake is delegated and undelegated by command; each refusal is one line."""
    result, out, where = running
    operator = next(entry.operator for entry in result.entries if entry.honest)
    key = ["--keystore", str(out / "keys/anchor-lab-owner.json"), "--password-file", str(out / "keys/password")]
    entered = covey(pool, "delegate", operator, "5CVY", *where, *key)  # out of the commission that the owner was paid
    assert [sent["purpose"].split()[0] for sent in entered["transactions"]] == ["allow", "delegate"]
    left = covey(pool, "undelegate", operator, "all", *where, *key)
    assert len(left["transactions"]) == 1
    refusals = {
        f"undelegate {operator} all": "has nothing in the pool",
        f"delegate {operator} 1000000CVY": "less than 1000000 CVY",
        f"delegate {'0x' + 'ab' * 20} 5CVY": "is not an operator",
        f"claim 7 --operator {operator}": "no task 7",
        "explain 7": "no task 7",
        "audit replay 7": "no task 7",
        "task show 7": "no task 7",
    }
    for line, message in refusals.items():
        wallet = key if line.split()[0] not in ("task", "explain", "audit") else []
        done = pool.covey(*line.split(), *where, *wallet, environment=environment(), folder=out)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert message in done.stderr


@pytest.mark.long
@pytest.mark.ci
def test_demo_with_another_seed_and_more_validators(tmp_path: Path, pool: ForkPool) -> None:
    result = check(covey(pool, "demo", "--seed", "2024", "--validators", "4", "--out", str(tmp_path / "run")))
    assert sum(row.honest for row in result.validators) == 4
    assert of_run(tmp_path / "run") == set()


@pytest.mark.parametrize(
    "number",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=[pytest.mark.long, pytest.mark.ci]),
        pytest.param(signal.SIGKILL, marks=[pytest.mark.long, pytest.mark.ci]),
    ],
)
def test_interrupted_demo_leaves_no_process(number: int, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(
        [*COMMAND, "demo", "--out", str(out)], stderr=subprocess.PIPE, text=True, env=environment()
    )
    try:
        while not list(out.glob("nodes/*/node.log")):
            assert process.poll() is None
            time.sleep(0.1)
        assert len(of_run(out)) > 3
        process.send_signal(number)
        assert process.wait(60) == (-number if number == signal.SIGKILL else 130)
    finally:
        process.kill()
    end = time.monotonic() + (120 if number == signal.SIGKILL else 0)
    while (left := of_run(out)) and time.monotonic() < end:  # after SIGKILL it cannot wait for them itself
        time.sleep(0.1)
    assert left == set()
