"""HTTP endpoints and fail-over, against servers that hang, trickle, truncate, refuse or answer another call."""

from __future__ import annotations

import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from tests.support.chain.servers import (
    Answer,
    Server,
    another_calls_answer,
    error,
    hangs,
    healthy,
    lacks_method,
    limited,
    only,
    result,
    says_429,
    says_502,
    trickles,
    truncates,
)

from covey.chain.errors import (
    ContractReverted,
    FatalError,
    RpcResponseError,
    TooManyResults,
    TransientError,
    Unreachable,
    WrongChain,
)
from covey.chain.rpc import endpoint as endpoint_module
from covey.chain.rpc import pool as pool_module
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.endpoint import printable
from covey.chain.rpc.open import open_endpoint

pytestmark = pytest.mark.daemon


@pytest.mark.parametrize(
    "broken", [hangs, trickles, truncates, says_429, says_502, another_calls_answer, limited, lacks_method]
)
def test_broken_endpoint_is_skipped_and_cools_down(
    serve: Callable[[Answer], Server], broken: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "_FIRST_COOL_DOWN_S", 1_000.0)
    bad, good = serve(only("eth_blockNumber", broken)), serve(healthy(block=7))
    rpc = Rpc([bad.url, good.url], timeout=4 if broken in (hangs, trickles) else 30)
    assert rpc.block_number() == 7
    assert rpc.health[0].faults == 1
    calls = len(bad.calls)
    assert rpc.block_number() == 7
    assert len(bad.calls) == calls  # it cools down


def test_recovered_endpoint_is_used_again(serve: Callable[[Answer], Server]) -> None:
    broken = [True]

    def recovering(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
        (says_502 if broken[0] else healthy(block=9))(handler, call)

    first, second = serve(recovering), serve(healthy(block=7))
    rpc = Rpc([first.url, second.url], timeout=30)
    assert rpc.block_number() == 7
    broken[0] = False
    rpc.health[0].retry_at = 0.0  # its cool-down is over
    assert rpc.block_number() == 9
    assert rpc.health[0].faults == 0


@pytest.mark.parametrize("broken", [hangs, trickles])
def test_call_ends_at_its_deadline(serve: Callable[[Answer], Server], broken: Answer) -> None:
    rpc = Rpc(serve(only("eth_blockNumber", broken)).url, timeout=0.6)
    started = time.monotonic()
    with pytest.raises(Unreachable, match=r"no RPC endpoint answered eth_blockNumber: http://127\.0\.0\.1"):
        rpc.block_number()
    assert time.monotonic() - started < 20  # the server would hold the call for 30 s


def test_closed_port_is_reported_as_unreachable() -> None:
    with pytest.raises(Unreachable, match="cannot connect"):
        Rpc("http://127.0.0.1:9", timeout=2).block_number()
    with pytest.raises(Unreachable, match="no RPC endpoint answered"):
        Rpc("http://127.0.0.1:9", timeout=2).check()


def test_wrong_chain_is_fatal_at_once(serve: Callable[[Answer], Server]) -> None:
    server = serve(healthy(chain_id=5))
    with pytest.raises(WrongChain, match="serves chain 5, not 1") as caught:
        Rpc(server.url, chain_id=1).block_number()
    assert not isinstance(caught.value, TransientError)
    assert server.calls == ["eth_chainId"]


def test_check_finds_a_second_endpoint_on_another_chain(serve: Callable[[Answer], Server]) -> None:
    rpc = Rpc([serve(healthy(chain_id=1)).url, serve(healthy(chain_id=5)).url])
    with pytest.raises(WrongChain):
        rpc.check()


def test_chain_id_is_checked_again_after_a_fault(serve: Callable[[Answer], Server]) -> None:
    behaviour = [healthy(chain_id=1)]

    def answer(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
        behaviour[0](handler, call)

    server = serve(answer)
    rpc = Rpc(server.url, timeout=1)
    assert rpc.chain_id == 1
    behaviour[0] = says_502
    with pytest.raises(Unreachable):
        rpc.block_number()
    behaviour[0] = healthy(chain_id=5)
    with pytest.raises(WrongChain):
        rpc.block_number()


def test_revert_is_an_answer_and_no_fault(serve: Callable[[Answer], Server]) -> None:
    def reverts(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
        data = (
            "0x08c379a0" + (32).to_bytes(32, "big").hex() + (4).to_bytes(32, "big").hex() + b"nope".hex().ljust(64, "0")
        )
        error(handler, call, 3, "execution reverted", data)

    first, second = serve(only("eth_call", reverts)), serve(healthy())
    rpc = Rpc([first.url, second.url])
    with pytest.raises(ContractReverted, match="nope") as caught:
        rpc.call("0x" + "11" * 20, b"")
    assert caught.value.name == "Error"
    assert second.calls == []


@pytest.mark.parametrize(
    "message",
    [
        "query returned more than 10000 results",
        "block range is too wide",
        "eth_getLogs is limited to 1024 block range",
        "Log response size exceeded",
    ],
)
def test_refused_log_query_raises_too_many_results(serve: Callable[[Answer], Server], message: str) -> None:
    rpc = Rpc(serve(only("eth_getLogs", lambda h, c: error(h, c, -32005, message))).url)
    with pytest.raises(TooManyResults):
        rpc.logs([], 0, 10)


def test_oversized_answer_is_cut_off(serve: Callable[[Answer], Server], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_module, "MAX_ANSWER_BYTES", 1_000)
    rpc = Rpc(serve(only("eth_getLogs", lambda h, c: result(h, c, ["0x" + "00" * 100] * 20))).url)
    with pytest.raises(TooManyResults, match="response size above 1000 bytes"):
        rpc.logs([], 0, 10)
    assert rpc.health[0].faults == 0
    assert rpc.block_number() == 0x10


def test_other_errors_keep_the_message_of_the_node(serve: Callable[[Answer], Server]) -> None:
    rpc = Rpc(serve(only("eth_sendRawTransaction", lambda h, c: error(h, c, -32000, "nonce too low"))).url)
    with pytest.raises(RpcResponseError, match="nonce too low"):
        rpc.send_raw(b"\2")
    known = Rpc(serve(only("eth_sendRawTransaction", lambda h, c: error(h, c, -32000, "already known"))).url)
    known.send_raw(b"\2")


@pytest.mark.parametrize(
    "message", ["missing trie node", "header not found", "rate limited", "transaction indexing is in progress"]
)
def test_endpoint_specific_error_is_transient(serve: Callable[[Answer], Server], message: str) -> None:
    rpc = Rpc(serve(only("eth_call", lambda h, c: error(h, c, -32000, message))).url)
    with pytest.raises(Unreachable, match=message):
        rpc.call("0x" + "11" * 20, b"")
    lacking = Rpc(serve(only("eth_call", lacks_method)).url)
    with pytest.raises(RpcResponseError, match="does not exist"):
        lacking.call("0x" + "11" * 20, b"")


@pytest.mark.parametrize(
    "message",
    [
        "BlockOutOfRangeError: block height is 149 but requested was 150",
        "block range extends beyond current head block",
        "unknown block",
    ],
)
def test_endpoint_without_the_block_is_skipped_for_its_logs(serve: Callable[[Answer], Server], message: str) -> None:
    """The query is valid, and asking for fewer blocks would not help."""
    behind = serve(only("eth_getLogs", lambda h, c: error(h, c, -32602, message)))
    with pytest.raises(Unreachable, match=message):
        Rpc(behind.url).logs([], 0, 10)
    assert Rpc([behind.url, serve(lambda h, c: result(h, c, ["0x1"] if "Logs" in c["method"] else "0x1")).url]).logs(
        [], 0, 10
    ) == ["0x1"]


@pytest.mark.parametrize("value", [None, "soon", 7])
def test_malformed_answer_is_transient(serve: Callable[[Answer], Server], value: Any) -> None:
    rpc = Rpc(serve(only("eth_blockNumber", lambda h, c: result(h, c, value))).url)
    with pytest.raises(Unreachable):
        rpc.block_number()
    with pytest.raises(Unreachable):
        rpc.block()


def test_urls_are_validated_and_printed_without_secrets() -> None:
    with pytest.raises(FatalError, match="not an RPC address"):
        open_endpoint("ftp://example.org")
    with pytest.raises(FatalError, match="not an RPC address"):
        open_endpoint("")
    with pytest.raises(FatalError, match="no RPC endpoint"):
        Rpc([])
    assert printable("https://user:pw@node.example:8545/v3/SECRET?key=SECRET") == "https://node.example:8545"
    assert printable("/run/geth.ipc") == "/run/geth.ipc"
