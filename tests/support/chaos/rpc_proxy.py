"""A JSON-RPC proxy in front of a real chain with faults in its answers: busy, damaged, behind, ahead, or lying.

Each fault counts the calls that it changed, so that a test can check that it was active.
"""

from __future__ import annotations

import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

from eth_hash.auto import keccak
from tests.support.chain.servers import Server, error, reply, result

from covey.chain.errors import RpcResponseError
from covey.chain.rpc.endpoint import EndpointFault
from covey.chain.rpc.http import HttpEndpoint

FUTURE_BLOCKS: Final = 1_000
FUTURE_SECONDS: Final = (150, 400, 570, 86_400)
"""How far ahead a false head's timestamp is: within a window, near its end, past all windows."""
STALE_BLOCKS: Final = 6
_BLOCK_AT: Final = {
    "eth_call": 1,
    "eth_estimateGas": 1,
    "eth_getBalance": 1,
    "eth_getCode": 1,
    "eth_getTransactionCount": 1,
    "eth_getBlockByNumber": 0,
}
"""Index of the block parameter."""

Call = dict[str, Any]
Answer = Callable[["RpcProxy", BaseHTTPRequestHandler, Call], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """The faulty answer, and the calls that get it; all other calls are passed on."""

    answer: Answer
    touches: Callable[[Call], bool] = lambda call: True


class RpcProxy:
    """A proxy at ``url`` for the chain at ``target``, with at most one fault of `FAULTS` at a time.

    Attributes:
        sending: faults for successive transactions that ``fault`` lets pass.
        label: the key under which arriving calls are counted in ``seen``.
        hits: number of answers that each fault changed.
    """

    def __init__(self, target: str, seed: int = 0) -> None:
        self.fault: str | None = None
        self.sending: Iterator[str | None] = itertools.repeat(None)
        self.label: str | None = None
        self.seen: Counter[str | None] = Counter()
        self.hits: Counter[str] = Counter()
        self.hidden: frozenset[str] = frozenset()
        self.random = random.Random(seed)
        self._chain = HttpEndpoint(target)
        self._lock = threading.Lock()
        self._server = Server(self._answer)
        self._server.http.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that hang up
        self.url = self._server.url

    def set(self, fault: str | None) -> None:
        """Activate one fault of `FAULTS`; None deactivates it."""
        if fault is not None:
            FAULTS[fault]
        self.fault = fault

    def hide(self, topics: Iterable[str]) -> None:
        """Omit logs with one of these first topics (0x hex) from every eth_getLogs, in addition to any other fault."""
        self.hidden = frozenset(topics)

    def ask(self, method: str, *params: Any) -> Any:
        """The chain's own answer."""
        return self._chain.request(method, list(params), 60)

    def close(self) -> None:
        """Stop serving."""
        self._server.http.shutdown()
        self._server.http.server_close()

    def hit(self, name: str) -> None:
        """Count an answer that a fault changed."""
        with self._lock:
            self.hits[name] += 1

    def _answer(self, handler: BaseHTTPRequestHandler, call: Call) -> None:
        name = self.fault if self.fault is not None and FAULTS[self.fault].touches(call) else None
        with self._lock:
            self.seen[self.label] += 1
            if name is None and call["method"] == "eth_sendRawTransaction":
                name = next(self.sending)
        try:
            if name is not None:
                self.hit(name)
                FAULTS[name].answer(self, handler, call)
            else:
                result(handler, call, self._forward(call))
        except RpcResponseError as rejection:
            error(handler, call, rejection.code, rejection.message, rejection.data)
        except EndpointFault as fault:
            reply(handler, str(fault).encode(), 502)
        except OSError:  # the client has disconnected
            handler.close_connection = True

    def _forward(self, call: Call) -> Any:
        found = self.ask(call["method"], *call["params"])
        if self.hidden and call["method"] == "eth_getLogs":
            shown = [log for log in found if log["topics"][0] not in self.hidden]
            if len(shown) < len(found):
                self.hit("hidden")
            return shown
        return found


# ---------------------------------------------------------------------- busy, slow, damaged


def _retry_after(proxy: RpcProxy, handler: BaseHTTPRequestHandler, call: Call) -> None:
    handler.send_response(429)
    handler.send_header("Retry-After", "1")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def _says(status: int) -> Answer:
    def answer(proxy: RpcProxy, handler: BaseHTTPRequestHandler, call: Call) -> None:
        reply(handler, b"<html><h1>Sorry</h1></html>", status)

    return answer


def _body(proxy: RpcProxy, call: Call) -> bytes:
    found = proxy.ask(call["method"], *call["params"])
    return json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": found}).encode()


def _cut_off(proxy: RpcProxy, handler: BaseHTTPRequestHandler, call: Call) -> None:
    """Send half of the answer and close the connection."""
    body = _body(proxy, call)
    reply(handler, body[: len(body) // 2], length=len(body))
    handler.close_connection = True


def _half_json(proxy: RpcProxy, handler: BaseHTTPRequestHandler, call: Call) -> None:
    """Send half of the answer as if it were complete."""
    body = _body(proxy, call)
    reply(handler, body[: len(body) // 2])


def _garbage(proxy: RpcProxy, handler: BaseHTTPRequestHandler, call: Call) -> None:
    answers: list[Any] = [[], {}, {"jsonrpc": "2.0", "id": call["id"], "result": {"hash": 5}}, "yes", 7, None]
    reply(handler, json.dumps(proxy.random.choice(answers)).encode())


def _wrong_id(proxy: RpcProxy, handler: BaseHTTPRequestHandler, call: Call) -> None:
    result(handler, call | {"id": call["id"] + 1}, proxy.ask(call["method"], *call["params"]))


def _late(proxy: RpcProxy, handler: BaseHTTPRequestHandler, call: Call) -> None:
    found = proxy.ask(call["method"], *call["params"])
    time.sleep(proxy.random.uniform(0.3, 2.0))
    result(handler, call, found)


def _hangs(proxy: RpcProxy, handler: BaseHTTPRequestHandler, call: Call) -> None:
    """Do not answer while the fault is active."""
    end = time.monotonic() + 20
    while proxy.fault == "hangs" and time.monotonic() < end:
        time.sleep(0.05)
    handler.close_connection = True


# ---------------------------------------------------------------------- errors of the node


def _error(code: int, message: str, *methods: str) -> Fault:
    """A JSON-RPC error for these methods, or for all if none is given."""

    def answer(proxy: RpcProxy, handler: BaseHTTPRequestHandler, call: Call) -> None:
        error(handler, call, code, message)

    return Fault(answer, (lambda call: call["method"] in methods) if methods else lambda call: True)


# ---------------------------------------------------------------------- false state

_EMPTY_STATE: Final = {"eth_call": "0x", "eth_getCode": "0x", "eth_getBalance": "0x0", "eth_getTransactionCount": "0x0"}


def _no_state(proxy: RpcProxy, handler: BaseHTTPRequestHandler, call: Call) -> None:
    """Answer as if no account had ever been used."""
    result(handler, call, _EMPTY_STATE[call["method"]])


# ---------------------------------------------------------------------- false heads


def _behind(proxy: RpcProxy, call: Call, depth: int) -> Any:
    """The answer of a node that is ``depth`` blocks behind."""
    method, params = call["method"], list(call["params"])
    limit = max(0, int(proxy.ask("eth_blockNumber"), 16) - depth)
    if method == "eth_blockNumber":
        return hex(limit)
    if (place := _BLOCK_AT.get(method)) is not None:
        wanted = params[place] if len(params) > place else "latest"
        if wanted in ("latest", "pending", "safe", "finalized"):
            params[place:] = [hex(limit), *params[place + 1 :]]
        elif wanted != "earliest" and int(wanted, 16) > limit:
            if method == "eth_getBlockByNumber":
                return None
            raise RpcResponseError(method, -32000, "header not found")
    if method == "eth_getLogs":
        _check_range(proxy, params[0], limit)
    found = proxy.ask(method, *params)
    if method not in ("eth_getTransactionReceipt", "eth_getTransactionByHash") or found is None:
        return found
    if found["blockNumber"] is None or int(found["blockNumber"], 16) <= limit:
        return found
    unmined = found | {"blockNumber": None, "blockHash": None, "transactionIndex": None}
    return None if method == "eth_getTransactionReceipt" else unmined


def _check_range(proxy: RpcProxy, query: dict[str, Any], limit: int) -> None:
    """Reject logs of blocks above ``limit``, with geth's messages."""
    if "blockHash" in query:
        block = proxy.ask("eth_getBlockByHash", query["blockHash"], False)
        if block is not None and int(block["number"], 16) > limit:
            raise RpcResponseError("eth_getLogs", -32000, "unknown block")
    elif int(query["toBlock"], 16) > limit:
        raise RpcResponseError("eth_getLogs", -32602, "block range extends beyond current head block")


def _stale(proxy: RpcProxy, handler: BaseHTTPRequestHandler, call: Call) -> None:
    """Always be the same number of blocks behind."""
    result(handler, call, _behind(proxy, call, STALE_BLOCKS))


def _wavering(proxy: RpcProxy, handler: BaseHTTPRequestHandler, call: Call) -> None:
    """Be a random number of blocks behind, like a load balancer over nodes that are not in sync."""
    result(handler, call, _behind(proxy, call, proxy.random.randint(0, STALE_BLOCKS)))


def _future(proxy: RpcProxy, handler: BaseHTTPRequestHandler, call: Call) -> None:
    """Report a head that does not exist."""
    if call["method"] == "eth_blockNumber":
        result(handler, call, hex(int(proxy.ask("eth_blockNumber"), 16) + FUTURE_BLOCKS))
    else:
        result(
            handler,
            call,
            _moved(
                proxy.ask("eth_getBlockByNumber", "latest", False), FUTURE_BLOCKS, proxy.random.choice(FUTURE_SECONDS)
            ),
        )


def _asks_for_head(call: Call) -> bool:
    by_name = call["method"] == "eth_getBlockByNumber" and call["params"][0] == "latest"
    return bool(by_name or call["method"] == "eth_blockNumber")


def _finalized(proxy: RpcProxy, handler: BaseHTTPRequestHandler, call: Call) -> None:
    """Report as finalised the head, the genesis block, or a block that does not exist."""
    latest = proxy.ask("eth_getBlockByNumber", "latest", False)
    first = proxy.ask("eth_getBlockByNumber", "0x0", False)
    result(
        handler,
        call,
        proxy.random.choice([latest, first, _moved(latest, FUTURE_BLOCKS, proxy.random.choice(FUTURE_SECONDS))]),
    )


def _asks_for_finalised(call: Call) -> bool:
    return bool(call["method"] == "eth_getBlockByNumber" and call["params"][0] in ("finalized", "safe"))


def _moved(block: dict[str, Any], blocks: int, seconds: int) -> dict[str, Any]:
    number, timestamp = int(block["number"], 16) + blocks, int(block["timestamp"], 16) + seconds
    changes = {
        "number": hex(number),
        "timestamp": hex(timestamp),
        "hash": "0x" + keccak(number.to_bytes(32, "big")).hex(),
    }
    return block | changes


# ---------------------------------------------------------------------- lost transactions


def _swallows(proxy: RpcProxy, handler: BaseHTTPRequestHandler, call: Call) -> None:
    """Accept a transaction and drop it."""
    result(handler, call, "0x" + keccak(bytes.fromhex(call["params"][0][2:])).hex())


def _knows_already(proxy: RpcProxy, handler: BaseHTTPRequestHandler, call: Call) -> None:
    """Report an unseen transaction as already known."""
    error(handler, call, -32000, "already known")


def _loses_the_answer(proxy: RpcProxy, handler: BaseHTTPRequestHandler, call: Call) -> None:
    """Send a transaction on, and answer with an error."""
    proxy.ask(call["method"], *call["params"])
    reply(handler, b"", 502)


def _sends(call: Call) -> bool:
    return bool(call["method"] == "eth_sendRawTransaction")


FAULTS: Final[dict[str, Fault]] = {
    "429": Fault(_retry_after),
    "500": Fault(_says(500)),
    "503": Fault(_says(503)),
    "cut off": Fault(_cut_off),
    "half JSON": Fault(_half_json),
    "garbage": Fault(_garbage),
    "another call's": Fault(_wrong_id),
    "late": Fault(_late),
    "hangs": Fault(_hangs),
    "too many results": _error(-32005, "query returned more than 10000 results", "eth_getLogs"),
    "header not found": _error(-32000, "header not found", *_BLOCK_AT),
    "internal error": _error(-32603, "internal error"),
    "no state": Fault(_no_state, lambda call: call["method"] in _EMPTY_STATE),
    "stale head": Fault(_stale),
    "wavering head": Fault(_wavering),
    "future head": Fault(_future, _asks_for_head),
    "wrong finalized": Fault(_finalized, _asks_for_finalised),
    "swallows": Fault(_swallows, _sends),
    "already known": Fault(_knows_already, _sends),
    "lost answer": Fault(_loses_the_answer, _sends),
}
SENDING: Final = ("swallows", "already known", "lost answer")
"""Faults that only affect the sending of transactions."""
