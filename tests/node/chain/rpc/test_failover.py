"""Fail-over, secrets in addresses and answers, and odd answers, over real HTTP."""

from __future__ import annotations

import base64
import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from tests.node.chain.rpc.test_refusals import PASSING, RATE_LIMITS
from tests.support.chain.servers import Answer, Server, error, healthy, nested_deeply, only, refuses, reply, result

from covey.chain.errors import ChainError, FatalError, RpcResponseError, TooManyResults, Unreachable
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.endpoint import printable, redact
from covey.chain.rpc.finality import Finality
from covey.chain.rpc.open import open_endpoint

pytestmark = pytest.mark.daemon

Serve = Callable[[Answer], Server]
ACCOUNT = "0x" + "11" * 20


@pytest.mark.parametrize(("status", "code", "message"), PASSING)
def test_second_endpoint_answers_what_the_first_cannot(serve: Serve, status: int, code: int, message: str) -> None:
    rpc = Rpc([serve(refuses(status, code, message)).url, serve(healthy(block=7)).url], 1)
    assert rpc.balance(ACCOUNT) == 7


@pytest.mark.parametrize("message", ["out of luck today", "", "\x1b[31mno\x1b[0m [/red]"])
def test_unknown_refusal_is_the_answer_only_if_every_endpoint_gives_it(serve: Serve, message: str) -> None:
    odd = serve(refuses(200, -32000, message)).url
    rpc = Rpc([odd, serve(healthy(block=7)).url], 1)
    assert rpc.balance(ACCOUNT) == 7
    assert rpc.report()[0].failures == 1
    alone = Rpc([odd, odd], 1)
    with pytest.raises(RpcResponseError) as raised:
        alone.balance(ACCOUNT)
    assert "\x1b" not in str(raised.value)
    assert alone.report()[0].failures == 0


def test_trouble_of_every_endpoint_is_transient(serve: Serve) -> None:
    rpc = Rpc([serve(refuses(503, -32011, "no backend is currently healthy")).url] * 2, 1, timeout=0.5)
    with pytest.raises(Unreachable, match="no backend"):
        rpc.balance(ACCOUNT)


def log_limit(limit: int, code: int, message: str) -> Answer:
    """Refuses log queries over more than ``limit`` blocks."""

    def answer(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
        if call["method"] != "eth_getLogs":
            return healthy()(handler, call)
        query = call["params"][0]
        if int(query["toBlock"], 16) - int(query["fromBlock"], 16) + 1 > limit:
            return error(handler, call, code, message)
        return result(handler, call, [])

    return answer


def test_log_range_is_refused_by_all_before_it_shrinks(serve: Serve) -> None:
    strict = serve(log_limit(10, -32000, "too greedy")).url
    generous = serve(log_limit(1000, -32000, "too greedy")).url
    rpc = Rpc([strict, generous], 1)
    assert rpc.logs([], 1, 500) == []
    with pytest.raises(TooManyResults, match="too greedy"):
        rpc.logs([], 1, 5000)
    with pytest.raises(Unreachable, match="too greedy"):
        Rpc(serve(log_limit(0, -32000, "too greedy")).url, 1).logs([], 5, 5)


@pytest.mark.parametrize(("code", "message"), RATE_LIMITS[:3])
def test_rate_limit_of_a_log_query_is_no_size_limit(serve: Serve, code: int, message: str) -> None:
    with pytest.raises(Unreachable):
        Rpc(serve(log_limit(10, code, message)).url, 1, timeout=0.3).logs([], 1, 500)


def test_missing_priority_fee_method_falls_back_to_the_fee_history(serve: Serve) -> None:
    def history(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
        if call["method"] == "eth_maxPriorityFeePerGas":
            return error(handler, call, -32601, "the method does not exist/is not available")
        if call["method"] == "eth_feeHistory":
            return result(handler, call, {"reward": [["0x5"], ["0x9"], ["0x7"]]})
        return healthy()(handler, call)

    rpc = Rpc(serve(history).url, 1)
    assert rpc.priority_fee() == 7
    assert rpc.report()[0].failures == 0  # it is a good endpoint


@pytest.mark.parametrize("history", [None, {}, {"reward": None}, {"reward": []}, {"reward": [[]]}, {"reward": ["x"]}])
def test_unusable_fee_history_suggests_nothing(serve: Serve, history: Any) -> None:
    def answer(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
        if call["method"] == "eth_feeHistory":
            return result(handler, call, history)
        return refuses(200, -32601, "method not found")(handler, call)

    assert Rpc(serve(answer).url, 1).priority_fee() == 0


def test_deep_json_is_the_endpoints_fault(serve: Serve) -> None:
    rpc = Rpc([serve(only("eth_blockNumber", nested_deeply)).url, serve(healthy(block=7)).url], 1)
    assert rpc.block_number() == 7
    assert rpc.report()[0].failures == 1


@pytest.mark.parametrize(("user", "password"), [("node", "s3cret"), ("node", "p%40ss%23word"), ("node", "")])
def test_user_and_password_are_sent(serve: Serve, user: str, password: str) -> None:
    server = serve(healthy(block=7))
    address = server.url.replace("://", f"://{user}:{password}@")
    assert Rpc(address, 1).block_number() == 7
    plain = f"{user}:{password.replace('%40', '@').replace('%23', '#')}".encode()
    assert server.headers[-1]["authorization"] == "Basic " + base64.b64encode(plain).decode()
    assert "@" not in server.headers[-1]["host"]


def test_redirect_names_its_target(serve: Serve) -> None:
    def moves(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
        handler.send_response(308)
        handler.send_header("Location", "https://other.example/v3/KEYKEYKEY")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with pytest.raises(Unreachable, match=r"HTTP 308, redirects to https://other\.example: set that address") as raised:
        Rpc(serve(moves).url, 1, timeout=0.5).block_number()
    assert "KEYKEYKEY" not in str(raised.value)


UNUSABLE = [
    "http://127.0.0.1:99999/v3/KEYKEYKEY",
    "http://127.0.0.1:0/v3/KEYKEYKEY",
    "http://127.0.0.1:abc/v3/KEYKEYKEY",
    "mainnet.example/v3/KEYKEYKEY",
    "mainnet.example:8545?key=KEYKEYKEY",
    "user:KEYKEYKEY@mainnet.example",
    "http://user:KEY#KEYKEY@mainnet.example",
    "http:///v3/KEYKEYKEY",
    "http://[::1/v3/KEYKEYKEY",
    "ftp://mainnet.example/KEYKEYKEY",
    "wss://mainnet.example:123456/KEYKEYKEY",
    "http://mainnet.example/KEY KEYKEY",
    "KEYKEYKEY",
    "",
]


@pytest.mark.parametrize("url", UNUSABLE)
def test_unusable_address_is_refused_without_its_secret(url: str) -> None:
    with pytest.raises(FatalError) as raised:
        open_endpoint(url)
    assert "KEY" not in str(raised.value)
    assert "not an RPC address" in str(raised.value)
    assert "KEY" not in printable(url)


SECRET = "S3CRETS3CRET"


@pytest.mark.parametrize(
    "address",
    [
        "http://{at}/v3/" + SECRET,
        "http://{at}/?apikey=" + SECRET,
        f"http://user:{SECRET}@{{at}}/",
        f"http://{SECRET}@{{at}}",
    ],
)
@pytest.mark.parametrize("status", [200, 403, 404, 503])
def test_secret_echoed_by_a_server_reaches_no_message(serve: Serve, address: str, status: int) -> None:
    def echoes(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
        if status == 200:
            return error(handler, call, -32000, f"quota of {SECRET} used up at /v3/{SECRET}")
        return reply(handler, f"no access for {SECRET}".encode(), status)

    url = address.format(at=serve(echoes).url.removeprefix("http://"))
    rpc = Rpc(url, 1, timeout=0.3)
    with pytest.raises(ChainError) as raised:
        rpc.block_number()
    seen = [str(raised.value), *(f"{report.url} {report.last_fault}" for report in rpc.report())]
    assert SECRET not in " ".join(seen)


@pytest.mark.parametrize("scheme", ["http", "ws"])
def test_secret_of_an_endpoint_that_is_down_reaches_no_message(scheme: str) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    rpc = Rpc(f"{scheme}://user:{SECRET}@127.0.0.1:{port}/v3/{SECRET}?key={SECRET}", 1, timeout=0.5)
    with pytest.raises(Unreachable) as raised:
        rpc.block_number()
    assert SECRET not in str(raised.value) + rpc.report()[0].last_fault + rpc.report()[0].url


def test_short_path_parts_are_left_in_messages() -> None:
    assert redact("range of v3 exceeded", "http://host/v3/rpc") == "range of v3 exceeded"


@pytest.mark.parametrize(
    "answer",
    [
        only("eth_getBlockByNumber", lambda handler, call: result(handler, call, None)),
        refuses(200, -32602, "invalid block tag"),
        refuses(200, -39001, "Unknown block"),
        refuses(200, -32000, "finalized block not found"),
        refuses(200, -32603, "'finalized' tag not supported on pre-merge network"),
    ],
)
def test_missing_finality_names_the_setting(serve: Serve, answer: Answer) -> None:
    with pytest.raises(Unreachable, match="set confirmations"):
        Finality(None).block(Rpc(serve(answer).url, 1, timeout=0.5))


def test_outage_is_not_taken_for_missing_finality(serve: Serve) -> None:
    with pytest.raises(Unreachable) as raised:
        Finality(None).block(Rpc(serve(refuses(503, -32011, "no backend is currently healthy")).url, 1, timeout=0.5))
    assert "confirmations" not in str(raised.value)
