"""One JSON-RPC endpoint over HTTP, with a deadline for the whole of every call; `open_endpoint` for any transport.

HTTP is spoken with urllib3 directly: web3's provider bounds each socket operation, not the call, so that a server
which sends a byte a second holds it for ever.
"""

from __future__ import annotations

import itertools
import json
import time
from typing import Any, Protocol

import urllib3

from covey.chain.errors import FatalError, RpcResponseError, TransientError

MAX_ANSWER_BYTES = 32 << 20
"""A larger answer is cut off: whoever asked for it must ask for less, so that it fits in memory."""
_CHUNK_BYTES = 1 << 18
_BUSY = (429, 500, 502, 503, 504, 520, 522, 524)
_LARGE_OR_SLOW = (408, 413, 504, 524)
_MAX_PAUSE_S = 60.0


class EndpointFault(TransientError):
    """This endpoint gave no usable answer; another one may.

    Attributes:
        slow: it took too long or broke off within the answer, so that asking for less may help.
        passing: it said, or broke off as if, it were busy: the same again soon may work.
        pause: seconds that it asked to be left alone.
    """

    def __init__(self, message: str, *, slow: bool = False, passing: bool = False, pause: float = 0.0) -> None:
        super().__init__(message)
        self.slow = slow
        self.passing = passing
        self.pause = pause


class Endpoint(Protocol):
    """Something that answers JSON-RPC calls, from any thread."""

    url: str

    def request(self, method: str, params: list[Any], timeout: float) -> Any:
        """The result of one call, or None.

        Raises:
            EndpointFault: no usable answer within ``timeout`` seconds.
            Refused: the node answered with an error.
        """


def open_endpoint(url: str) -> Endpoint:
    """An endpoint by its URL: http://, https://, ws://, wss://, or the path of an ipc socket.

    Raises:
        Fatal: none of these.
    """
    from covey.chain.rpc.streams import IpcEndpoint, WebSocketEndpoint

    scheme = url.partition("://")[0] if "://" in url else ""
    if scheme in ("http", "https"):
        return HttpEndpoint(url)
    if scheme in ("ws", "wss"):
        return WebSocketEndpoint(url)
    if not scheme and url:
        return IpcEndpoint(url)
    raise FatalError(f"not an RPC address: {url!r}; use http(s)://…, ws(s)://… or the path of an ipc socket")


def printable(url: str) -> str:
    """The URL without what may be a key: user, password, path and query of a web address are left out."""
    parsed = urllib3.util.parse_url(url)
    if not parsed.scheme or not parsed.host:
        return url
    return f"{parsed.scheme}://{parsed.host}" + (f":{parsed.port}" if parsed.port else "")


def encode(call_id: int, method: str, params: list[Any]) -> bytes:
    """The body of a call."""
    return json.dumps({"jsonrpc": "2.0", "id": call_id, "method": method, "params": params}).encode()


class HttpEndpoint:
    """JSON-RPC over HTTP with kept-alive connections."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._pool = urllib3.PoolManager(num_pools=1, maxsize=4, retries=False)
        self._ids = itertools.count(1)

    def request(self, method: str, params: list[Any], timeout: float) -> Any:
        """See `Endpoint.request`."""
        end = time.monotonic() + timeout
        call_id = next(self._ids)
        try:
            status, headers, answer = self._post(method, encode(call_id, method, params), end)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise fault_of(method, error) from None
        try:
            document = json.loads(answer)
        except ValueError:
            document = None
        answered = isinstance(document, dict) and "error" in document and status not in (401, 403, 404, 407, 429)
        if status >= 400 and not answered:
            raise EndpointFault(
                f"{method}: HTTP {status}",
                slow=status in _LARGE_OR_SLOW,
                passing=status in _BUSY,
                pause=_pause(headers.get("Retry-After")),
            )
        if document is None:
            raise EndpointFault(f"{method}: HTTP {status}, not JSON")
        return result_of(document, method, call_id)

    def _post(self, method: str, body: bytes, end: float) -> tuple[int, Any, bytes]:
        left = max(0.001, end - time.monotonic())
        response = self._pool.request(
            "POST",
            self.url,
            body=body,
            headers={"Content-Type": "application/json", "Accept": "application/json"},
            timeout=urllib3.Timeout(total=left),
            preload_content=False,
            redirect=False,
        )
        answer = bytearray()
        try:
            while True:
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError("deadline passed within the answer")
                sock = getattr(response.connection, "sock", None)
                if sock is not None:
                    sock.settimeout(left)
                chunk = response.read1(_CHUNK_BYTES)
                if not chunk:
                    break
                answer += chunk
                check_size(method, len(answer))
        except BaseException:
            response.close()
            raise
        response.release_conn()
        return response.status, response.headers, bytes(answer)


def check_size(method: str, received: int) -> None:
    """Raises Refused, as a node does that limits its answers, where one is above `MAX_ANSWER_BYTES`."""
    if received > MAX_ANSWER_BYTES:
        raise RpcResponseError(method, 0, f"response size above {MAX_ANSWER_BYTES} bytes")


def result_of(document: Any, method: str, call_id: Any) -> Any:
    """The result in a JSON-RPC answer.

    Raises:
        EndpointFault: not an answer to this call.
        Refused: the answer is an error.
    """
    if not isinstance(document, dict):
        raise EndpointFault(f"{method}: the answer is not a JSON-RPC object")
    error = document.get("error")
    if error is not None:
        if not isinstance(error, dict):
            raise RpcResponseError(method, 0, str(error))
        code = error.get("code")
        raise RpcResponseError(
            method, code if isinstance(code, int) else 0, str(error.get("message", "")), error.get("data")
        )
    if document.get("id") != call_id or "result" not in document:
        raise EndpointFault(f"{method}: the answer belongs to another call")
    return document["result"]


def fault_of(method: str, error: BaseException) -> EndpointFault:
    """A transport's error as a fault, in a few words."""
    refused = (ConnectionRefusedError, FileNotFoundError, urllib3.exceptions.NewConnectionError)
    if isinstance(error, refused):
        return EndpointFault(f"{method}: cannot connect")
    text = str(error) or type(error).__name__
    late = isinstance(error, (TimeoutError, urllib3.exceptions.TimeoutError)) or "timed out" in text.lower()
    if late:
        return EndpointFault(f"{method}: no answer in time", slow=True)
    broke_off = isinstance(error, (urllib3.exceptions.ProtocolError, ConnectionError, EOFError))
    return EndpointFault(f"{method}: {text.splitlines()[0][:200]}", slow=broke_off, passing=broke_off)


def _pause(retry_after: str | None) -> float:
    """Seconds in a Retry-After header; 0 where there is none or it names a date."""
    if retry_after is None or not retry_after.strip().isdecimal():
        return 0.0
    return min(float(retry_after), _MAX_PAUSE_S)
