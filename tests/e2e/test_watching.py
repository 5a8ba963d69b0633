"""Monitoring of a node: every reason to be red, webhook notifications, a real Prometheus, `covey status`; and dry runs,
which leave no trace.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import threading
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.fork_pool import ForkPool
from tests.support.network import Network, Node, tiny_spec
from tests.support.prometheus import find

from covey import ops
from covey.devnet.anvil import free_port

pytestmark = [pytest.mark.daemon, pytest.mark.slow, pytest.mark.timeout(900)]

Covey = Callable[..., str]
COIN = 10**18


class Webhook:
    """An HTTP server that records the notifications posted to it."""

    def __init__(self) -> None:
        self.notifications: list[dict[str, Any]] = []
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                webhook.notifications.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/secret-path"

    def kinds(self, node: Node) -> list[str]:
        return [each["kind"] for each in self.notifications if each["operator"] == node.operator]


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    webhook = Webhook()
    yield webhook
    webhook.server.shutdown()
    webhook.server.server_close()


@pytest.fixture
def covey(pool: ForkPool, tmp_path: Path) -> Covey:
    """Runs a command that must succeed; returns its standard output."""

    def run(*arguments: str) -> str:
        environment = {**os.environ, "COVEY_PASSWORD": "", "COLUMNS": "200"}
        done = pool.covey(*arguments, environment=environment, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def fingerprint(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Size, time and digest of every file below a folder."""
    return {
        str(path.relative_to(folder)): (
            path.stat().st_size, path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in sorted(folder.rglob("*")) if path.is_file()
    }  # fmt: skip


def is_red(node: Node, text: str) -> bool:
    report = node.report()
    return report.get("status") == "red" and any(text in problem for problem in report["problems"])


def is_green(node: Node) -> bool:
    return node.report().get("status") == "ok"


def dry_run(covey: Covey, node: Node) -> dict[str, dict[str, Any]]:
    """The planned actions, by kind of duty."""
    plan = json.loads(covey("run", "--dry-run", "--json", "--config", str(node.settings)))
    return {action["duty"].split("/")[0]: action for action in plan["actions"]}


def test_every_reason_to_be_red_is_reported(net: Network, covey: Covey, webhook: Webhook, tmp_path: Path) -> None:
    (tmp_path / "webhook").write_text(webhook.url + "\n", encoding="utf-8")
    settings: dict[str, Any] = {
        "webhook_url_file": str(tmp_path / "webhook"),
        "webhook_debounce_seconds": 0,
        "max_head_age_seconds": 6,
    }
    late, prompt = net.add("trainer", **settings), net.add("trainer", **settings)
    validator = net.add("validator", **settings, **{"policy.earmark": "2100 CVY"})
    anvil = net.local.anvil

    # A low balance from the start.
    anvil.set_balance(late.signer, 1)
    net.start()
    net.wait("red for the balance", lambda: is_red(late, "less than min_balance"))
    anvil.set_balance(late.signer, 10 * COIN)
    net.wait("green with coin", lambda: is_green(late))

    # A head that does not advance.
    anvil.rpc("evm_setIntervalMining", 0)
    net.wait("red for the head", lambda: is_red(validator, "no new block for"))
    anvil.rpc("evm_setIntervalMining", 1)
    net.wait("green with blocks", lambda: is_green(validator))

    # A due duty without an accepted transaction: the node cannot pay for gas.
    late.kill()
    task = net.post(tiny_spec())
    schedule = net.task(task).schedule
    late.kill()
    before = fingerprint(late.settings.parent)
    foreseen = dry_run(covey, late)
    assert foreseen["enter"]["would"] == "start a train job"
    assert 0 < foreseen["enter"]["seconds_left"] <= 600
    assert fingerprint(late.settings.parent) == before, "a dry run writes nothing"
    late.start()
    net.wait("its entry is trained", lambda: "entry ready" in late.log.read_text(encoding="utf-8"))
    net.wait("its entry is committed", lambda: late.operator in net.task(task).entries)
    late.kill()
    net.wait("the other entry", lambda: prompt.operator in net.task(task).entries)
    net.jump(schedule.entry_commit_end)
    net.wait("enrolment", lambda: validator.operator in net.task(task).enrolled)
    net.jump(schedule.enrol_end)
    net.wait("the other's reveal", lambda: len(net.task(task).lanes) == 1)
    nonce = net.local.rpc.nonce(late.signer, "pending")
    before = fingerprint(late.settings.parent)
    assert dry_run(covey, late)["reveal-entry"]["would"].startswith("send reveal")
    assert fingerprint(late.settings.parent) == before
    assert net.local.rpc.nonce(late.signer, "pending") == nonce
    anvil.set_balance(late.signer, 0)
    late.start()
    net.wait("red for its reveal", lambda: is_red(late, "add funds"))
    net.jump(schedule.entry_reveal_end - 60)
    net.wait("red for the late duty", lambda: is_red(late, "is due and no transaction for it was accepted"))

    # A missed duty keeps the node red.
    net.jump(schedule.entry_reveal_end)
    anvil.set_balance(late.signer, 10 * COIN)
    net.wait("red for the missed duty", lambda: is_red(late, f"missed: reveal-entry/{task}"))
    net.wait("a row", lambda: (c := net.task(task).committee) is not None and len(c.committed) == 1)
    committee = net.task(task).committee
    assert committee is not None
    _check_status(covey, validator, task)
    net.jump(committee.commit_end)
    net.wait("the pay", lambda: validator.operator in net.task(task).claimed_scoring)
    assert is_red(late, f"missed: reveal-entry/{task}")
    assert late.report()["missed"] == [f"reveal-entry/{task}/0/0"]

    net.wait("the notifications", lambda: "paid" in webhook.kinds(validator))
    assert webhook.kinds(validator)[:2] == ["red", "green"]
    assert {"red", "green", "missed"} <= set(webhook.kinds(late))
    pay = next(
        each for each in webhook.notifications if each["kind"] == "paid" and each["operator"] == validator.operator
    )
    status = json.loads(covey("status", "--json", "--config", str(validator.settings)))
    assert int(pay["amount_wei"]) == int(status["earnings"]["scoring"]) > 0
    assert status["node"]["earnings"]["scoring"] == status["earnings"]["scoring"]
    for node in net.nodes:
        assert "secret-path" not in node.log.read_text(encoding="utf-8")
        assert node.stop() == 0


def _check_status(covey: Covey, node: Node, task: int) -> None:
    status = json.loads(covey("status", "--json", "--config", str(node.settings)))
    assert status["node"]["seats"] == {str(task): 9}
    assert [task["seats"] for task in status["tasks"]] == [9]
    assert status["node"]["last_accepted"]["call"]
    screen = covey("status", "--config", str(node.settings))
    assert len(screen.splitlines()) <= 24, "one screen"
    for text in ("healthy;", "stake     5,000", "earned    ", "last tx   ", "seats"):
        assert text in screen


def test_a_dry_run_does_not_disturb_the_daemon(net: Network, covey: Covey) -> None:
    node = net.add("validator")
    declining = net.add("trainer", **{"policy.domains": ["something else"]})
    net.start()
    net.wait("a cycle", lambda: is_green(node) and is_green(declining))
    task = net.post(tiny_spec())
    net.wait("a refusal", lambda: "duty declined" in declining.log.read_text(encoding="utf-8"))
    plan = json.loads(covey("run", "--dry-run", "--json", "--config", str(declining.settings)))
    [action] = plan["actions"]
    assert (action["duty"], action["would"]) == (f"enter/{task}/0/0", "decline")
    assert "is not one of policy.domains" in action["why"]
    assert any("a daemon is running" in note for note in plan["notes"])
    net.jump(net.task(task).schedule.entry_commit_end)
    text = covey("run", "--dry-run", "--config", str(node.settings))
    assert "Nothing was sent or written." in text
    assert is_green(node)


@contextmanager
def prometheus(folder: Path, targets: list[str]) -> Iterator[str]:
    """Debian's Prometheus with the package's settings, scraping `targets`; yields its address."""
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
        process.wait(120)


def ask(address: str, path: str, **query: str) -> Any:
    with urllib.request.urlopen(f"{address}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=60) as answer:
        reply = json.load(answer)
    assert reply["status"] == "success"
    return reply["data"]


def test_a_real_prometheus_scrapes_the_daemon_and_answers_the_dashboard(net: Network, tmp_path: Path) -> None:
    node = net.add("validator")
    net.start()
    net.wait("green", lambda: is_green(node))
    net.post(tiny_spec())
    target = node.health.removeprefix("http://")
    with prometheus(tmp_path / "prometheus", [target]) as address:

        def value(query: str) -> list[str]:
            try:
                return [series["value"][1] for series in ask(address, "query", query=query)["result"]]
            except OSError:  # Prometheus is still starting
                return []

        net.wait("a scrape", lambda: value("covey_healthy") == ["1"])
        net.wait("the task", lambda: value("covey_tasks_running") == ["1"])
        [balance] = ask(address, "query", query="covey_signer_balance_wei")["result"]
        assert balance["metric"]["instance"] == target
        assert balance["metric"]["job"] == "covey"
        assert float(balance["value"][1]) > COIN / 2
        assert float(balance["value"][1]) == pytest.approx(float(node.report()["balance"]), rel=0.01)
        board = json.loads((ops.folder() / "grafana-dashboard.json").read_text(encoding="utf-8"))
        answered = 0
        for panel in board["panels"]:
            for target_query in panel.get("targets", []):
                answered += bool(ask(address, "query", query=target_query["expr"].replace("$instance", ".*"))["result"])
        assert answered >= 20, "most panels show data of an idle node"
        rules = ask(address, "rules")["groups"][0]["rules"]
        assert len(rules) == len(re.findall(r"- alert:", (ops.folder() / "alerts.yml").read_text(encoding="utf-8")))
        net.wait(
            "the rules' evaluation",
            lambda: all(r["health"] == "ok" for r in ask(address, "rules")["groups"][0]["rules"]),
        )
        node.kill()
        net.wait("its absence", lambda: value("up") == ["0"])
