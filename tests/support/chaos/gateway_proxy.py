"""A proxy in front of a node's gateway that stalls, returns wrong data, breaks off or vanishes.

Each fault counts the requests that it answered, so that a test can check that it was active.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import urllib3
from tests.support.chain.servers import reply

VANISHED: Final = "vanished"
"""Nothing listens on the port."""
_LONGEST_S = 60.0

Answer = Callable[["GatewayProxy", BaseHTTPRequestHandler, bytes], None]
"""Answers a request for a block, given the gateway's answer."""


class GatewayProxy:
    """A proxy at ``url`` for the gateway at ``target``, with at most one fault: one of `FAULTS`, or `VANISHED`.

    Attributes:
        requests: number of requests, faulty or not.
        hits: number of requests that each fault answered.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self.fault: str | None = None
        self.requests = 0
        self.hits: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._http = urllib3.PoolManager(maxsize=8, retries=False, timeout=60.0)
        server = self._listen(0)
        self._server: ThreadingHTTPServer | None = server
        self._port = server.server_address[1]
        self.url = f"http://127.0.0.1:{self._port}"

    def set(self, fault: str | None) -> None:
        """Activate one fault; None deactivates it."""
        if fault is not None and fault != VANISHED:
            FAULTS[fault]
        self.fault = fault
        if fault == VANISHED:
            self._end()
        elif self._server is None:
            self._server = self._listen(self._port)

    def close(self) -> None:
        """Stop serving."""
        self.fault = None
        self._end()

    def _end(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _listen(self, port: int) -> ThreadingHTTPServer:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer._answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        class Listener(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

        server = Listener(("127.0.0.1", port), Handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), name="gateway-proxy", daemon=True).start()
        return server

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        name = self.fault if self.fault in FAULTS else None
        with self._lock:
            self.requests += 1
            if name is not None:
                self.hits[name] += 1
        try:
            if name is not None:
                FAULTS[name](self, handler, self._ask(handler.path).data)
            else:
                answer = self._ask(handler.path)
                reply(handler, answer.data, answer.status)
        except urllib3.exceptions.HTTPError:  # the gateway has ended
            reply(handler, b"", 502)
        except OSError:  # the client has disconnected
            handler.close_connection = True

    def _ask(self, path: str) -> urllib3.BaseHTTPResponse:
        return self._http.request("GET", self.target + path)


def _stalls(proxy: GatewayProxy, handler: BaseHTTPRequestHandler, block: bytes) -> None:
    """Accept the request, and do not answer while the fault is active."""
    end = time.monotonic() + _LONGEST_S
    while proxy.fault == "stalls" and time.monotonic() < end:
        time.sleep(0.05)


def _trickles(proxy: GatewayProxy, handler: BaseHTTPRequestHandler, block: bytes) -> None:
    """Send a byte a second while the fault is active, then close the connection."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(block)))
    handler.end_headers()
    for byte in block:
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()
        end = time.monotonic() + 1
        while time.monotonic() < end:
            if proxy.fault != "trickles":
                return
            time.sleep(0.05)


def _other_bytes(proxy: GatewayProxy, handler: BaseHTTPRequestHandler, block: bytes) -> None:
    """Change one byte."""
    reply(handler, block[:-1] + bytes([block[-1] ^ 1]) if block else b"?")


def _too_short(proxy: GatewayProxy, handler: BaseHTTPRequestHandler, block: bytes) -> None:
    """Send half of the block as if it were complete."""
    reply(handler, block[: len(block) // 2])


def _too_long(proxy: GatewayProxy, handler: BaseHTTPRequestHandler, block: bytes) -> None:
    reply(handler, block + bytes(4096))


def _cut_off(proxy: GatewayProxy, handler: BaseHTTPRequestHandler, block: bytes) -> None:
    """Send half of the block and close the connection."""
    reply(handler, block[: len(block) // 2], length=len(block))


def _wrong_length(proxy: GatewayProxy, handler: BaseHTTPRequestHandler, block: bytes) -> None:
    """Send the block with a Content-Length that is too large."""
    reply(handler, block, length=len(block) + 1_000)


def _resets(proxy: GatewayProxy, handler: BaseHTTPRequestHandler, block: bytes) -> None:
    """Reset the connection."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def _says(status: int) -> Answer:
    def answer(proxy: GatewayProxy, handler: BaseHTTPRequestHandler, block: bytes) -> None:
        reply(handler, b"<html>no</html>", status)

    return answer


FAULTS: Final[dict[str, Answer]] = {
    "stalls": _stalls,
    "trickles": _trickles,
    "other bytes": _other_bytes,
    "too short": _too_short,
    "too long": _too_long,
    "cut off": _cut_off,
    "wrong length": _wrong_length,
    "resets": _resets,
    "404": _says(404),
    "500": _says(500),
    "503": _says(503),
}
LIES: Final = ("other bytes", "too short", "too long")
"""Faults that answer with wrong content."""
