"""JSON-RPC servers with scripted faults, and a proxy that changes the answers of a real node."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[BaseHTTPRequestHandler, dict[str, Any]], None]


class Server:
    """A JSON-RPC server on the loopback interface with scripted behaviour; ``calls`` lists the methods called."""

    def __init__(self, answer: Answer) -> None:
        self.calls: list[str] = []
        self.headers: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.calls.append(call["method"])
                outer.headers.append({name.lower(): value for name, value in self.headers.items()})
                answer(self, call)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()


def reply(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, length: int | None = None) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


def result(handler: BaseHTTPRequestHandler, call: dict[str, Any], value: Any) -> None:
    reply(handler, json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": value}).encode())


def error(handler: BaseHTTPRequestHandler, call: dict[str, Any], code: int, message: str, data: Any = None) -> None:
    fault = {"code": code, "message": message} | ({} if data is None else {"data": data})
    reply(handler, json.dumps({"jsonrpc": "2.0", "id": call["id"], "error": fault}).encode())


def refuses(status: int, code: int, message: str, *, besides: str = "eth_chainId") -> Answer:
    """Answers every method except ``besides`` with an error."""

    def answer(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
        if call["method"] == besides:
            return healthy()(handler, call)
        fault = {"jsonrpc": "2.0", "id": call["id"], "error": {"code": code, "message": message}}
        return reply(handler, json.dumps(fault).encode(), status)

    return answer


def nested_deeply(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
    reply(handler, b'{"jsonrpc":"2.0","id":%d,"result":' % call["id"] + b"[" * 100_000 + b"]" * 100_000 + b"}")


def healthy(chain_id: int = 1, block: int = 0x10) -> Answer:
    def answer(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
        result(handler, call, hex(chain_id) if call["method"] == "eth_chainId" else hex(block))

    return answer


def only(method: str, broken: Answer) -> Answer:
    """Answers like `healthy`, except for one method."""

    def answer(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
        (broken if call["method"] == method else healthy())(handler, call)

    return answer


def hangs(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
    time.sleep(30)


def trickles(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(300):
        try:
            handler.wfile.write(b" ")
            handler.wfile.flush()
        except OSError:
            return
        time.sleep(0.1)


def truncates(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
    reply(handler, b'{"jsonrpc":"2.0",', length=500)
    handler.close_connection = True


def says_429(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
    reply(handler, b"slow down", 429)


def says_502(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
    reply(handler, b"<html>Bad Gateway</html>", 502)


def another_calls_answer(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
    reply(handler, json.dumps({"jsonrpc": "2.0", "id": call["id"] + 1, "result": "0x99"}).encode())


def limited(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
    error(handler, call, -32005, "daily request count exceeded, request rate limited")


def lacks_method(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
    error(handler, call, -32601, "the method does not exist")


def busy(retry_after: str, times: int) -> Answer:
    """Answers so many calls with status 429 and a Retry-After header, then like `healthy`."""
    remaining = [times]

    def answer(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
        remaining[0] -= 1
        if remaining[0] < 0:
            return healthy()(handler, call)
        handler.send_response(429)
        handler.send_header("Retry-After", retry_after)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return None

    return answer


def proxy(target: Callable[[str, list[Any]], Any], change: Callable[[str, list[Any], Any], Any]) -> Answer:
    """Answers with the result of ``target`` (method, params) after ``change`` (method, params, result)."""

    def answer(handler: BaseHTTPRequestHandler, call: dict[str, Any]) -> None:
        original = target(call["method"], call["params"])
        result(handler, call, change(call["method"], call["params"], original))

    return answer
