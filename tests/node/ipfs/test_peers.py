"""Misbehaving gateways on the wire: each is refused with a reason, within bounded memory and time."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from tests.support.ipfs.samples import MIB

from covey.ipfs import RAW, Cid, GatewaySource, IpfsError, MismatchedBlock, NotFound, SourceError

pytestmark = pytest.mark.daemon

BLOCK = b"content"
CID = Cid.of(BLOCK, RAW)

Reply = Callable[[socket.socket], object]


class RawServer:
    """Replies to each connection's first request with the exact bytes of a test."""

    def __init__(self) -> None:
        self.reply: Reply = lambda _connection: None
        self.requests = 0
        self.stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                while b"\r\n\r\n" not in connection.recv(4096):
                    continue
                self.requests += 1
                try:
                    self.reply(connection)
                except OSError:
                    continue

    def close(self) -> None:
        self.stop.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[RawServer]:
    running = RawServer()
    yield running
    running.close()


def sends(response: bytes) -> Reply:
    return lambda connection: connection.sendall(response)


def http(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nConnection: close\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    ("response", "kind", "reason"),
    [
        (http(b"other"), MismatchedBlock, "5 bytes .* do not match it"),
        (http(b""), MismatchedBlock, "0 bytes"),
        (http(bytes(2 * MIB + 1)), MismatchedBlock, "more than 2097152 bytes"),
        (http(BLOCK)[:-1], SourceError, "interrupted"),
        (http(b"x", "404 Not Found"), NotFound, "does not have"),
        (http(b"x", "410 Gone"), NotFound, "does not have"),
        (http(b"x", "500 Oops"), SourceError, "answered 500"),
        (http(b"x", "429 Slow down"), SourceError, "answered 429"),
        (http(b"", "302 Found", "Location: http://127.0.0.1:1/secret\r\n"), SourceError, "answered 302"),
        (b"", SourceError, "cannot be reached"),
        (b"SSH-2.0-x\r\n", SourceError, "cannot be reached"),
    ],
    ids=[
        "wrong bytes",
        "nothing",
        "too large",
        "cut short",
        "404",
        "410",
        "500",
        "429",
        "redirect",
        "hang up",
        "not HTTP",
    ],
)
def test_bad_response_is_refused(server: RawServer, response: bytes, kind: type[IpfsError], reason: str) -> None:
    server.reply = sends(response)
    source = GatewaySource(server.url)
    with pytest.raises(kind, match=reason) as caught:
        source.get_block(CID, timeout=20)
    assert type(caught.value) is kind
    assert server.requests == 1


def test_good_response_is_returned(server: RawServer) -> None:
    server.reply = sends(http(BLOCK))
    assert GatewaySource(server.url).get_block(CID) == BLOCK


def test_compressed_response_is_not_unpacked(server: RawServer) -> None:
    """A zip bomb is never expanded."""
    server.reply = sends(http(BLOCK, headers="Content-Encoding: gzip\r\n"))
    assert GatewaySource(server.url).get_block(CID) == BLOCK


def test_endless_response_is_cut(server: RawServer) -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while not server.stop.is_set():
            connection.sendall(bytes(MIB))

    server.reply = endless
    with pytest.raises(MismatchedBlock, match="more than"):
        GatewaySource(server.url).get_block(CID, timeout=60)


def test_trickle_is_cut_at_the_deadline(server: RawServer) -> None:
    def trickle(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while not server.stop.is_set():
            connection.sendall(b"x")
            time.sleep(0.02)

    server.reply = trickle
    with pytest.raises(SourceError, match="too slow"):
        GatewaySource(server.url).get_block(CID, timeout=0.3)


def test_silence_is_cut_at_the_deadline(server: RawServer) -> None:
    server.reply = lambda _connection: server.stop.wait(20)
    with pytest.raises(SourceError, match="cannot be reached"):
        GatewaySource(server.url).get_block(CID, timeout=0.2)


def test_failed_probe_is_reported(server: RawServer) -> None:
    server.reply = sends(http(b"<html>"))
    with pytest.raises(SourceError, match="not a trustless gateway"):
        GatewaySource(server.url).probe()


@pytest.mark.parametrize(
    ("status", "location", "reason"),
    [
        (
            "301 Moved Permanently",
            "Location: http://x.ipfs.localhost:8080/\r\n",
            "to http://x.ipfs.localhost:8080/: give",
        ),
        ("302 Found", "Location: /login\r\n", "a redirect to /login: give the address of the gateway"),
        ("307 Temporary Redirect", "", "a redirect to nowhere"),
    ],
)
def test_redirect_is_named_with_its_target(server: RawServer, status: str, location: str, reason: str) -> None:
    server.reply = sends(http(b"", status, location))
    with pytest.raises(SourceError, match=reason):
        GatewaySource(server.url).get_block(CID)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:99999",
        "http://host:port",
        "http://[::1",
        "http://",
        "ftp://host",
        "host:80",
        "",
        "http://h/?q",
    ],
)
def test_address_of_no_gateway_is_refused_in_one_line(url: str) -> None:
    with pytest.raises(IpfsError, match=r"is not a gateway") as caught:
        GatewaySource(url)
    assert "\n" not in str(caught.value)
