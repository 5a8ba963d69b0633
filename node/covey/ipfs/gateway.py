"""A read-only HTTP gateway to a store, through which nodes fetch from each other.

It implements https://specs.ipfs.tech/http-gateways/trustless-gateway/: ``GET|HEAD /ipfs/<cid>?format=raw`` returns a
block, ``/ipfs/<cid>[/<name>]?format=car`` a CAR (``dag-scope`` block, entity or all, or the part of a file that
``entity-bytes`` selects; depth first, no repeats). It serves local blocks only, so a request never makes the node
fetch, and it never interprets content for a browser.
"""

from __future__ import annotations

import contextlib
import logging
import re
import socket
import sys
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self, cast
from urllib.parse import parse_qs, quote, unquote, urlsplit

from covey.ipfs import car
from covey.ipfs.cid import Cid, Identity, parse_identity
from covey.ipfs.dag import FilePlan, Plan
from covey.ipfs.errors import InvalidCid, InvalidContent, IpfsError, NotFound
from covey.ipfs.store import Store

log = logging.getLogger(__name__)

RAW_TYPE: Final = "application/vnd.ipld.raw"
CAR_TYPE: Final = "application/vnd.ipld.car"
PROBE: Final = "bafkqaaa"
"""The empty identity CID, which every trustless gateway must serve."""

_CAR_PARAMETERS: Final = "; version=1; order=dfs; dups=n"
_RANGE: Final = re.compile(r"-?[0-9]{1,18}:(-?[0-9]{1,18}|\*)")
_IDLE_S: Final = 15.0
_CACHE: Final = "public, max-age=29030400, immutable"


class _Refusal(Exception):
    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "covey"
    sys_version = ""
    timeout = _IDLE_S
    wbufsize = 1 << 16
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def log_message(self, format: str, *args: Any) -> None:
        log.debug("gateway %s: " + format, self.client_address[0], *args)

    def _answer(self, *, body: bool) -> None:
        try:
            self._serve(body=body)
        except _Refusal as refusal:
            self._refuse(refusal.status, str(refusal), body=body)
        except NotFound as error:
            self._refuse(HTTPStatus.NOT_FOUND, f"not stored here: {error}", body=body)
        except (InvalidCid, InvalidContent) as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error), body=body)
        except IpfsError as error:
            log.warning("gateway: %s", error)
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "the block cannot be read here", body=body)
        except (TimeoutError, ConnectionError):
            self.close_connection = True

    def _refuse(self, status: HTTPStatus, reason: str, *, body: bool) -> None:
        text = (reason + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(text)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if body:
            self.wfile.write(text)

    def _serve(self, *, body: bool) -> None:
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        parts = url.path.split("/")
        if len(parts) < 3 or parts[0] or parts[1] != "ipfs" or not parts[2]:
            raise _Refusal(HTTPStatus.NOT_FOUND, "only /ipfs/<cid> is served")
        name = unquote("/".join(parts[3:])).rstrip("/")
        form = self._format(query)
        if form == "raw" and name:
            raise _Refusal(HTTPStatus.BAD_REQUEST, "a raw block has no path: ask for format=car")
        filename = query.get("filename", [""])[0]
        inline = parse_identity(parts[2])
        cid = Cid.parse(parts[2]) if inline is None else inline
        if form == "raw":
            if not self._unchanged(f'"{cid}.raw"'):
                block = self._store.get_local(cid) if isinstance(cid, Cid) else cid.content
                self._send_block(str(cid), block, filename, body=body)
            return
        scope = query.get("dag-scope", ["all"])[0]
        if scope not in ("block", "entity", "all"):
            raise _Refusal(HTTPStatus.BAD_REQUEST, f"dag-scope {scope!r} is not block, entity or all")
        part = query.get("entity-bytes", [""])[0]
        if part and not _RANGE.fullmatch(part):
            raise _Refusal(HTTPStatus.BAD_REQUEST, f"entity-bytes {part!r} is not from:to, as in 0:1023 or -1024:*")
        if isinstance(cid, Identity):
            if name:
                raise NotFound(f"{cid} is a block of bytes and has no file {name!r}")
            self._send_identity_car(cid, filename, body=body)
            return
        self._send_car(cid, name, "entity" if part else scope, part, filename, body=body)

    def _format(self, query: dict[str, list[str]]) -> str:
        accepted = self.headers.get("Accept", "")
        form = query.get("format", [""])[0]
        if not accepted and not form:
            raise _Refusal(HTTPStatus.BAD_REQUEST, "ask for format=raw or format=car")
        if not form:
            form = "raw" if RAW_TYPE in accepted else "car" if CAR_TYPE in accepted else ""
        if form not in ("raw", "car"):
            raise _Refusal(HTTPStatus.NOT_ACCEPTABLE, "only format=raw and format=car are served")
        if form == "car" and ("version=2" in accepted or query.get("car-version", ["1"])[0] != "1"):
            raise _Refusal(HTTPStatus.NOT_ACCEPTABLE, "only CAR version 1 is served")
        return form

    @property
    def _store(self) -> Store:
        return cast(_Server, self.server).store

    def _unchanged(self, etag: str) -> bool:
        if etag not in self.headers.get("If-None-Match", ""):
            return False
        self.send_response(HTTPStatus.NOT_MODIFIED)
        self.send_header("ETag", etag)
        self.end_headers()
        return True

    def _headers(self, content_type: str, etag: str, filename: str, roots: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Disposition", _attachment(filename))
        self.send_header("X-Ipfs-Path", urlsplit(self.path).path)
        self.send_header("X-Ipfs-Roots", roots)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", _CACHE)
        self.send_header("ETag", etag)

    def _send_block(self, cid: str, block: bytes, filename: str, *, body: bool) -> None:
        self._headers(RAW_TYPE, f'"{cid}.raw"', filename or f"{cid}.bin", cid)
        self.send_header("Content-Length", str(len(block)))
        self.end_headers()
        if body:
            self.wfile.write(block)

    def _send_identity_car(self, cid: Identity, filename: str, *, body: bool) -> None:
        """A CAR whose root carries its own bytes. It has no blocks: readers know them from the root."""
        etag = f'W/"{cid}.car"'
        if self._unchanged(etag):
            return
        head = car.identity_header(cid)
        self._headers(CAR_TYPE + _CAR_PARAMETERS, etag, filename or f"{cid}.car", str(cid))
        self.send_header("Accept-Ranges", "none")
        self.send_header("Content-Length", str(len(head)))
        self.end_headers()
        if body:
            self.wfile.write(head)

    def _send_car(self, cid: Cid, name: str, scope: str, part: str, filename: str, *, body: bool) -> None:
        contents = self._store.local_plan(cid)
        root = contents.file(name).cid if name else cid
        blocks = list(_scoped(contents, name, scope, part))
        etag = f'W/"{cid}.{name.encode().hex()}.{scope}.{part}.car"'
        if self._unchanged(etag):
            return
        missing = next((block for block in blocks if self._store.block_size(block) is None), None)
        if missing is not None:
            raise NotFound(f"block {missing} of {cid}")
        roots = str(cid) if root == cid else f"{cid},{root}"
        self._headers(CAR_TYPE + _CAR_PARAMETERS, etag, filename or f"{cid}.car", roots)
        self.send_header("Accept-Ranges", "none")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if not body:
            return
        try:
            self._chunk(car.header(root))
            for block in blocks:
                self._chunk(car.section(block, self._store.get_local(block)))
            self.wfile.write(b"0\r\n\r\n")
        except IpfsError as error:  # the status is already sent: cut the stream, so that the client detects the error
            log.warning("gateway: %s", error)
            self.close_connection = True

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n" % len(data))
        self.wfile.write(data)
        self.wfile.write(b"\r\n")  # buffered: not a separate packet


def _attachment(filename: str) -> str:
    """A Content-Disposition header. Names beyond ASCII are also given in UTF-8 (RFC 6266)."""
    name = "".join(char for char in filename if char.isprintable()).replace("/", "_").replace("\\", "_")[:200]
    plain = "".join(char if char.isascii() and char != '"' else "_" for char in name)
    extended = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'attachment; filename="{plain}"{extended}'


def _scoped(contents: Plan, name: str, scope: str, part: str) -> Iterator[Cid]:
    """The blocks from the root to file ``name``, then those of it that ``dag-scope`` or ``entity-bytes`` selects."""
    if name or not contents.is_directory:
        file = contents.file(name)
        blocks = dict.fromkeys([contents.cid, file.cid])
        if scope != "block":
            blocks |= dict.fromkeys(_blocks_of_part(file, part) if part else file.order)
        yield from blocks
    elif scope == "all":
        yield from contents.blocks()
    else:
        yield contents.cid


def _blocks_of_part(file: FilePlan, part: str) -> Iterator[Cid]:
    """A file's inner nodes and leaves with bytes ``from:to``, both inclusive.

    A negative value counts from the end.
    """
    start, _, end = part.partition(":")
    first = int(start) + (file.size if start.startswith("-") else 0)
    last = file.size - 1 if end == "*" else int(end) + (file.size if end.startswith("-") else 0)
    selected: set[Cid] = set()
    leaves: set[Cid] = set()
    at = 0
    for leaf in file.leaves:
        leaves.add(leaf.cid)
        if at <= last and at + leaf.size > first:
            selected.add(leaf.cid)
        at += leaf.size
    return (cid for cid in file.order if cid not in leaves or cid in selected)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 32

    def __init__(self, address: tuple[str, int], store: Store, max_connections: int) -> None:
        self.store = store
        self._free = threading.BoundedSemaphore(max_connections)
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            with contextlib.suppress(OSError):
                request.sendall(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n")
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("gateway: a request from %s failed: %r", client_address, sys.exc_info()[1])


class Gateway:
    """Serves a store's local blocks at ``host:port`` (port 0: any free one) from a background thread.

    Serves at most ``max_connections`` clients at a time, so memory use is at most twice as many MiB.
    """

    def __init__(self, store: Store, host: str = "127.0.0.1", port: int = 0, *, max_connections: int = 16) -> None:
        try:
            self._server = _Server((host, port), store, max_connections)
        except OSError as error:
            raise IpfsError(f"cannot serve blocks at {host}:{port}: {error.strerror}") from None
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, name="ipfs-gateway", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """The gateway's URL, ``http://host:port``, for peers' configuration."""
        host, port = self._server.server_address[:2]
        text = str(host)
        return f"http://[{text}]:{port}" if ":" in text else f"http://{text}:{port}"

    def close(self) -> None:
        """Stop serving and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
