"""Chooses the transport for an RPC URL."""

from __future__ import annotations

from pathlib import Path

from covey.chain.errors import FatalError
from covey.chain.rpc.endpoint import Endpoint, is_path, refusal_of
from covey.chain.rpc.http import HttpEndpoint
from covey.chain.rpc.streams import IpcEndpoint, WebSocketEndpoint


def open_endpoint(url: str) -> Endpoint:
    """Create an endpoint from its URL: http://, https://, ws://, wss://, or the path of an IPC socket.

    Raises:
        FatalError: the URL is none of these; the message never quotes it, because it may contain a key.
    """
    if refusal := refusal_of(url):
        raise FatalError(refusal)
    if is_path(url):
        return IpcEndpoint(str(Path(url).expanduser()))
    if url.lower().startswith("http"):
        return HttpEndpoint(url)
    return WebSocketEndpoint(url)
