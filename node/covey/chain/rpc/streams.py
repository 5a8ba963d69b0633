"""JSON-RPC over a persistent connection, WebSocket or IPC socket, one call at a time."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import threading
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from covey.chain.errors import RpcResponseError
from covey.chain.rpc.endpoint import MAX_ANSWER_BYTES, EndpointFault, check_size, encode, fault_of, redacted, result_of

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

_CHUNK_BYTES = 1 << 18

C = TypeVar("C")
"""Type of the connection."""


class _StreamEndpoint(ABC, Generic[C]):
    """One connection, opened on demand and again after any fault, so that a late answer cannot reach another call."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._connection: C | None = None

    def request(self, method: str, params: list[Any], timeout: float) -> Any:
        """See `covey.chain.rpc.endpoint.Endpoint.request`."""
        with redacted(self.url):
            return self._request(method, params, timeout)

    def _request(self, method: str, params: list[Any], timeout: float) -> Any:
        end = time.monotonic() + timeout
        if not self._lock.acquire(timeout=timeout):
            raise EndpointFault(f"{method}: no answer in time: an earlier call still waits", slow=True)
        try:
            reused = self._connection is not None
            try:
                return self._call(method, params, end)
            except EndpointFault as fault:
                if not reused or not fault.passing or time.monotonic() >= end:
                    raise
            return self._call(method, params, end)  # the server had closed the idle connection
        finally:
            self._lock.release()

    def _call(self, method: str, params: list[Any], end: float) -> Any:
        call_id = next(self._ids)
        try:
            if self._connection is None:
                self._connection = self._open(_remaining(end))
            answer = self._exchange(self._connection, method, encode(call_id, method, params), end)
            document = json.loads(answer)
        except RpcResponseError:
            self._drop()
            raise
        except Exception as error:  # transports raise errors of sockets, codecs and their own
            self._drop()
            raise fault_of(method, error) from None
        try:
            return result_of(document, method, call_id)
        except EndpointFault:
            self._drop()
            raise

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                self._close(connection)

    @abstractmethod
    def _open(self, timeout: float) -> C: ...

    @abstractmethod
    def _exchange(self, connection: C, method: str, body: bytes, end: float) -> bytes | str:
        """Send a call and return the complete answer."""

    @abstractmethod
    def _close(self, connection: C) -> None: ...


class WebSocketEndpoint(_StreamEndpoint["ClientConnection"]):
    """A ws:// or wss:// address."""

    def _open(self, timeout: float) -> ClientConnection:
        from websockets.sync.client import connect

        return connect(self.url, open_timeout=timeout, close_timeout=0.5, max_size=MAX_ANSWER_BYTES, proxy=None)

    def _exchange(self, connection: ClientConnection, method: str, body: bytes, end: float) -> bytes | str:
        from websockets.exceptions import ConnectionClosed

        try:
            connection.send(body.decode())
            return connection.recv(_remaining(end))
        except ConnectionClosed as error:
            if error.sent is not None and error.sent.code == 1009:
                check_size(method, MAX_ANSWER_BYTES + 1)
            raise ConnectionError(f"the connection was closed: {error}") from None

    def _close(self, connection: ClientConnection) -> None:
        connection.close_socket()


class IpcEndpoint(_StreamEndpoint[socket.socket]):
    """The path of a node's IPC socket. An answer is complete when its JSON is."""

    def _open(self, timeout: float) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(timeout)
            connection.connect(self.url)
        except BaseException:
            connection.close()
            raise
        return connection

    def _exchange(self, connection: socket.socket, method: str, body: bytes, end: float) -> bytes:
        connection.settimeout(_remaining(end))
        connection.sendall(body)
        answer = bytearray()
        while True:
            connection.settimeout(_remaining(end))
            chunk = connection.recv(_CHUNK_BYTES)
            if not chunk:
                raise EOFError("the connection was closed")
            answer += chunk
            check_size(method, len(answer))
            if chunk.rstrip().endswith(b"}") and _is_complete(answer):
                return bytes(answer)

    def _close(self, connection: socket.socket) -> None:
        connection.close()


def _is_complete(answer: bytearray) -> bool:
    try:
        json.loads(answer)
    except ValueError:
        return False
    except RecursionError:  # the caller reports it
        return True
    return True


def _remaining(end: float) -> float:
    """Seconds until ``end``. Raises TimeoutError if it has passed."""
    remaining = end - time.monotonic()
    if remaining <= 0:
        raise TimeoutError("deadline passed")
    return remaining
