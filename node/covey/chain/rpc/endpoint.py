"""The interface of a JSON-RPC endpoint, and the encoding and checks that all transports share."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import unquote

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
    """The URL without what may be a secret: a web address loses its user, password, path and query.

    Never raises, so that it is safe for addresses that cannot be used.
    """
    scheme, found, rest = url.partition("://")
    if not found:
        return url if is_path(url) else "an address without http(s):// or ws(s)://"
    scheme = scheme.lower() if scheme.isalnum() else "?"
    try:
        parsed = urllib3.util.parse_url(url)
        if "#" not in rest and parsed.host:
            return f"{scheme}://{parsed.host}" + (f":{parsed.port}" if parsed.port else "")
    except (urllib3.exceptions.HTTPError, ValueError):
        pass
    return f"{scheme}://…"


def is_path(address: str) -> bool:
    """True for the path of an IPC socket: absolute, below ``.`` or ``~``, or ending in .ipc without a host's signs."""
    return address.startswith(("/", "./", "../", "~")) or (address.endswith(".ipc") and not set(address) & set("?@#:"))


def refusal_of(url: str) -> str:
    """Why an address cannot be an RPC endpoint, and the remedy, without quoting it; empty if it can."""
    if is_path(url):
        return ""
    scheme, found, rest = url.partition("://")
    if not found or scheme.lower() not in ("http", "https", "ws", "wss"):
        return "not an RPC address: write http(s)://…, ws(s)://… or the path of an IPC socket"
    if "#" in rest:
        return f"not an RPC address: {scheme}://… contains '#'; write it as %23"
    if any(character.isspace() or ord(character) < 32 for character in rest):
        return f"not an RPC address: {scheme}://… contains white space"
    authority = re.split(r"[/?]", rest, maxsplit=1)[0]
    host = authority.rpartition("@")[2]
    port = "" if host.endswith("]") else host.rpartition(":")[2] if ":" in host else ""
    if port and not (port.isdecimal() and port.isascii() and 0 < int(port) < 65536):
        return f"not an RPC address: the port of {scheme}://… must be a number from 1 to 65535"
    try:
        if urllib3.util.parse_url(url).host:
            return ""
    except (urllib3.exceptions.HTTPError, ValueError):
        pass
    return (
        f"not an RPC address: {scheme}://… has no usable host; percent-encode special characters of user and password"
    )


_MIN_SECRET = 4
"""Shorter parts of an address are no secrets, and would also occur in ordinary text."""
_LONG_WORD = 16


def secrets_of(url: str) -> list[str]:
    """Parts of a web address that may be secrets, longest first: the whole, user and password, and what is no plain
    word of path and query."""
    _, found, rest = url.partition("://")
    if not found:
        return []
    authority, _, path = rest.partition("/")
    login = authority.rpartition("@")[0]
    words = [part for part in re.split(r"[/?&=]", path) if not part.isalpha() or len(part) >= _LONG_WORD]
    parts = [url, login, *login.split(":", 1), *words]
    parts += [unquote(part) for part in parts]
    return sorted({part for part in parts if len(part) >= _MIN_SECRET}, key=len, reverse=True)


def redact(text: str, url: str) -> str:
    """Replace what may be a secret of the address in a message, which a server may have echoed."""
    for secret in secrets_of(url):
        text = text.replace(secret, "…")
    return text


@contextmanager
def redacted(url: str) -> Iterator[None]:
    """Remove the address's secrets from the errors of a call."""
    try:
        yield
    except RpcResponseError as error:
        clean = RpcResponseError(error.method, error.code, redact(error.message, url), error.data, status=error.status)
        raise clean from None
    except EndpointFault as fault:
        fault.args = (redact(str(fault), url),)
        raise


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
            raise RpcResponseError(method, 0, _line(error))
        code = error.get("code")
        raise RpcResponseError(
            method, code if isinstance(code, int) else 0, _line(error.get("message", "")), error.get("data")
        )
    if document.get("id") != call_id or "result" not in document:
        raise EndpointFault(f"{method}: the answer belongs to another call")
    return document["result"]


def _line(message: Any) -> str:
    """A server's message as one printable line of at most 500 characters."""
    text = " ".join(str(message)[:2000].split())
    return "".join(character if character.isprintable() else "\ufffd" for character in text)[:500]


def fault_of(method: str, error: BaseException) -> EndpointFault:
    """Convert a transport's error to a fault with a short message."""
    refused = (ConnectionRefusedError, FileNotFoundError, urllib3.exceptions.NewConnectionError)
    if isinstance(error, refused):
        return EndpointFault(f"{method}: cannot connect")
    text = _line(error) or type(error).__name__
    if isinstance(error, RecursionError):
        text = "JSON nested too deep"
    late = isinstance(error, (TimeoutError, urllib3.exceptions.TimeoutError)) or "timed out" in text.lower()
    if late:
        return EndpointFault(f"{method}: no answer in time", slow=True)
    broke_off = isinstance(error, (urllib3.exceptions.ProtocolError, ConnectionError, EOFError))
    return EndpointFault(f"{method}: {text[:200]}", slow=broke_off, passing=broke_off)
