"""The pool over several endpoints: health, back-off, endpoints that lag or return wrong data."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from tests.support.chain.servers import (
    Answer,
    Server,
    busy,
    error,
    hangs,
    healthy,
    only,
    reply,
    result,
    says_502,
)

from covey.chain.errors import (
    TooSlow,
    TransientError,
    Unreachable,
    WrongChain,
)
from covey.chain.rpc import endpoint_health as health_module
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.endpoint import EndpointFault
from covey.chain.rpc.finality import Finality

pytestmark = pytest.mark.daemon

Serve = Callable[[Answer], Server]
ALICE = "0x" + "a1" * 20


def at(block: int, *, chain_id: int = 1) -> Answer:
    """An endpoint with its head at a block."""

    def answer(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
        if call["method"] == "eth_getBlockByNumber":
            requested = call["params"][0]
            number = block if requested == "latest" else int(requested, 16)
            fields = {"timestamp": "0x1", "gasLimit": "0x1", "parentHash": "0x0", "hash": hex(number)}
            result(handler, call, None if number > block else fields | {"number": hex(number)})
        else:
            healthy(chain_id, block)(handler, call)

    return answer


# ---------------------------------------------------------------------- back-off


def test_cool_downs_grow_and_vary(serve: Serve) -> None:
    rpc = Rpc([serve(only("eth_blockNumber", says_502)).url, serve(healthy()).url])
    cool_downs = []
    for _ in range(12):
        rpc.cool_down(rpc.health[0], EndpointFault("HTTP 502"))
        cool_downs.append(rpc.report()[0].cool_down)
    for n, seconds in enumerate(cool_downs[:6], 1):
        assert 0.25 * 2**n * 0.4 < seconds <= 0.25 * 2**n
    assert all(seconds <= 30 for seconds in cool_downs)
    assert len({round(seconds, 3) for seconds in cool_downs[7:]}) > 1  # jitter: nodes do not retry at the same time


def test_busy_endpoint_is_asked_again_within_the_deadline(serve: Serve) -> None:
    server = serve(only("eth_blockNumber", busy("", 1)))
    assert Rpc(server.url, timeout=30).block_number() == 0x10
    assert server.calls.count("eth_blockNumber") == 2


def test_retry_after_header_is_respected(serve: Serve) -> None:
    server = serve(only("eth_blockNumber", busy("40", 1)))
    rpc = Rpc(server.url, timeout=2)
    for _ in range(3):
        with pytest.raises(Unreachable, match="HTTP 429"):
            rpc.block_number()
    assert server.calls.count("eth_blockNumber") == 1
    assert 35 < rpc.report()[0].cool_down <= 40


def test_hanging_endpoint_is_not_asked_again(serve: Serve) -> None:
    server = serve(only("eth_blockNumber", hangs))
    with pytest.raises(TooSlow, match="no answer in time"):
        Rpc(server.url, timeout=1).block_number()
    assert server.calls.count("eth_blockNumber") == 1


def test_flaky_endpoint_is_never_fatal(serve: Serve) -> None:
    rng = random.Random(3)

    def flaky(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
        fault = rng.randrange(8)
        if fault == 0:
            return says_502(handler, call)
        if fault == 1:
            handler.close_connection = True
            return reply(handler, b"{", length=300)
        if fault == 2:
            return error(handler, call, -32005, "rate limited")
        if fault == 3:
            return result(handler, call, "soon")
        if fault == 4:
            handler.close_connection = True
            return handler.connection.shutdown(socket.SHUT_RDWR)
        return healthy()(handler, call)

    alone = Rpc(serve(flaky).url, chain_id=1, timeout=0.3)
    outcomes: set[int | type[TransientError]] = set()
    for _ in range(40):
        try:
            outcomes.add(alone.block_number())
        except TransientError as fault:
            outcomes.add(type(fault))
    assert 0x10 in outcomes
    assert len(outcomes) > 1
    backed = Rpc([serve(flaky).url, serve(healthy()).url], chain_id=1, timeout=30)
    for _ in range(30):
        backed.health[0].retry_at = 0.0
        assert backed.request("eth_blockNumber", [], usable=lambda answer: answer != "soon") == "0x10"


# ---------------------------------------------------------------------- health


def test_report_describes_the_health_of_each_endpoint(serve: Serve) -> None:
    rpc = Rpc([serve(at(50)).url, serve(at(47)).url, serve(says_502).url], chain_id=1, timeout=30)
    rpc.check()
    for health in rpc.health:
        rpc.probe(health)
    first, second, third = rpc.report()
    assert (first.ok, first.chain_id, first.head, first.blocks_behind) == (True, 1, 50, 0)
    assert first.latency > 0
    assert first.head_age is not None
    assert (second.ok, second.head, second.blocks_behind) == (True, 47, 3)
    assert not third.ok
    assert (third.chain_id, third.head) == (None, None)
    assert third.cool_down > 0
    assert "HTTP 502" in third.last_fault


def test_endpoint_that_is_behind_is_asked_last(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "BEHIND_S", 0.2)
    stuck, moving = serve(at(10)), serve(at(20))
    rpc = Rpc([stuck.url, moving.url])
    for health in rpc.health:
        rpc.probe(health)
    assert rpc.block_number() == 10  # a short lag does not change the order of preference
    time.sleep(0.5)
    rpc.probe(rpc.health[1])
    assert rpc.block_number() == 20
    assert not rpc.report()[0].ok


def test_block_that_one_endpoint_lacks_is_read_from_another(serve: Serve) -> None:
    behind, ahead = serve(at(10)), serve(at(20))
    rpc = Rpc([behind.url, ahead.url])
    assert rpc.block(15).number == 15
    assert rpc.find_block(25) is None
    with pytest.raises(Unreachable, match="no block 25"):
        rpc.block(25)
    assert [health.faults for health in rpc.health] == [0, 0]


def test_false_head_causes_a_cool_down(serve: Serve) -> None:
    def false_head(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
        if call["method"] == "eth_blockNumber":
            result(handler, call, hex(10**6))
        else:
            at(20)(handler, call)

    rpc = Rpc([serve(false_head).url, serve(at(20)).url])
    with pytest.raises(Unreachable):
        Finality(3).block(rpc)
    assert "claimed block 1000000" in rpc.report()[0].last_fault
    assert rpc.report()[0].cool_down > 20
    assert Finality(3).block(rpc).number == 17  # the correct endpoint is asked now


def test_wrong_chain_that_appears_later_is_fatal(serve: Serve) -> None:
    behaviour: list[Answer] = [says_502]

    def answer(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
        behaviour[0](handler, call)

    rpc = Rpc([serve(healthy(chain_id=1)).url, serve(answer).url], timeout=30)
    rpc.check()
    behaviour[0] = healthy(chain_id=5)
    rpc.health[1].retry_at = 0.0
    rpc.watch(0.05)
    try:
        with pytest.raises(WrongChain, match="serves chain 5"):
            _await(lambda: rpc.block_number() < 0)
    finally:
        rpc.close()


def test_watch_finds_an_endpoint_that_recovered(serve: Serve) -> None:
    behaviour: list[Answer] = [says_502]

    def answer(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
        behaviour[0](handler, call)

    rpc = Rpc([serve(healthy(block=7)).url, serve(answer).url], chain_id=1, timeout=30)
    rpc.watch(0.05)
    try:
        _await(lambda: rpc.report()[1].failures > 0)
        behaviour[0] = healthy(block=9)
        _await(lambda: rpc.report()[1].ok)
        assert rpc.report()[1].head == 9
    finally:
        rpc.close()


def _await(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "the condition did not become true within 60 s"
        time.sleep(0.02)


def test_sources_of_wrong_logs_are_asked_last(serve: Serve) -> None:
    def answer(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
        if call["method"] == "eth_getLogs":
            result(handler, call, [])
        else:
            at(20)(handler, call)

    wrong, other = serve(answer), serve(answer)
    rpc = Rpc([wrong.url, other.url], chain_id=1)
    assert rpc.penalise_log_sources() == [], "no endpoint has returned logs"
    rpc.logs([], 1, 2)
    assert rpc.penalise_log_sources() == [wrong.url]
    rpc.logs([], 1, 2)
    rpc.block_number()
    assert other.calls.count("eth_getLogs") == 1
    rpc.probe(rpc.health[0])  # a good answer does not end the penalty
    assert [health.endpoint.url for health in rpc.in_order()] == [other.url, wrong.url]
    assert [(report.ok, report.bad_logs) for report in rpc.report()] == [(False, 1), (True, 0)]
    assert rpc.penalise_log_sources() == [other.url]
    rpc.logs([], 1, 2)
    assert rpc.penalise_log_sources() == [wrong.url], "the penalty that ends first comes first"
    assert [health.endpoint.url for health in rpc.in_order()] == [other.url, wrong.url], (
        "the second penalty lasts twice as long"
    )
