"""A JSON-RPC proxy in front of a real chain that is faulty above the wire: busy, damaged, behind, ahead, or lying.

Every fault counts the calls that it really changed, so that a test can see that it was in force.
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
"""How far ahead the time of a head that does not exist is: within a window, near its end, past all of them."""
STALE_BLOCKS: Final = 6
_BLOCK_AT: Final = {
    "eth_call": 1,
    "eth_estimateGas": 1,
    "eth_getBalance": 1,
    "eth_getCode": 1,
    "eth_getTransactionCount": 1,
    "eth_getBlockByNumber": 0,
}
"""Position of the block among the parameters."""

Call = dict[str, Any]
Answer = Callable[["RpcProxy", BaseHTTPRequestHandler, Call], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """How calls are answered faultily, and which; the others are answered as the chain does."""

    answer: Answer
    touches: Callable[[Call], bool] = lambda call: True


class RpcProxy:
    """A proxy at ``url`` of the chain at ``target``, with one fault of `FAULTS` at a time, or none.

    Attributes:
        sending: faults of the transactions that come, one after the other, where ``fault`` lets them pass.
        label: under which calls are counted in ``seen`` as they come, faulty or not.
        hits: answers that each fault changed.
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
        """Have one fault of `FAULTS` from now on; None: none."""
        if fault is not None:
            FAULTS[fault]
        self.fault = fault

    def hide(self, topics: Iterable[str]) -> None:
        """Leave logs with one of these first topics (0x hex) out of every eth_getLogs, beside any other fault."""
        self.hidden = frozenset(topics)

    def ask(self, method: str, *params: Any) -> Any:
        """What the chain itself answers."""
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
                result(handler, call, self._honest(call))
        except RpcResponseError as refused:
            error(handler, call, refused.code, refused.message, refused.data)
        except EndpointFault as fault:
            reply(handler, str(fault).encode(), 502)
        except OSError:  # the client is gone
            handler.close_connection = True

    def _honest(self, call: Call) -> Any:
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
    """Half of the answer, and the connection ends."""
    body = _body(proxy, call)
    reply(handler, body[: len(body) // 2], length=len(body))
    handler.close_connection = True


def _half_json(proxy: RpcProxy, handler: BaseHTTPRequestHandler, call: Call) -> None:
    """Half of the answer as if it were all."""
    body = _body(proxy, call)
    reply(handler, body[: len(body) // 2])


def _garbage(proxy: RpcProxy, handler: BaseHTTPRequestHandler, call: Call) -> None:
    rubbish: list[Any] = [[], {}, {"jsonrpc": "2.0", "id": call["id"], "result": {"hash": 5}}, "yes", 7, None]
    reply(handler, json.dumps(proxy.random.choice(rubbish)).encode())


def _another_calls(proxy: RpcProxy, handler: BaseHTTPRequestHandler, call: Call) -> None:
    result(handler, call | {"id": call["id"] + 1}, proxy.ask(call["method"], *call["params"]))


def _late(proxy: RpcProxy, handler: BaseHTTPRequestHandler, call: Call) -> None:
    found = proxy.ask(call["method"], *call["params"])
    time.sleep(proxy.random.uniform(0.3, 2.0))
    result(handler, call, found)


def _hangs(proxy: RpcProxy, handler: BaseHTTPRequestHandler, call: Call) -> None:
    """No answer before the fault is over, if then."""
    end = time.monotonic() + 20
    while proxy.fault == "hangs" and time.monotonic() < end:
        time.sleep(0.05)
    handler.close_connection = True


# ---------------------------------------------------------------------- errors of the node


def _error(code: int, message: str, *methods: str) -> Fault:
    """A JSON-RPC error to these methods; to all, if none is named."""

    def answer(proxy: RpcProxy, handler: BaseHTTPRequestHandler, call: Call) -> None:
        error(handler, call, code, message)

    return Fault(answer, (lambda call: call["method"] in methods) if methods else lambda call: True)


# ---------------------------------------------------------------------- lies about the state

_NOTHING: Final = {"eth_call": "0x", "eth_getCode": "0x", "eth_getBalance": "0x0", "eth_getTransactionCount": "0x0"}


def _no_state(proxy: RpcProxy, handler: BaseHTTPRequestHandler, call: Call) -> None:
    """As if no account had ever been used."""
    result(handler, call, _NOTHING[call["method"]])


# ---------------------------------------------------------------------- lies about the head


def _behind(proxy: RpcProxy, call: Call, depth: int) -> Any:
    """What a node would answer that is ``depth`` blocks behind."""
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
    waiting = found | {"blockNumber": None, "blockHash": None, "transactionIndex": None}
    return None if method == "eth_getTransactionReceipt" else waiting


def _check_range(proxy: RpcProxy, query: dict[str, Any], limit: int) -> None:
    """Refuses logs of blocks above ``limit``, in geth's words."""
    if "blockHash" in query:
        block = proxy.ask("eth_getBlockByHash", query["blockHash"], False)
        if block is not None and int(block["number"], 16) > limit:
            raise RpcResponseError("eth_getLogs", -32000, "unknown block")
    elif int(query["toBlock"], 16) > limit:
        raise RpcResponseError("eth_getLogs", -32602, "block range extends beyond current head block")


def _stale(proxy: RpcProxy, handler: BaseHTTPRequestHandler, call: Call) -> None:
    """The same number of blocks behind in every answer."""
    result(handler, call, _behind(proxy, call, STALE_BLOCKS))


def _wavering(proxy: RpcProxy, handler: BaseHTTPRequestHandler, call: Call) -> None:
    """Behind by another number of blocks in each answer, as a balancer over nodes that are not in step."""
    result(handler, call, _behind(proxy, call, proxy.random.randint(0, STALE_BLOCKS)))


def _future(proxy: RpcProxy, handler: BaseHTTPRequestHandler, call: Call) -> None:
    """A head that does not exist."""
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


def _about_the_head(call: Call) -> bool:
    named = call["method"] == "eth_getBlockByNumber" and call["params"][0] == "latest"
    return named or call["method"] == "eth_blockNumber"


def _finalized(proxy: RpcProxy, handler: BaseHTTPRequestHandler, call: Call) -> None:
    """A finalised block that is the head, the first block of all, or one that does not exist."""
    latest = proxy.ask("eth_getBlockByNumber", "latest", False)
    first = proxy.ask("eth_getBlockByNumber", "0x0", False)
    result(
        handler,
        call,
        proxy.random.choice([latest, first, _moved(latest, FUTURE_BLOCKS, proxy.random.choice(FUTURE_SECONDS))]),
    )


def _about_the_settled(call: Call) -> bool:
    return call["method"] == "eth_getBlockByNumber" and call["params"][0] in ("finalized", "safe")


def _moved(block: dict[str, Any], blocks: int, seconds: int) -> dict[str, Any]:
    number, timestamp = int(block["number"], 16) + blocks, int(block["timestamp"], 16) + seconds
    made_up = {
        "number": hex(number),
        "timestamp": hex(timestamp),
        "hash": "0x" + keccak(number.to_bytes(32, "big")).hex(),
    }
    return block | made_up


# ---------------------------------------------------------------------- lies about transactions


def _swallows(proxy: RpcProxy, handler: BaseHTTPRequestHandler, call: Call) -> None:
    """Says that it has taken a transaction, and forgets it."""
    result(handler, call, "0x" + keccak(bytes.fromhex(call["params"][0][2:])).hex())


def _knows_already(proxy: RpcProxy, handler: BaseHTTPRequestHandler, call: Call) -> None:
    """Says that it has a transaction already which it has never seen."""
    error(handler, call, -32000, "already known")


def _loses_the_answer(proxy: RpcProxy, handler: BaseHTTPRequestHandler, call: Call) -> None:
    """Takes a transaction and says nothing."""
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
    "another call's": Fault(_another_calls),
    "late": Fault(_late),
    "hangs": Fault(_hangs),
    "too many results": _error(-32005, "query returned more than 10000 results", "eth_getLogs"),
    "header not found": _error(-32000, "header not found", *_BLOCK_AT),
    "internal error": _error(-32603, "internal error"),
    "no state": Fault(_no_state, lambda call: call["method"] in _NOTHING),
    "stale head": Fault(_stale),
    "wavering head": Fault(_wavering),
    "future head": Fault(_future, _about_the_head),
    "wrong finalized": Fault(_finalized, _about_the_settled),
    "swallows": Fault(_swallows, _sends),
    "already known": Fault(_knows_already, _sends),
    "lost answer": Fault(_loses_the_answer, _sends),
}
SENDING: Final = ("swallows", "already known", "lost answer")
"""Faults that touch nothing but the sending of transactions."""
