"""A proxy in front of a node's gateway that stalls, lies, breaks off or vanishes.

Every fault counts the requests that it answered, so that a test can see that it was in force.
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
"""Nobody listens."""
_LONGEST_S = 60.0

Answer = Callable[["GatewayProxy", BaseHTTPRequestHandler, bytes], None]
"""Answers a request for a block, given what the gateway would have answered."""


class GatewayProxy:
    """A proxy at ``url`` of the gateway at ``target``, with one fault of `FAULTS` at a time, or `VANISHED`, or none.

    Attributes:
        requests: requests that came, faulty or not.
        hits: requests that each fault answered.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self.fault: str | None = None
        self.requests = 0
        self.hits: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._http = urllib3.PoolManager(maxsize=8, retries=False, timeout=60.0)
        self._server: ThreadingHTTPServer | None = self._listen(0)
        self._port = self._server.server_address[1] if self._server is not None else 0
        self.url = f"http://127.0.0.1:{self._port}"

    def set(self, fault: str | None) -> None:
        """Have one fault from now on; None: none."""
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
        except urllib3.exceptions.HTTPError:  # the gateway itself is gone
            reply(handler, b"", 502)
        except OSError:  # the client is gone
            handler.close_connection = True

    def _ask(self, path: str) -> urllib3.BaseHTTPResponse:
        return self._http.request("GET", self.target + path)


def _stalls(proxy: GatewayProxy, handler: BaseHTTPRequestHandler, block: bytes) -> None:
    """Accepts, and never answers while the fault lasts."""
    end = time.monotonic() + _LONGEST_S
    while proxy.fault == "stalls" and time.monotonic() < end:
        time.sleep(0.05)


def _trickles(proxy: GatewayProxy, handler: BaseHTTPRequestHandler, block: bytes) -> None:
    """A byte a second while the fault lasts; then it breaks off."""
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
    """As many bytes, one of them another."""
    reply(handler, block[:-1] + bytes([block[-1] ^ 1]) if block else b"?")


def _too_short(proxy: GatewayProxy, handler: BaseHTTPRequestHandler, block: bytes) -> None:
    """Half of the block as if it were all."""
    reply(handler, block[: len(block) // 2])


def _too_long(proxy: GatewayProxy, handler: BaseHTTPRequestHandler, block: bytes) -> None:
    reply(handler, block + bytes(4096))


def _cut_off(proxy: GatewayProxy, handler: BaseHTTPRequestHandler, block: bytes) -> None:
    """Half of the block, and the connection ends."""
    reply(handler, block[: len(block) // 2], length=len(block))


def _wrong_length(proxy: GatewayProxy, handler: BaseHTTPRequestHandler, block: bytes) -> None:
    """All of it under a length that promises more."""
    reply(handler, block, length=len(block) + 1_000)


def _resets(proxy: GatewayProxy, handler: BaseHTTPRequestHandler, block: bytes) -> None:
    """Ends the connection by RST."""
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
"""Faults that answer with other content than was asked for."""
