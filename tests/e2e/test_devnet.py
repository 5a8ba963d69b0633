"""The operator guide's commands on `covey devnet`: set up, stake, delegate, undelegate, post and show a task."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.fork_pool import ForkPool

from covey.devnet import scenario
from covey.devnet.anvil import free_port
from covey.ipfs import BlockStore, Gateway
from covey.lora.bases.resolve import resolve

COMMAND = [sys.executable, "-c", "from covey.cli.main import run; run()"]

pytestmark = [pytest.mark.daemon, pytest.mark.slow, pytest.mark.xdist_group("devnet")]


@dataclass(frozen=True)
class Devnet:
    """A running local network."""

    folder: Path
    facts: dict[str, Any]
    pool: ForkPool

    def key(self, number: int, prefix: str = "") -> list[str]:
        """Options that name a funded account's key."""
        account = self.facts["accounts"][number - 1]
        return [f"--{prefix}keystore", account["keystore"], f"--{prefix}password-file", self.facts["password_file"]]

    def run(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command on this network, which must exit with `code`."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("COVEY_")}
        environment |= {"COVEY_RPC_URLS": self.facts["rpc_url"], "COVEY_DEPLOYMENT": self.facts["deployment"]}
        environment["HOME"] = str(self.folder)
        done = self.pool.covey(*arguments, environment=environment, folder=self.folder)
        assert done.returncode == code, done.stderr
        return done

    def json(self, *arguments: str) -> Any:
        """Run a command; returns the JSON that it prints."""
        return json.loads(self.run(*arguments, "--json").stdout)


@contextmanager
def running(folder: Path, *options: str) -> Iterator[dict[str, Any]]:
    """What `covey devnet --json` prints; it ends with the block, as by Ctrl-C."""
    process = subprocess.Popen(
        [*COMMAND, "devnet", "--out", str(folder / "net"), "--json", *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = []
        while (line := process.stdout.readline()) and line != "}\n":
            lines.append(line)
        assert lines, process.stderr.read()[-2000:]
        yield json.loads("".join(lines) + "}")
    finally:
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(120) == 0
        finally:
            process.kill()


@pytest.fixture(scope="module")
def devnet(tmp_path_factory: pytest.TempPathFactory, pool: ForkPool) -> Iterator[Devnet]:
    """A network with five funded accounts; Ctrl-C ends it."""
    folder = tmp_path_factory.mktemp("devnet")
    with running(folder, "--port", str(free_port())) as facts:
        (folder / "heldout.jsonl").write_text('{"text": "a record", "stratum": "all"}\n')
        yield Devnet(folder, facts, pool)


def test_killed_devnet_takes_its_chain_along(tmp_path: Path) -> None:
    out, port = tmp_path / "net", free_port()
    process = subprocess.Popen(
        [*COMMAND, "devnet", "--port", str(port), "--out", str(out), "--json"], stdout=subprocess.PIPE, cwd=tmp_path
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"{\n", "it runs"
        assert answers(port)
    finally:
        process.kill()
        process.wait()
    end = time.monotonic() + 120
    while answers(port) and time.monotonic() < end:
        time.sleep(0.1)
    assert not answers(port)


def answers(port: int) -> bool:
    """Whether a server listens on a port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_a_network_is_continued_and_a_new_one_keeps_the_accounts(tmp_path: Path, pool: ForkPool) -> None:
    port = ["--port", str(free_port())]
    stranger = "0x" + "ab" * 20
    with running(tmp_path, *port, "--accounts=2", "--operators=1") as first:
        net = Devnet(tmp_path, first, pool)
        [made] = first["operators"]
        assert int(made["stake"]) == 2_000 * 10**18
        before = net.json("devnet", "fund", stranger, "--cvy", "7CVY", "--out", "net")
        assert (int(before["coin"]), int(before["cvy"])) == (10 * 10**18, 7 * 10**18)
        owner = ["--keystore", made["owner"]["keystore"], "--password-file", first["password_file"]]
        net.run("undelegate", made["owner"]["address"], "12CVY", *owner)
        assert net.json("withdraw", *owner)["transactions"] == []
    with running(tmp_path, *port, "--accounts=3", "--operators=2", "--resume") as second:
        net = Devnet(tmp_path, second, pool)
        assert second["resumed"]
        assert second["operators"][0]["owner"]["address"] == made["owner"]["address"]
        assert int(second["operators"][0]["stake"]) == 1_988 * 10**18
        assert int(second["operators"][1]["stake"]) == 2_000 * 10**18
        assert [int(account["cvy"]) for account in second["accounts"]] == [100_000 * 10**18] * 3
        skipped = net.json("devnet", "skip", "4h", "--out", "net")
        assert skipped["skipped"] == 4 * 3600
        [withdrawn] = net.json("withdraw", *owner)["transactions"]  # read from the events of the first run
        assert withdrawn["purpose"].startswith("withdraw 12 CVY (entry 0x")
    with running(tmp_path, *port, "--accounts=2") as third:
        assert not third["resumed"]
        assert third["accounts"] == first["accounts"]
        assert third["operators"] == []
    for command in (["skip", "1h"], ["fund", stranger]):
        done = net.run("devnet", *command, "--out", "net", code=2)
        assert "no local network runs with the folder" in done.stderr
    assert "is not a duration" in net.run("devnet", "skip", "soon", "--out", "net", code=2).stderr
    done = net.run("devnet", "--resume", "--out", "nowhere", code=2)
    assert "holds no chain to continue" in done.stderr


@pytest.fixture(scope="module")
def operator(devnet: Devnet) -> str:
    """An operator whose owner is account 1 and whose signer is account 2; its settings are in `node`."""
    devnet.run("init", "node", "--role", "validator", "--heldout-records", "heldout.jsonl", *devnet.key(2))
    staked = devnet.json("stake", "1500CVY", "--config", "node/covey.toml", *devnet.key(1, "owner-"))
    assert [sent["purpose"].split()[0] for sent in staked["transactions"]] == ["register", "allow", "delegate"]
    return str(staked["operator"])


def test_check_passes(devnet: Devnet, operator: str) -> None:
    results = {result["check"]: result for result in devnet.json("check", "--config", "node/covey.toml")}
    assert results["chain"]["state"] == results["keystore"]["state"] == results["operator"]["state"] == "ok"
    assert operator in results["operator"]["message"]


def test_check_finds_the_wrong_chain(devnet: Devnet, tmp_path: Path) -> None:
    wrong = tmp_path / "1"
    wrong.mkdir()
    for file in Path(devnet.facts["deployment"]).iterdir():
        (wrong / file.name).write_text(file.read_text().replace('"chainId": 31337', '"chainId": 1'))
    (tmp_path / "covey.toml").write_text(f'deployment = "{wrong}"\nrpc_urls = ["{devnet.facts["rpc_url"]}"]\n')
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVEY_")}
    config = str(tmp_path / "covey.toml")
    done = devnet.pool.covey("check", "--config", config, "--json", environment=environment, folder=tmp_path)
    assert done.returncode == 1
    chain = next(result for result in json.loads(done.stdout) if result["check"] == "chain")
    assert chain["state"] == "failed"
    assert "31337" in chain["message"]


def test_stake_again_only_adds(devnet: Devnet, operator: str) -> None:
    before = devnet.json("status", "--config", "node/covey.toml", "--health-listen", "127.0.0.1:1")
    staked = devnet.json("stake", "500CVY", "--config", "node/covey.toml", *devnet.key(1, "owner-"))
    after = devnet.json("status", "--config", "node/covey.toml", "--health-listen", "127.0.0.1:1")
    assert "register" not in staked["transactions"][0]["purpose"]
    assert int(after["self_bond"]) - int(before["self_bond"]) == 500 * scenario.CVY
    assert after["node"] is None, "no daemon runs"
    assert after["operator"] == operator


def test_a_delegator_delegates_and_undelegates(devnet: Devnet, operator: str) -> None:
    key = devnet.key(3)
    devnet.run("delegate", operator, "300CVY", *key)
    devnet.run("undelegate", operator, "100CVY", *key)
    waits = devnet.run("withdraw", *key)
    assert "nothing to withdraw" in waits.stdout
    assert "the next of 1 unbonding entries ends at" in waits.stdout
    assert devnet.json("withdraw", *key)["transactions"] == []
    assert "not yet" in devnet.run("withdraw", f"{operator}/0", *key, code=2).stderr
    assert "no unbonding entry" in devnet.run("withdraw", f"{operator}/9", *key, code=2).stderr
    assert "less than 900 CVY" in devnet.run("undelegate", operator, "900CVY", *key, code=2).stderr


def test_a_wrong_password_is_an_error(devnet: Devnet, operator: str, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("not it\n")
    keystore = devnet.key(3)[1]
    done = devnet.run(
        "delegate", operator, "1CVY", "--keystore", keystore, "--password-file", str(tmp_path / "wrong"), code=2
    )
    assert "wrong password" in done.stderr


def test_task_is_posted_listed_and_shown(devnet: Devnet, operator: str) -> None:
    spec = scenario.task_spec(resolve("tiny"), ["one", "two"])
    (devnet.folder / "spec.json").write_text(json.dumps(spec.model_dump(mode="json", exclude_none=True), indent=1))
    key = devnet.key(4, "owner-")
    assert "has no unit" not in devnet.run("task", "create", "spec.json", "--bounty", "0CVY", *key, code=2).stderr
    assert "no block store" in devnet.run("task", "create", "spec.json", "--bounty", "50CVY", *key, code=2).stderr
    hasty = devnet.run("task", "create", "spec.json", "--bounty", "50CVY", "--enrol", "1s", *key, code=2).stderr
    assert "nobody would work on this task: enrol of 1 s (less than 15 s)" in hasty
    posted = devnet.json(
        "task", "create", "spec.json", "--bounty", "50CVY", "--entry-commit", "10m", "--store", "blocks", *key
    )
    listed = devnet.json("task", "list", "--running")
    assert [task["task"] for task in listed] == [posted["task"]]
    shown = devnet.json("task", "show", str(posted["task"]), "--store", "blocks")
    assert shown["phase"] == "entry commit"
    assert shown["spec"]["strata"][1]["name"] == "two"
    assert shown["params"]["h"] == spec.scoring.h
    assert shown["schedule"]["entry_commit_end"] - shown["schedule"]["created_at"] == 600
    people = devnet.run("task", "show", str(posted["task"])).stdout
    assert "entry commit" in people
    assert "The spec was not fetched: give gateways with --peers" in people
    nowhere = devnet.run("task", "show", str(posted["task"]), "--store", "empty").stdout
    assert "could not be fetched: none of " in nowhere
    with BlockStore(devnet.folder / "blocks") as store, Gateway(store) as gateway:
        over = devnet.json("task", "show", str(posted["task"]), "--peers", gateway.url)
    assert over["spec"] == shown["spec"]
    plan = " ".join(
        devnet.run("task", "create", "spec.json", "--bounty", "50CVY", "--store", "blocks", *key).stdout.split()
    )  # lines wrap at the width of the terminal
    assert "51 CVY from 0x" in plan
    assert "a bounty of 50 CVY and a bond of 1 CVY" in plan
    assert "36m 0s" in plan
    why = devnet.json("explain", str(posted["task"]))
    assert why["stage"] == "0 entries committed, 0 revealed, 0 validators enrolled"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--bounty", "0.5CVY"], "--bounty: 0.5 CVY is below the registry's minimum"),
        (["--bond", "0.5CVY"], "--bond"),
        (["--min-stake", "1CVY"], "--min-stake"),
        (["--max-entries", "60000"], "--max-entries"),
        (["--bounty", "9000000CVY"], "bounty and bond take"),
    ],
)
def test_a_task_that_the_registry_would_reject_is_not_sent(
    devnet: Devnet, operator: str, options: list[str], message: str
) -> None:
    spec = scenario.task_spec(resolve("tiny"), ["one", "two"])
    (devnet.folder / "spec.json").write_text(json.dumps(spec.model_dump(mode="json", exclude_none=True)))
    done = devnet.run(
        "task", "create", "spec.json", *options, "--store", "other-blocks", *devnet.key(4, "owner-"), code=2
    )
    assert message in done.stderr


def test_a_revert_is_one_line(devnet: Devnet, operator: str) -> None:
    """An operator cannot enrol before the enrolment window; nothing but the reason is printed."""
    spec = scenario.task_spec(resolve("tiny"), ["one", "two"])
    (devnet.folder / "spec.json").write_text(json.dumps(spec.model_dump(mode="json", exclude_none=True)))
    posted = devnet.json(
        "task",
        "create",
        "spec.json",
        "--bounty",
        "50CVY",
        "--entry-commit",
        "600",
        "--store",
        "more",
        *devnet.key(4, "owner-"),
    )
    done = devnet.run("enrol", str(posted["task"]), "100CVY", "--config", "node/covey.toml", code=1)
    assert done.stderr.count("\n") == 1
    assert "window" in done.stderr
