"""Facts of `covey status`."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from eth_utils.address import to_checksum_address
from tests.support.audit.chain_scenario import DOMAIN, ENTRANTS, VALIDATORS, paid_task_events

from covey.audit.record import gather
from covey.chain import artifacts
from covey.chain.deployment import ContractRecord, Deployment
from covey.cli import node_status
from covey.cli.errors import InputError
from covey.cli.node_status import gather_status, read_health
from covey.cli.settings import Settings
from covey.client.errors import NetworkError
from covey.client.network import Network
from covey.protocol.types import Outcome
from covey.protocol.windows import Phase

REPORT: dict[str, Any] = {"problems": [], "running": [], "last_accepted": None}


def deployment(folder: Path) -> Path:
    """Records of contracts that no chain has."""
    record = {
        name: ContractRecord(name, f"0x{number:040x}", [], "0x", 1, "0x", "0x")
        for number, name in enumerate(artifacts.CONTRACTS, 1)
    }
    return Deployment(31337, record).save(folder)


@contextmanager
def health_server(body: str) -> Iterator[str]:
    """A server that answers every request with `body`; yields host:port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.daemon
def test_health_report_is_read_whatever_its_colour() -> None:
    with health_server(json.dumps(REPORT)) as address:
        assert read_health(address) == REPORT
        assert gather_status(Settings(health_listen=address)) == {"node": REPORT, "notes": []}


@pytest.mark.daemon
def test_a_node_that_answers_is_shown_while_the_chain_is_down(tmp_path: Path) -> None:
    settings = {"rpc_urls": ["http://127.0.0.1:1"], "deployment": str(deployment(tmp_path)), "rpc_timeout_seconds": 1}
    with health_server(json.dumps(REPORT)) as address:
        shown = gather_status(Settings(health_listen=address, **settings))
    assert shown["node"] == REPORT
    assert "operator" not in shown
    assert "stake and tasks could not be read from the chain: " in shown["notes"][0]
    with pytest.raises(NetworkError):
        gather_status(Settings(health_listen="127.0.0.1:1", **settings))


def test_the_node_of_another_operator_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = (to_checksum_address(operator) for operator in ENTRANTS[:2])
    report = REPORT | {"operator": here}
    monkeypatch.setattr(node_status, "read_health", lambda listen: report)
    monkeypatch.setattr(node_status, "connect", lambda settings: None)
    monkeypatch.setattr(node_status, "_read_chain", lambda network, operator: {"operator": operator})
    chain = {"rpc_urls": ["http://127.0.0.1:1"], "deployment": "."}
    own = gather_status(Settings(operator=here, **chain))
    assert (own["node"], own["notes"]) == (report, [])
    other = gather_status(Settings(operator=there, **chain))
    assert (other["node"], other["operator"]) == (None, there)
    assert f"is another operator's, {here}" in other["notes"][0]


@pytest.mark.daemon
@pytest.mark.parametrize("body", ["", "no json", "[]", '{"problems": []}'])
def test_reply_of_another_program_is_no_report(body: str) -> None:
    with health_server(body) as address:
        assert read_health(address) is None


@pytest.mark.daemon
def test_status_needs_a_node_or_a_chain() -> None:
    assert read_health(None) is None
    assert read_health("127.0.0.1:1") is None
    with pytest.raises(InputError, match="no node answers, and no chain is configured"):
        gather_status(Settings(health_listen="127.0.0.1:1"))


def fake_network(outcome: Outcome) -> Any:
    """A network whose only task has ended with `outcome`."""
    network = Mock(spec=Network)
    network.domain = DOMAIN
    network.task.return_value = SimpleNamespace(
        running=outcome == Outcome.RUNNING, phase=Phase.ENDED, deadline=None, state=SimpleNamespace(outcome=outcome)
    )
    return network


@pytest.mark.parametrize(
    ("operator", "did"),
    [
        (ENTRANTS[0], ["entered", "revealed"]),
        (VALIDATORS[0], ["enrolled", "scored", "scores revealed"]),
    ],
)
def test_participation_lists_steps_and_payments(operator: str, did: list[str]) -> None:
    task = gather(paid_task_events())[1]
    facts = node_status._participation(fake_network(Outcome.PAID), task, operator)
    assert facts is not None
    assert (facts["task"], facts["did"], facts["seats"], facts["outcome"]) == (1, did, None, "paid")
    assert facts["paid"] > 0


def test_participation_of_a_running_task_has_seats() -> None:
    task = gather(paid_task_events())[1]
    facts = node_status._participation(fake_network(Outcome.RUNNING), task, VALIDATORS[0])
    assert facts is not None
    assert facts["seats"] > 0


def test_operator_without_a_part_has_no_facts() -> None:
    task = gather(paid_task_events())[1]
    assert node_status._participation(fake_network(Outcome.PAID), task, "0x" + "99" * 20) is None
