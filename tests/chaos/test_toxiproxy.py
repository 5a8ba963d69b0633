"""Each toxic affects a node's RPC client as its name says, until it is removed."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
from tests.support.chain.servers import Server, healthy
from tests.support.chaos.toxiproxy import KINDS, WireProxy, new_toxiproxy
from tests.support.go_programs import NotBuilt, Program

from covey.chain.rpc.endpoint import EndpointFault
from covey.chain.rpc.http import HttpEndpoint

pytestmark = pytest.mark.daemon

_LONG = 400  # bytes of an answer: more than limit_data lets through


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server(healthy(block=16**_LONG))
    yield running
    running.http.shutdown()
    running.http.server_close()


@pytest.fixture
def wire(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WireProxy]:
    with new_toxiproxy(tmp_path_factory.mktemp("toxiproxy")) as running:
        yield running.proxy("chain", server.url)


def ask(url: str, timeout: float = 60.0) -> str:
    return str(HttpEndpoint(url).request("eth_blockNumber", [], timeout))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("limit_data", "IncompleteRead|broken|closed"),
        ("reset_peer", "reset|aborted|closed"),
        ("timeout", "aborted|closed"),
        ("down", "cannot connect"),
    ],
)
def test_a_blocking_fault_loses_every_answer(wire: WireProxy, server: Server, fault: str, message: str) -> None:
    wire.set(fault)
    with pytest.raises(EndpointFault, match=message):
        ask(wire.url)
    assert len(server.calls) == (0 if fault == "down" else 1), "the answer is lost, not the request"
    wire.set(None)
    assert int(ask(wire.url), 16) == 16**_LONG


@pytest.mark.parametrize(("fault", "least"), [("latency", 0.2), ("bandwidth", 0.2), ("slicer", 0.04)])
def test_a_slow_fault_delays_the_answer(wire: WireProxy, fault: str, least: float) -> None:
    wire.set(fault)
    started = time.monotonic()
    assert int(ask(wire.url), 16) == 16**_LONG
    assert time.monotonic() - started >= least, "the answer cannot be faster than the toxic's delay"


def test_a_fault_affects_open_connections(wire: WireProxy, server: Server) -> None:
    endpoint = HttpEndpoint(wire.url)
    endpoint.request("eth_blockNumber", [], 60)
    wire.set("reset_peer")
    with pytest.raises(EndpointFault):
        endpoint.request("eth_blockNumber", [], 60)
    wire.set(None)
    endpoint.request("eth_blockNumber", [], 60)


def test_every_kind_can_follow_every_other(wire: WireProxy) -> None:
    for fault in [*KINDS, *reversed(KINDS)]:
        wire.set(fault)
    wire.set(None)
    assert int(ask(wire.url), 16) == 16**_LONG


def test_down_refuses_connections(wire: WireProxy) -> None:
    wire.set("down")
    host, port = wire.url.removeprefix("http://").split(":")
    with socket.socket() as client, pytest.raises(ConnectionRefusedError):
        client.connect((host, int(port)))


def test_without_toxiproxy_a_test_is_skipped_or_fails(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(self: Program) -> str:
        raise NotBuilt("it is not built")

    monkeypatch.setattr(Program, "find", missing)
    monkeypatch.delenv("COVEY_REQUIRE_TOXIPROXY", raising=False)
    with pytest.raises(pytest.skip.Exception, match="not built"):
        new_toxiproxy(tmp_path_factory.getbasetemp())
    monkeypatch.setenv("COVEY_REQUIRE_TOXIPROXY", "1")
    with pytest.raises(pytest.fail.Exception, match="not built"):
        new_toxiproxy(tmp_path_factory.getbasetemp())
