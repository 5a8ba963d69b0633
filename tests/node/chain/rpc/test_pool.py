"""The pool over several endpoints: health, back-off, endpoints that are behind or lie, reads that must agree."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from eth_utils.address import to_checksum_address
from tests.support.chain.anvil import CHAIN_ID, Chain
from tests.support.chain.servers import (
    Answer,
    Server,
    busy,
    error,
    hangs,
    healthy,
    only,
    proxy,
    reply,
    result,
    says_502,
)

from covey.chain.contracts import Call, Contracts
from covey.chain.errors import (
    ContractReverted,
    Disagreement,
    RpcResponseError,
    TooSlow,
    TransientError,
    Unreachable,
    WrongChain,
)
from covey.chain.events.follower import Follower
from covey.chain.rpc import endpoint_health as health_module
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.endpoint import EndpointFault
from covey.chain.rpc.finality import Finality
from covey.chain.rpc.http import HttpEndpoint
from covey.chain.rpc.quorum import quorum_read
from covey.chain.tx.oneshot import send
from covey.daemon.storage.journal import Journal

pytestmark = pytest.mark.daemon

Serve = Callable[[Answer], Server]
ALICE = "0x" + "a1" * 20


def at(block: int, *, chain_id: int = 1) -> Answer:
    """An endpoint whose head is a block; it has no block above it."""

    def answer(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
        if call["method"] == "eth_getBlockByNumber":
            wanted = call["params"][0]
            number = block if wanted == "latest" else int(wanted, 16)
            fields = {"timestamp": "0x1", "gasLimit": "0x1", "parentHash": "0x0", "hash": hex(number)}
            result(handler, call, None if number > block else fields | {"number": hex(number)})
        else:
            healthy(chain_id, block)(handler, call)

    return answer


# ---------------------------------------------------------------------- back-off


def test_rests_grow_and_differ(serve: Serve) -> None:
    rpc = Rpc([serve(only("eth_blockNumber", says_502)).url, serve(healthy()).url])
    rests = []
    for _ in range(12):
        rpc.cool_down(rpc.health[0], EndpointFault("HTTP 502"))
        rests.append(rpc.report()[0].resting)
    for n, rest in enumerate(rests[:6], 1):
        assert 0.25 * 2**n * 0.4 < rest <= 0.25 * 2**n
    assert all(rest <= 30 for rest in rests)
    assert len({round(rest, 3) for rest in rests[7:]}) > 1  # a random part, so that nodes do not come back in step


def test_a_busy_endpoint_is_asked_again_within_the_deadline(serve: Serve) -> None:
    server = serve(only("eth_blockNumber", busy("", 1)))
    assert Rpc(server.url, timeout=30).block_number() == 0x10
    assert server.calls.count("eth_blockNumber") == 2


def test_an_endpoint_that_asks_to_be_left_alone_is(serve: Serve) -> None:
    server = serve(only("eth_blockNumber", busy("40", 1)))
    rpc = Rpc(server.url, timeout=2)
    for _ in range(3):
        with pytest.raises(Unreachable, match="HTTP 429"):
            rpc.block_number()
    assert server.calls.count("eth_blockNumber") == 1
    assert 35 < rpc.report()[0].resting <= 40


def test_what_is_not_busy_is_not_asked_again(serve: Serve) -> None:
    server = serve(only("eth_blockNumber", hangs))
    with pytest.raises(TooSlow, match="no answer in time"):
        Rpc(server.url, timeout=1).block_number()
    assert server.calls.count("eth_blockNumber") == 1


def test_a_flaky_provider_is_never_fatal(serve: Serve) -> None:
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
    outcomes = set()
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
        assert backed.request("eth_blockNumber", [], usable=lambda told: told != "soon") == "0x10"


# ---------------------------------------------------------------------- health


def test_health_is_told(serve: Serve) -> None:
    rpc = Rpc([serve(at(50)).url, serve(at(47)).url, serve(says_502).url], chain_id=1, timeout=2)
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
    assert third.resting > 0
    assert "HTTP 502" in third.last_fault


def test_an_endpoint_that_is_behind_is_asked_last(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "BEHIND_S", 0.2)
    stuck, moving = serve(at(10)), serve(at(20))
    rpc = Rpc([stuck.url, moving.url])
    for health in rpc.health:
        rpc.probe(health)
    assert rpc.block_number() == 10  # in order of preference: a moment behind is no fault
    time.sleep(0.5)
    rpc.probe(rpc.health[1])
    assert rpc.block_number() == 20
    assert not rpc.report()[0].ok


def test_a_block_that_one_endpoint_lacks_is_asked_of_the_others(serve: Serve) -> None:
    behind, ahead = serve(at(10)), serve(at(20))
    rpc = Rpc([behind.url, ahead.url])
    assert rpc.block(15).number == 15
    assert rpc.find_block(25) is None
    with pytest.raises(Unreachable, match="no block 25"):
        rpc.block(25)
    assert [health.faults for health in rpc.health] == [0, 0]


def test_a_head_that_does_not_exist_costs_trust(serve: Serve) -> None:
    def liar(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
        if call["method"] == "eth_blockNumber":
            result(handler, call, hex(10**6))
        else:
            at(20)(handler, call)

    rpc = Rpc([serve(liar).url, serve(at(20)).url])
    with pytest.raises(Unreachable):
        Finality(3).block(rpc)
    assert "claimed block 1000000" in rpc.report()[0].last_fault
    assert rpc.report()[0].resting > 20
    assert Finality(3).block(rpc).number == 17  # the honest one is asked now


def test_a_wrong_chain_that_turns_up_later_is_fatal(serve: Serve) -> None:
    behaviour: list[Answer] = [says_502]

    def answer(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
        behaviour[0](handler, call)

    rpc = Rpc([serve(healthy(chain_id=1)).url, serve(answer).url], timeout=2)
    rpc.check()
    behaviour[0] = healthy(chain_id=5)
    rpc.health[1].retry_at = 0.0
    rpc.watch(0.05)
    try:
        with pytest.raises(WrongChain, match="serves chain 5"):
            _await(lambda: rpc.block_number() < 0)
    finally:
        rpc.close()


def test_watching_finds_an_endpoint_that_came_back(serve: Serve) -> None:
    behaviour: list[Answer] = [says_502]

    def answer(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
        behaviour[0](handler, call)

    rpc = Rpc([serve(healthy(block=7)).url, serve(answer).url], chain_id=1, timeout=2)
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
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_whoever_gave_logs_that_were_found_wrong_is_asked_after_the_others(serve: Serve) -> None:
    def gives(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
        if call["method"] == "eth_getLogs":
            result(handler, call, [])
        else:
            at(20)(handler, call)

    liar, other = serve(gives), serve(gives)
    rpc = Rpc([liar.url, other.url], chain_id=1)
    assert rpc.doubt_logs() == [], "nobody gave any"
    rpc.logs([], 1, 2)
    assert rpc.doubt_logs() == [liar.url]
    rpc.logs([], 1, 2)
    rpc.block_number()
    assert other.calls.count("eth_getLogs") == 1
    rpc.probe(rpc.health[0])  # a good answer to another question changes nothing
    assert [health.endpoint.url for health in rpc.in_order()] == [other.url, liar.url]
    assert [(report.ok, report.doubts) for report in rpc.report()] == [(False, 1), (True, 0)]
    assert rpc.doubt_logs() == [other.url]
    rpc.logs([], 1, 2)
    assert rpc.doubt_logs() == [liar.url], "of two that are doubted, first the one that was earlier"
    assert [health.endpoint.url for health in rpc.in_order()] == [other.url, liar.url], "twice as long"


# ---------------------------------------------------------------------- reads that must agree


@pytest.fixture
def lying(chain: Chain, serve: Serve) -> Callable[[Callable[[str, list[Any], Any], Any]], str]:
    """Starts a proxy of the real chain that changes answers; its URL."""

    def forward(method: str, params: list[Any]) -> Any:
        return HttpEndpoint(chain.url).request(method, params, 30)

    return lambda change: serve(proxy(forward, change)).url


def honest(method: str, params: list[Any], found: Any) -> Any:
    return found


def denies_calls(method: str, params: list[Any], found: Any) -> Any:
    """Every number that a contract tells is zero."""
    return "0x" + "00" * ((len(found) - 2) // 2) if method == "eth_call" else found


def supply(contracts: Contracts) -> Callable[[Rpc], int]:
    return lambda one: Contracts(one, contracts.deployment).token.total_supply()


def test_two_honest_endpoints_agree(chain: Chain, contracts: Contracts, lying: Any) -> None:
    rpc = Rpc([chain.url, lying(honest)], CHAIN_ID, timeout=60)
    assert quorum_read(rpc, supply(contracts)) == contracts.token.total_supply() > 0
    assert [health.disagreed for health in rpc.health] == [0, 0]


@pytest.mark.parametrize("first", [True, False], ids=["liar first", "liar second"])
def test_one_liar_of_two_is_not_believed(chain: Chain, contracts: Contracts, lying: Any, first: bool) -> None:
    urls = [chain.url, lying(denies_calls)]
    rpc = Rpc(urls[::-1] if first else urls, CHAIN_ID, timeout=60)
    with pytest.raises(
        Disagreement, match=r"2 must say the same: http.*: 0; http|2 must say the same: http.*; http.*: 0"
    ):
        quorum_read(rpc, supply(contracts))
    assert isinstance(Disagreement(""), TransientError)


def test_one_liar_of_three_is_outvoted_and_rests(chain: Chain, contracts: Contracts, lying: Any) -> None:
    rpc = Rpc([lying(denies_calls), chain.url, lying(honest)], CHAIN_ID, timeout=60)
    assert quorum_read(rpc, supply(contracts)) == contracts.token.total_supply()
    assert [health.disagreed for health in rpc.health] == [1, 0, 0]
    assert rpc.report()[0].last_fault == "was outvoted"
    with pytest.raises(Disagreement):
        quorum_read(rpc, supply(contracts), quorum=3)


def test_a_lie_about_the_head_changes_nothing(chain: Chain, contracts: Contracts, lying: Any) -> None:
    def ahead(method: str, params: list[Any], found: Any) -> Any:
        return hex(int(found, 16) + 1_000) if method == "eth_blockNumber" else found

    rpc = Rpc([lying(ahead), chain.url], CHAIN_ID, timeout=60)
    assert quorum_read(rpc, supply(contracts)) == contracts.token.total_supply()


def test_all_are_asked_as_of_the_same_block(chain: Chain, lying: Any) -> None:
    """An endpoint that has not seen the newest blocks does not differ: the newest block that both have is read."""
    bank = chain.account(0xBA27)
    send(chain.rpc, bank, Call(to_checksum_address(ALICE), b"", "pay", 5))
    old = chain.rpc.block_number()

    def lags(method: str, params: list[Any], found: Any) -> Any:
        return hex(old) if method == "eth_blockNumber" else found

    send(chain.rpc, bank, Call(to_checksum_address(ALICE), b"", "pay", 2))
    chain.mine(3)
    rpc = Rpc([chain.url, lying(lags)], CHAIN_ID, timeout=60)
    assert rpc.balance(ALICE) == 7
    assert quorum_read(rpc, lambda one: one.balance(ALICE)) == 5


def test_a_named_block_is_read_and_only_that_very_one_counts(chain: Chain, lying: Any) -> None:
    bank = chain.account(0xBA28)
    send(chain.rpc, bank, Call(to_checksum_address(ALICE), b"", "pay", 5))
    then = chain.rpc.block()
    send(chain.rpc, bank, Call(to_checksum_address(ALICE), b"", "pay", 2))
    rpc = Rpc([chain.url, lying(honest)], CHAIN_ID, timeout=60)
    balance = quorum_read(rpc, lambda one: one.balance(ALICE))
    assert quorum_read(rpc, lambda one: one.balance(ALICE), at=(then.number, then.hash)) == balance - 2
    with pytest.raises(Unreachable, match="is another than was asked about"):
        quorum_read(rpc, lambda one: one.balance(ALICE), at=(then.number, "0x" + "99" * 32))
    with pytest.raises(Unreachable, match="0 RPC endpoints answered, 2 must"):
        quorum_read(rpc, lambda one: one.balance(ALICE), at=(then.number + 1_000, then.hash))


def test_another_fork_is_no_agreement(chain: Chain, lying: Any) -> None:
    def forked(method: str, params: list[Any], found: Any) -> Any:
        return found | {"hash": "0x" + "99" * 32} if method == "eth_getBlockByNumber" else found

    rpc = Rpc([chain.url, lying(forked)], CHAIN_ID, timeout=60)
    with pytest.raises(Disagreement):
        quorum_read(rpc, lambda one: one.balance(ALICE))


def test_an_agreed_revert_is_the_answer(chain: Chain, contracts: Contracts, lying: Any) -> None:
    rpc = Rpc([chain.url, chain.url], CHAIN_ID, timeout=60)
    call = contracts.staking.set_commission(100)  # the sender is no operator
    with pytest.raises(ContractReverted):
        quorum_read(rpc, lambda one: one.call(call.to, call.data, sender=ALICE))


def test_too_few_answers_are_told(chain: Chain, contracts: Contracts) -> None:
    rpc = Rpc([chain.url, "http://127.0.0.1:9"], CHAIN_ID, timeout=10)
    with pytest.raises(Unreachable, match=r"1 RPC endpoints answered, 2 must: .*cannot connect"):
        quorum_read(rpc, supply(contracts))
    assert quorum_read(rpc, supply(contracts), quorum=1) == contracts.token.total_supply()


def test_a_single_endpoint_agrees_with_itself(chain: Chain, contracts: Contracts) -> None:
    assert quorum_read(Rpc(chain.url, CHAIN_ID, timeout=60), supply(contracts)) == contracts.token.total_supply()


def test_an_error_of_the_reader_is_not_hidden(chain: Chain) -> None:
    rpc = Rpc([chain.url, chain.url], CHAIN_ID, timeout=60)
    with pytest.raises(RpcResponseError):
        quorum_read(rpc, lambda one: one.request("no_such_method", []))


def test_the_follower_reads_on_over_an_endpoint_that_lies_about_its_head(
    chain: Chain, contracts: Contracts, lying: Any, tmp_path: Any
) -> None:
    def ahead(method: str, params: list[Any], found: Any) -> Any:
        return hex(int(found, 16) + 1_000) if method == "eth_blockNumber" else found

    chain.mine(5)
    rpc = Rpc([lying(ahead), chain.url], CHAIN_ID, timeout=60)
    journal = Journal(tmp_path / "journal.sqlite", None)
    follower = Follower(rpc, contracts.deployment, journal, Finality(2))
    with pytest.raises(Unreachable):
        follower.poll()
    assert follower.poll().checkpoint.block == chain.rpc.block_number() - 2
