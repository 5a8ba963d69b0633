"""Chooses the transport for an RPC URL."""

from __future__ import annotations

from covey.chain.errors import FatalError
from covey.chain.rpc.endpoint import Endpoint
from covey.chain.rpc.http import HttpEndpoint
from covey.chain.rpc.streams import IpcEndpoint, WebSocketEndpoint


def open_endpoint(url: str) -> Endpoint:
    """Create an endpoint from its URL: http://, https://, ws://, wss://, or the path of an IPC socket.

    Raises:
        FatalError: the URL is none of these.
    """
    scheme = url.partition("://")[0] if "://" in url else ""
    if scheme in ("http", "https"):
        return HttpEndpoint(url)
    if scheme in ("ws", "wss"):
        return WebSocketEndpoint(url)
    if not scheme and url:
        return IpcEndpoint(url)
    raise FatalError(f"not an RPC address: {url!r}; use http(s)://…, ws(s)://… or the path of an IPC socket")
