"""A pinning service in memory that implements the specification; a test runs Kubo's client against it."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "secret"


class Service:
    """Serves pins over HTTP; `fail_with` and `garbage` replace its responses."""

    def __init__(self) -> None:
        self.pins: dict[str, dict[str, Any]] = {}
        self.fail_with: int | None = None
        self.garbage: bytes | None = None
        self.requests: list[str] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                return

            def answer(self, status: int, body: object | None) -> None:
                data = b"" if body is None else json.dumps(body).encode()
                data = service.garbage if service.garbage is not None else data
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def handle_any(self) -> None:
                service.requests.append(self.command)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    return self.answer(401, {"error": {"reason": "UNAUTHORIZED"}})
                if service.fail_with:
                    return self.answer(service.fail_with, {"error": {"reason": "BROKEN", "details": "out of order"}})
                url = urlsplit(self.path)
                request_id = unquote(url.path.removeprefix("/psa/pins").strip("/"))
                if self.command == "GET" and not request_id:
                    query = parse_qs(url.query)
                    statuses = query.get("status", ["pinned"])[0].split(",")
                    cids = query["cid"][0].split(",") if "cid" in query else None
                    found = [
                        pin
                        for pin in service.pins.values()
                        if pin["status"] in statuses and (cids is None or pin["pin"]["cid"] in cids)
                    ]
                    limit = int(query.get("limit", ["10"])[0])
                    return self.answer(200, {"count": len(found), "results": found[:limit]})
                if self.command == "POST":
                    service.pins.pop(request_id, None)
                    number = f"id/{len(service.requests)}"
                    service.pins[number] = {
                        "requestid": number,
                        "status": "pinned",
                        "created": "2026-01-01T00:00:00Z",
                        "pin": json.loads(body),
                        "delegates": ["/ip4/127.0.0.1/tcp/1/p2p/12D3KooWNdBARNF3TLqrNwZmPHdwSEaZtip4fBjVbThtMwpRLMM6"],
                    }
                    return self.answer(202, service.pins[number])
                if self.command == "DELETE":
                    removed = service.pins.pop(request_id, None)
                    return self.answer(202 if removed else 404, None if removed else {"error": {"reason": "NOT_FOUND"}})
                return self.answer(400, {"error": {"reason": "BAD_REQUEST"}})

            do_GET = do_POST = do_DELETE = handle_any

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}/psa"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
