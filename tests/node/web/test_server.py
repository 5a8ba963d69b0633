"""The server of the page: files, headers, and the way to the RPC endpoint."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
import urllib3

from covey.web.server import MAX_BATCH, MAX_REQUEST_BYTES, METHODS, WebError, WebServer

pytestmark = pytest.mark.daemon

DEPLOYMENTS = [{"chainId": 7, "rpc": "./rpc", "contracts": {}}]
http = urllib3.PoolManager(retries=False, timeout=60)


@pytest.fixture(scope="module")
def _endpoint() -> Iterator[tuple[str, list[Any]]]:
    """An RPC endpoint that answers every request with its own text, and what reached it."""
    reached: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            reached.append(json.loads(body))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", reached
    server.shutdown()
    server.server_close()


@pytest.fixture
def endpoint(_endpoint: tuple[str, list[Any]]) -> tuple[str, list[Any]]:
    _endpoint[1].clear()
    return _endpoint


@pytest.fixture(scope="module")
def server(_endpoint: tuple[str, list[Any]]) -> Iterator[WebServer]:
    one = WebServer("127.0.0.1:0", DEPLOYMENTS, _endpoint[0])
    yield one
    one.close()


def call(method: Any, identity: int = 1) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": identity, "method": method, "params": []}


def post(server: WebServer, document: Any) -> Any:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return http.request("POST", f"{server.url}rpc", body=body)


def test_page_is_served_with_its_policy(server: WebServer) -> None:
    answer = http.request("GET", server.url)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/html")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    page = answer.data.decode()
    assert "http://" not in page.replace("http://127.0.0.1:*", "").replace("http://localhost:*", "").replace(
        "http://www.w3.org", ""
    ).replace("'http://www.w3.org/2000/svg'", "")
    for name in [part.split('"')[0] for part in page.split('src="./')[1:]]:
        script = http.request("GET", server.url + name)
        assert script.status == 200
        assert "javascript" in script.headers["Content-Type"]


def test_head_has_the_headers_without_a_body(server: WebServer) -> None:
    answer = http.request("HEAD", server.url)
    assert answer.status == 200
    assert int(answer.headers["Content-Length"]) > 0
    assert answer.data == b""


def test_deployments_are_served(server: WebServer) -> None:
    assert http.request("GET", f"{server.url}deployments.json").json() == DEPLOYMENTS


@pytest.mark.parametrize("path", ["server.py", "../server.py", "%2e%2e/server.py", "site/index.html", "/etc/passwd"])
def test_no_other_file_is_served(server: WebServer, path: str) -> None:
    host, port = server.url.removeprefix("http://").rstrip("/").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(f"GET /{path} HTTP/1.0\r\n\r\n".encode())
        assert b" 404 " in connection.makefile("rb").readline()


@pytest.mark.parametrize("method", sorted(METHODS))
def test_methods_of_the_page_reach_the_endpoint(
    server: WebServer, endpoint: tuple[str, list[Any]], method: str
) -> None:
    assert post(server, call(method)).json() == call(method)
    assert endpoint[1] == [call(method)]


def test_a_batch_reaches_the_endpoint_whole(server: WebServer, endpoint: tuple[str, list[Any]]) -> None:
    batch = [call("eth_call", number) for number in range(50)]
    assert post(server, batch).json() == batch
    assert endpoint[1] == [batch]


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (call("anvil_setBalance"), -32601),
        (call("evm_mine"), -32601),
        (call("personal_sign"), -32601),
        (call(None), -32601),
        (call("eth_call "), -32601),
        ([call("eth_call"), call("debug_traceTransaction")], -32601),
        ([call("eth_call"), 5], -32601),
        ([], -32600),
        pytest.param([call("eth_call")] * (MAX_BATCH + 1), -32600, id="long"),
        (b"{", -32700),
        (b"\xff", -32700),
        pytest.param(b"[" * 100_000, -32700, id="deep"),
    ],
)
def test_other_requests_do_not_reach_the_endpoint(
    server: WebServer, endpoint: tuple[str, list[Any]], document: Any, code: int
) -> None:
    assert post(server, document).json()["error"]["code"] == code
    assert endpoint[1] == []


def test_a_large_request_is_refused(server: WebServer, endpoint: tuple[str, list[Any]]) -> None:
    host, port = server.url.removeprefix("http://").rstrip("/").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(f"POST /rpc HTTP/1.1\r\nContent-Length: {MAX_REQUEST_BYTES + 1}\r\n\r\n".encode())
        assert b" 413 " in connection.makefile("rb").readline()
    assert endpoint[1] == []


def test_post_elsewhere_is_refused(server: WebServer) -> None:
    assert http.request("POST", server.url, body=b"{}").status == 404


def test_a_dead_endpoint_is_reported() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        server = WebServer("127.0.0.1:0", DEPLOYMENTS, f"http://127.0.0.1:{unused.getsockname()[1]}")
        answer = post(server, call("eth_chainId"))
        assert answer.status == 502
        assert answer.data == b"the RPC endpoint does not answer\n"
        server.close()


def test_ipv6_is_served(endpoint: tuple[str, list[Any]]) -> None:
    server = WebServer("[::1]:0", DEPLOYMENTS, endpoint[0])
    assert http.request("GET", server.url).status == 200
    server.close()


@pytest.mark.parametrize("listen", ["127.0.0.1", "127.0.0.1:x", "127.0.0.1:99999", "127.0.0.1:-1"])
def test_an_address_that_cannot_be_used_is_named(listen: str) -> None:
    with pytest.raises(WebError, match=r"cannot serve the page at .*--listen"):
        WebServer(listen, DEPLOYMENTS, "http://127.0.0.1:1")


def test_a_port_in_use_is_named(server: WebServer) -> None:
    listen = server.url.removeprefix("http://").rstrip("/")
    with pytest.raises(WebError, match="in use"):
        WebServer(listen, DEPLOYMENTS, "http://127.0.0.1:1")
