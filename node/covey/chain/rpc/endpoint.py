"""The interface of a JSON-RPC endpoint, and the encoding and checks that all transports share."""

from __future__ import annotations

import json
from typing import Any, Protocol

import urllib3

from covey.chain.errors import RpcResponseError, TransientError

MAX_ANSWER_BYTES = 32 << 20
"""A larger answer is cut off, so that it fits in memory; the caller must ask for less."""


class EndpointFault(TransientError):
    """This endpoint gave no usable answer; another one may.

    Attributes:
        slow: it took too long or broke off within the answer, so a smaller request may succeed.
        passing: it reported that it is busy, or the connection broke, so the same request may soon succeed.
        pause: seconds to wait before the next request, as the endpoint asked.
    """

    def __init__(self, message: str, *, slow: bool = False, passing: bool = False, pause: float = 0.0) -> None:
        super().__init__(message)
        self.slow = slow
        self.passing = passing
        self.pause = pause


class Endpoint(Protocol):
    """A server of JSON-RPC calls. Thread-safe."""

    url: str

    def request(self, method: str, params: list[Any], timeout: float) -> Any:
        """Make one call and return its result, which may be None.

        Raises:
            EndpointFault: no usable answer within ``timeout`` seconds.
            RpcResponseError: the node answered with an error.
        """


def printable(url: str) -> str:
    """The URL without what may be a secret: a web address loses its user, password, path and query."""
    parsed = urllib3.util.parse_url(url)
    if not parsed.scheme or not parsed.host:
        return url
    return f"{parsed.scheme}://{parsed.host}" + (f":{parsed.port}" if parsed.port else "")


def encode(call_id: int, method: str, params: list[Any]) -> bytes:
    """Encode the body of a call."""
    return json.dumps({"jsonrpc": "2.0", "id": call_id, "method": method, "params": params}).encode()


def check_size(method: str, received: int) -> None:
    """Raise RpcResponseError for an answer above `MAX_ANSWER_BYTES`, as a node with a size limit does."""
    if received > MAX_ANSWER_BYTES:
        raise RpcResponseError(method, 0, f"response size above {MAX_ANSWER_BYTES} bytes")


def result_of(document: Any, method: str, call_id: Any) -> Any:
    """Extract the result from a JSON-RPC answer.

    Raises:
        EndpointFault: the document is not an answer to this call.
        RpcResponseError: the answer is an error.
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
    """Convert a transport's error to a fault with a short message."""
    refused = (ConnectionRefusedError, FileNotFoundError, urllib3.exceptions.NewConnectionError)
    if isinstance(error, refused):
        return EndpointFault(f"{method}: cannot connect")
    text = str(error) or type(error).__name__
    late = isinstance(error, (TimeoutError, urllib3.exceptions.TimeoutError)) or "timed out" in text.lower()
    if late:
        return EndpointFault(f"{method}: no answer in time", slow=True)
    broke_off = isinstance(error, (urllib3.exceptions.ProtocolError, ConnectionError, EOFError))
    return EndpointFault(f"{method}: {text.splitlines()[0][:200]}", slow=broke_off, passing=broke_off)
