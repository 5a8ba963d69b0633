"""A node that is watched: red for each reason there is, told by webhook, by a real Prometheus, by `covey status`; and
what it would do, told by `covey run --dry-run` without a trace.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.network import SOURCE, Network, Node, network, tiny_spec
from tests.support.prometheus import find

from covey import ops
from covey.devnet.anvil import free_port

pytestmark = [pytest.mark.daemon, pytest.mark.slow, pytest.mark.timeout(900)]

COMMAND = (sys.executable, "-c", "from covey.cli.main import run; run()")
COIN = 10**18


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Network]:
    (tmp_path / "net").mkdir()
    with network(tmp_path / "net") as running:
        yield running


class Webhook:
    """Keeps what is posted."""

    def __init__(self) -> None:
        self.notices: list[dict[str, Any]] = []
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                webhook.notices.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/secret-path"

    def kinds(self, node: Node) -> list[str]:
        return [one["kind"] for one in self.notices if one["operator"] == node.operator]


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    made = Webhook()
    yield made
    made.server.shutdown()
    made.server.server_close()


def covey(*arguments: str) -> str:
    """Standard output of a command that must succeed."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "COVEY_PASSWORD": "", "COLUMNS": "200"}
    done = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, env=environment, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def fingerprint(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Every file below a folder: size, time, digest."""
    return {
        str(path.relative_to(folder)): (
            path.stat().st_size, path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in sorted(folder.rglob("*")) if path.is_file()
    }  # fmt: skip


def red_for(node: Node, text: str) -> bool:
    report = node.report()
    return report.get("status") == "red" and any(text in problem for problem in report["problems"])


def green(node: Node) -> bool:
    return node.report().get("status") == "ok"


def outlook(node: Node) -> dict[str, dict[str, Any]]:
    """What the node would do, by kind of duty."""
    told = json.loads(covey("run", "--dry-run", "--json", "--config", str(node.settings)))
    return {action["duty"].split("/")[0]: action for action in told["actions"]}


def test_red_for_each_reason_told_and_foretold(net: Network, webhook: Webhook, tmp_path: Path) -> None:
    (tmp_path / "webhook").write_text(webhook.url + "\n", encoding="utf-8")
    tell: dict[str, Any] = {
        "webhook_url_file": str(tmp_path / "webhook"),
        "webhook_debounce_seconds": 0,
        "max_head_age_seconds": 6,
    }
    late, prompt = net.add("trainer", **tell), net.add("trainer", **tell)
    validator = net.add("validator", **tell, **{"policy.earmark": "2100 CVY"})
    anvil = net.local.anvil

    # Low balance, from the start on.
    anvil.set_balance(late.signer, 1)
    net.start()
    net.wait("red for the balance", lambda: red_for(late, "less than min_balance"))
    anvil.set_balance(late.signer, 10 * COIN)
    net.wait("green with coin", lambda: green(late))

    # A head that stands still.
    anvil.rpc("evm_setIntervalMining", 0)
    net.wait("red for the head", lambda: red_for(validator, "no new block for"))
    anvil.rpc("evm_setIntervalMining", 1)
    net.wait("green with blocks", lambda: green(validator))

    # A due duty without an accepted transaction: the entry is trained and cannot be paid for.
    late.kill()
    task = net.post(tiny_spec())
    schedule = net.task(task).schedule
    late.kill()
    before = fingerprint(late.settings.parent)
    foreseen = outlook(late)
    assert foreseen["enter"]["would"] == "start a train job"
    assert 0 < foreseen["enter"]["seconds_left"] <= 600
    assert fingerprint(late.settings.parent) == before, "a dry run left a trace"
    late.start()
    net.wait("its entry is trained", lambda: "entry ready" in late.log.read_text(encoding="utf-8"), seconds=300)
    net.wait("its entry is committed", lambda: late.operator in net.task(task).entries, seconds=300)
    late.kill()
    net.wait("the other entry", lambda: prompt.operator in net.task(task).entries, seconds=300)
    net.jump(schedule.entry_commit_end)
    net.wait("enrolment", lambda: validator.operator in net.task(task).enrolled, seconds=300)
    net.jump(schedule.enrol_end)
    net.wait("the other's reveal", lambda: len(net.task(task).lanes) == 1, seconds=300)
    nonce = net.local.rpc.nonce(late.signer, "pending")
    before = fingerprint(late.settings.parent)
    assert outlook(late)["reveal-entry"]["would"].startswith("send reveal")
    assert fingerprint(late.settings.parent) == before
    assert net.local.rpc.nonce(late.signer, "pending") == nonce
    anvil.set_balance(late.signer, 0)
    late.start()
    net.wait("it wants to reveal", lambda: red_for(late, "add funds"))
    net.jump(schedule.entry_reveal_end - 60)
    net.wait("red for what is late", lambda: red_for(late, "is due and no transaction for it was accepted"))

    # A missed duty, and it stays red.
    net.jump(schedule.entry_reveal_end)
    anvil.set_balance(late.signer, 10 * COIN)
    net.wait("red for what was missed", lambda: red_for(late, f"missed: reveal-entry/{task}"))
    net.wait("a row", lambda: (c := net.task(task).committee) is not None and len(c.committed) == 1, seconds=400)
    committee = net.task(task).committee
    assert committee is not None
    _check_status(validator, task)
    net.jump(committee.commit_end)
    net.wait("the pay", lambda: validator.operator in net.task(task).claimed_scoring, seconds=300)
    assert red_for(late, f"missed: reveal-entry/{task}")
    assert late.report()["missed"] == [f"reveal-entry/{task}/0/0"]

    net.wait("the webhook's notices", lambda: "paid" in webhook.kinds(validator))
    assert webhook.kinds(validator)[:2] == ["red", "green"]
    assert {"red", "green", "missed"} <= set(webhook.kinds(late))
    pay = next(one for one in webhook.notices if one["kind"] == "paid" and one["operator"] == validator.operator)
    standing = json.loads(covey("status", "--json", "--config", str(validator.settings)))
    assert int(pay["amount_wei"]) == int(standing["earnings"]["scoring"]) > 0
    assert standing["node"]["earnings"]["scoring"] == standing["earnings"]["scoring"]
    for node in net.nodes:
        assert "secret-path" not in node.log.read_text(encoding="utf-8")
        assert node.stop() == 0


def _check_status(node: Node, task: int) -> None:
    standing = json.loads(covey("status", "--json", "--config", str(node.settings)))
    assert standing["node"]["seats"] == {str(task): 8}
    assert [one["seats"] for one in standing["tasks"]] == [8]
    assert standing["node"]["last_accepted"]["call"]
    screen = covey("status", "--config", str(node.settings))
    assert len(screen.splitlines()) <= 24, "one screen"
    for told in ("healthy;", "stake     5,000", "earned    ", "last tx   ", "seats"):
        assert told in screen


def test_a_dry_run_beside_the_daemon_leaves_it_alone(net: Network) -> None:
    node = net.add("validator")
    declining = net.add("trainer", **{"policy.domains": ["something else"]})
    net.start()
    net.wait("a look", lambda: green(node) and green(declining))
    task = net.post(tiny_spec())
    net.wait("a refusal", lambda: "duty declined" in declining.log.read_text(encoding="utf-8"))
    told = json.loads(covey("run", "--dry-run", "--json", "--config", str(declining.settings)))
    [action] = told["actions"]
    assert (action["duty"], action["would"]) == (f"enter/{task}/0/0", "decline")
    assert "is not one of policy.domains" in action["why"]
    assert any("a daemon is at work" in note for note in told["notes"])
    net.jump(net.task(task).schedule.entry_commit_end)
    text = covey("run", "--dry-run", "--config", str(node.settings))
    assert "Nothing was sent and nothing was written." in text
    assert green(node)


@contextmanager
def prometheus(folder: Path, targets: list[str]) -> Iterator[str]:
    """Debian's Prometheus with the settings that the package ships, pointed at `targets`; gives its address."""
    settings = yaml.safe_load((ops.folder() / "prometheus.yml").read_text(encoding="utf-8"))
    settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    settings["scrape_configs"][0]["static_configs"][0]["targets"] = targets
    ops.copy(folder)
    (folder / "prometheus.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    listen = f"127.0.0.1:{free_port()}"
    argv = [
        find("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address={listen}",
        "--log.level=error",
    ]
    process = subprocess.Popen(argv)
    try:
        yield f"http://{listen}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def ask(address: str, path: str, **query: str) -> Any:
    with urllib.request.urlopen(f"{address}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=30) as answer:
        told = json.load(answer)
    assert told["status"] == "success"
    return told["data"]


def test_a_real_prometheus_reads_the_daemon_and_every_query_of_the_dashboard(net: Network, tmp_path: Path) -> None:
    node = net.add("validator")
    net.start()
    net.wait("green", lambda: green(node))
    net.post(tiny_spec())
    target = node.health.removeprefix("http://")
    with prometheus(tmp_path / "prometheus", [target]) as address:

        def value(query: str) -> list[str]:
            try:
                return [one["value"][1] for one in ask(address, "query", query=query)["result"]]
            except OSError:  # it is still starting
                return []

        net.wait("a scrape", lambda: value("covey_healthy") == ["1"])
        net.wait("the task", lambda: value("covey_tasks_running") == ["1"])
        [seen] = ask(address, "query", query="covey_signer_balance_wei")["result"]
        assert seen["metric"]["instance"] == target
        assert seen["metric"]["job"] == "covey"
        assert float(seen["value"][1]) > COIN / 2
        assert float(seen["value"][1]) == pytest.approx(float(node.report()["balance"]), rel=0.01)
        board = json.loads((ops.folder() / "grafana-dashboard.json").read_text(encoding="utf-8"))
        answered = 0
        for panel in board["panels"]:
            for one in panel.get("targets", []):
                answered += bool(ask(address, "query", query=one["expr"].replace("$instance", ".*"))["result"])
        assert answered >= 20, "most panels have something to show for a node that is idle"
        rules = ask(address, "rules")["groups"][0]["rules"]
        assert len(rules) == len(re.findall(r"- alert:", (ops.folder() / "alerts.yml").read_text(encoding="utf-8")))
        net.wait(
            "the rules' evaluation",
            lambda: all(r["health"] == "ok" for r in ask(address, "rules")["groups"][0]["rules"]),
        )
        node.kill()
        net.wait("its absence", lambda: value("up") == ["0"])
