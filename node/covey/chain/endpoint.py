"""One JSON-RPC endpoint: http(s), ws(s) or an ipc socket, with a deadline for the whole of every call.

HTTP is spoken with urllib3 directly: web3's provider bounds each socket operation, not the call, so that a server
which sends a byte a second holds it for ever. WebSocket and IPC go through web3's providers.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from typing import Any, Protocol

import urllib3

from covey.chain.errors import ChainError, Fatal, Recoverable, Refused

MAX_ANSWER_BYTES = 256 << 20
_CHUNK_BYTES = 1 << 18


class EndpointFault(Recoverable):
    """This endpoint gave no usable answer; another one may."""


class Endpoint(Protocol):
    """Something that answers JSON-RPC calls."""

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
    scheme = url.partition("://")[0] if "://" in url else ""
    if scheme in ("http", "https"):
        return HttpEndpoint(url)
    if scheme in ("ws", "wss") or (not scheme and url):
        return ProviderEndpoint(url)
    raise Fatal(f"not an RPC address: {url!r}; use http(s)://…, ws(s)://… or the path of an ipc socket")


def printable(url: str) -> str:
    """The URL without what may be a key: user, password, path and query of a web address are left out."""
    parsed = urllib3.util.parse_url(url)
    if not parsed.scheme or not parsed.host:
        return url
    return f"{parsed.scheme}://{parsed.host}" + (f":{parsed.port}" if parsed.port else "")


class HttpEndpoint:
    """JSON-RPC over HTTP with kept-alive connections; safe to use from several threads."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._pool = urllib3.PoolManager(num_pools=1, maxsize=4, retries=False)
        self._ids = itertools.count(1)

    def request(self, method: str, params: list[Any], timeout: float) -> Any:
        """See `Endpoint.request`."""
        end = time.monotonic() + timeout
        call_id = next(self._ids)
        body = json.dumps({"jsonrpc": "2.0", "id": call_id, "method": method, "params": params}).encode()
        try:
            status, answer = self._post(body, end)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise EndpointFault(f"{method}: {_short(error)}") from None
        try:
            document = json.loads(answer)
        except ValueError:
            raise EndpointFault(f"{method}: HTTP {status}, not JSON") from None
        if status == 429 or (status >= 500 and not (isinstance(document, dict) and "error" in document)):
            raise EndpointFault(f"{method}: HTTP {status}")
        return result_of(document, method, call_id)

    def _post(self, body: bytes, end: float) -> tuple[int, bytes]:
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
            while chunk := response.read1(_CHUNK_BYTES):
                answer += chunk
                if len(answer) > MAX_ANSWER_BYTES:
                    raise urllib3.exceptions.HTTPError(f"answer above {MAX_ANSWER_BYTES} bytes")
                if time.monotonic() > end:
                    raise urllib3.exceptions.HTTPError("deadline passed within the answer")
        except BaseException:
            response.close()
            raise
        response.release_conn()
        return response.status, bytes(answer)


class ProviderEndpoint:
    """JSON-RPC over WebSocket or IPC through web3's providers, one call at a time."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._lock = threading.Lock()
        self._provider: Any = None

    def request(self, method: str, params: list[Any], timeout: float) -> Any:
        """See `Endpoint.request`."""
        with self._lock:
            try:
                provider = self._provider or self._connect()
                for attribute in ("timeout", "websocket_timeout"):
                    if hasattr(provider, attribute):
                        setattr(provider, attribute, timeout)
                document = provider.make_request(method, params)
            except ChainError:
                raise
            except Exception as error:  # the providers let sockets', codecs' and their own errors through
                self._provider = None
                raise EndpointFault(f"{method}: {_short(error)}") from None
        return result_of(document, method, document.get("id") if isinstance(document, dict) else None)

    def _connect(self) -> Any:
        if "://" in self.url:
            from web3 import LegacyWebSocketProvider

            self._provider = LegacyWebSocketProvider(self.url, websocket_kwargs={"max_size": MAX_ANSWER_BYTES})
        else:
            from web3 import IPCProvider

            self._provider = IPCProvider(self.url)
        return self._provider


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
            raise Refused(method, 0, str(error))
        code = error.get("code")
        raise Refused(method, code if isinstance(code, int) else 0, str(error.get("message", "")), error.get("data"))
    if document.get("id") != call_id or "result" not in document:
        raise EndpointFault(f"{method}: the answer belongs to another call")
    return document["result"]


def _short(error: BaseException) -> str:
    """A transport fault in a few words."""
    text = str(error) or type(error).__name__
    refused = isinstance(error, (ConnectionRefusedError, urllib3.exceptions.NewConnectionError))
    if refused or (isinstance(error, FileNotFoundError)):
        return "cannot connect"
    if isinstance(error, (TimeoutError, urllib3.exceptions.TimeoutError)) or "timed out" in text.lower():
        return "no answer in time"
    return text.splitlines()[0][:200]
