"""A JSON-RPC endpoint: its interface, and the encoding and checks that every transport shares."""

from __future__ import annotations

import json
from typing import Any, Protocol

import urllib3

from covey.chain.errors import RpcResponseError, TransientError

MAX_ANSWER_BYTES = 32 << 20
"""A larger answer is cut off: whoever asked for it must ask for less, so that it fits in memory."""


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


def printable(url: str) -> str:
    """The URL without what may be a key: user, password, path and query of a web address are left out."""
    parsed = urllib3.util.parse_url(url)
    if not parsed.scheme or not parsed.host:
        return url
    return f"{parsed.scheme}://{parsed.host}" + (f":{parsed.port}" if parsed.port else "")


def encode(call_id: int, method: str, params: list[Any]) -> bytes:
    """The body of a call."""
    return json.dumps({"jsonrpc": "2.0", "id": call_id, "method": method, "params": params}).encode()


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
