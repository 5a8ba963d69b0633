"""Serves the built page, the deployment that it reads, and a same-origin path to an RPC endpoint.

- ``/`` and its files: the page, with a content security policy as a header. ``frame-ancestors`` works only there.
- ``/deployments.json``: the chain, and each contract's address, first block and code hash.
- ``POST /rpc``: JSON-RPC, forwarded to the endpoint. Local chains answer other origins not at all.
"""

from __future__ import annotations

import json
import mimetypes
import re
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol, cast

import urllib3

METHODS = frozenset(
    {
        "eth_blockNumber",
        "eth_call",
        "eth_chainId",
        "eth_estimateGas",
        "eth_feeHistory",
        "eth_gasPrice",
        "eth_getBalance",
        "eth_getBlockByHash",
        "eth_getBlockByNumber",
        "eth_getCode",
        "eth_getLogs",
        "eth_getTransactionByHash",
        "eth_getTransactionCount",
        "eth_getTransactionReceipt",
        "eth_maxPriorityFeePerGas",
        "eth_sendRawTransaction",
        "net_version",
        "web3_clientVersion",
    }
)
"""Methods that the page and a wallet need. No other reaches the endpoint."""

MAX_REQUEST_BYTES = 1 << 20
MAX_BATCH = 1000
_TIMEOUT_S = 30.0
_META = re.compile(r'http-equiv="Content-Security-Policy"\s+content="([^"]+)"')


class WebError(Exception):
    """The page cannot be served."""


def site_folder() -> Path:
    """The folder of the built page. Raises WebError if the package has none."""
    folder = Path(str(files("covey.web").joinpath("site")))
    if not (folder / "index.html").is_file():
        raise WebError(f"no page in {folder}: build it with `make web`")
    return folder


class Record(Protocol):
    """A deployed contract; see `covey.chain.deployment.ContractRecord`."""

    @property
    def address(self) -> str: ...
    @property
    def block(self) -> int: ...
    @property
    def runtime_hash(self) -> str: ...


def page_deployment(chain_id: int, contracts: Mapping[str, Record]) -> dict[str, Any]:
    """A deployment as the page reads it. Its RPC endpoint is the server's own path."""
    return {
        "chainId": chain_id,
        "rpc": "./rpc",
        "contracts": {
            name: {"address": record.address, "block": record.block, "codeHash": record.runtime_hash}
            for name, record in contracts.items()
        },
    }


class WebServer:
    """Serves the page at `host:port` (port 0: any free one) from a background thread.

    Args:
        listen: `host:port`; an IPv6 host in brackets.
        deployments: content of ``/deployments.json``.
        endpoint: address of the RPC endpoint, http or https.

    Raises:
        WebError: the page is not built, or the address cannot be bound.
    """

    def __init__(self, listen: str, deployments: list[dict[str, Any]], endpoint: str) -> None:
        host, _, port = listen.rpartition(":")
        try:
            self._server = _Server((host.strip("[]"), int(port)), _read_site(), deployments, endpoint)
        except (OSError, ValueError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise WebError(
                f"cannot serve the page at {listen}: {reason}; choose another address with --listen"
            ) from None
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, name="web", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """The page's address."""
        host, port = self._server.server_address[:2]
        return f"http://[{host!s}]:{port}/" if ":" in str(host) else f"http://{host!s}:{port}/"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _read_site() -> dict[str, bytes]:
    """The files of the page by path. They are few and small, and a request can name no other file."""
    folder = site_folder()
    found = {
        f"/{file.relative_to(folder).as_posix()}": file.read_bytes() for file in folder.rglob("*") if file.is_file()
    }
    found["/"] = found["/index.html"]
    return found


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(
        self, address: tuple[str, int], site: Mapping[str, bytes], deployments: list[dict[str, Any]], endpoint: str
    ) -> None:
        if ":" in address[0]:
            import socket

            self.address_family = socket.AF_INET6
        self.site = {**site, "/deployments.json": json.dumps(deployments, indent=2).encode()}
        policy = _META.search(site["/"].decode())
        if policy is None:
            raise WebError("index.html has no content security policy: build the page again with `make web`")
        self.policy = f"{policy[1]}; frame-ancestors 'none'"
        self.endpoint = endpoint
        self.pool = urllib3.PoolManager(num_pools=1, maxsize=8, retries=False, timeout=_TIMEOUT_S)
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "covey"
    sys_version = ""
    timeout = 60

    @property
    def _owner(self) -> _Server:
        return cast(_Server, self.server)

    def do_GET(self) -> None:
        """Serve a file of the page."""
        self._file(with_body=True)

    def do_HEAD(self) -> None:
        """The headers of `do_GET`."""
        self._file(with_body=False)

    def do_POST(self) -> None:
        """Forward JSON-RPC."""
        if self.path != "/rpc":
            self._respond(HTTPStatus.NOT_FOUND, "text/plain", b"only /rpc takes POST\n")
            return
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MAX_REQUEST_BYTES:
            self.close_connection = True
            self._respond(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "text/plain", b"a request has at most 1 MiB\n")
            return
        body = self.rfile.read(int(length))
        refused = _refusal(body)
        if refused is not None:
            self._respond(HTTPStatus.OK, "application/json", refused)
            return
        try:
            answer = self._owner.pool.request(
                "POST", self._owner.endpoint, body=body, headers={"Content-Type": "application/json"}
            )
        except (urllib3.exceptions.HTTPError, OSError):
            self._respond(HTTPStatus.BAD_GATEWAY, "text/plain", b"the RPC endpoint does not answer\n")
            return
        self._respond(HTTPStatus(answer.status), "application/json", answer.data)

    def _file(self, with_body: bool) -> None:
        path = self.path.split("?", 1)[0]
        content = self._owner.site.get(path)
        if content is None:
            self._respond(HTTPStatus.NOT_FOUND, "text/plain", b"no such file\n", with_body)
            return
        kind = mimetypes.guess_type("index.html" if path == "/" else path)[0] or "application/octet-stream"
        if kind.startswith("text/") or kind == "application/javascript":
            kind += "; charset=utf-8"
        self._respond(HTTPStatus.OK, kind, content, with_body)

    def _respond(self, status: HTTPStatus, kind: str, body: bytes, with_body: bool = True) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", self._owner.policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-cache")
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def handle(self) -> None:
        """Serve the connection. A client that hangs up is no error."""
        try:
            super().handle()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        return


def _refusal(body: bytes) -> bytes | None:
    """The JSON-RPC error for a request that must not reach the endpoint, or None."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return _error(None, -32700, "not JSON")
    calls = document if isinstance(document, list) else [document]
    if not calls or len(calls) > MAX_BATCH:
        return _error(None, -32600, f"a batch has 1 to {MAX_BATCH} calls")
    for call in calls:
        if not isinstance(call, dict) or call.get("method") not in METHODS:
            name = call.get("method") if isinstance(call, dict) else None
            return _error(
                call.get("id") if isinstance(call, dict) else None, -32601, f"method not served: {name!r:.60}"
            )
    return None


def _error(call_id: object, code: int, message: str) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": call_id, "error": {"code": code, "message": message}}).encode()
