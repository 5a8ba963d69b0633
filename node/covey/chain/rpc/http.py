"""JSON-RPC over HTTP, with one deadline for the whole of every call.

Uses urllib3 directly: web3's provider limits each socket operation, not the call, so a server that sends one byte a
second could hold a call forever.
"""

from __future__ import annotations

import itertools
import json
import time
from typing import Any
from urllib.parse import unquote

import urllib3

from covey.chain.errors import RpcResponseError
from covey.chain.rpc.endpoint import EndpointFault, check_size, encode, fault_of, printable, redacted, result_of

_CHUNK_BYTES = 1 << 18
_BUSY = (429, 500, 502, 503, 504, 520, 522, 524)
_LARGE_OR_SLOW = (408, 413, 504, 524)
_NO_CALL = (401, 403, 404, 407, 429)
"""The server refused the request before it looked at the call, whatever its body says."""
_MAX_PAUSE_S = 60.0


class HttpEndpoint:
    """An http:// or https:// endpoint with keep-alive connections."""

    def __init__(self, url: str) -> None:
        self.url = url
        parsed = urllib3.util.parse_url(url)
        self._target = parsed._replace(auth=None).url
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if parsed.auth is not None:
            self._headers |= urllib3.util.make_headers(basic_auth=unquote(parsed.auth))
        self._pool = urllib3.PoolManager(num_pools=1, maxsize=4, retries=False)
        self._ids = itertools.count(1)

    def request(self, method: str, params: list[Any], timeout: float) -> Any:
        """See `covey.chain.rpc.endpoint.Endpoint.request`."""
        with redacted(self.url):
            return self._request(method, params, timeout)

    def _request(self, method: str, params: list[Any], timeout: float) -> Any:
        end = time.monotonic() + timeout
        call_id = next(self._ids)
        try:
            status, headers, answer = self._post(method, encode(call_id, method, params), end)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise fault_of(method, error) from None
        try:
            document = json.loads(answer)
        except (ValueError, RecursionError):
            document = None
        is_rpc_error = isinstance(document, dict) and document.get("error") is not None
        if 300 <= status < 400:
            raise EndpointFault(f"{method}: HTTP {status}{_redirect(headers.get('Location'), self.url)}")
        if status >= 400 and (not is_rpc_error or status in _NO_CALL):
            log_refused = method == "eth_getLogs" and status in (400, 422, 500)
            raise EndpointFault(
                f"{method}: HTTP {status}",
                slow=status in _LARGE_OR_SLOW or log_refused,
                passing=status in _BUSY,
                pause=_pause(headers.get("Retry-After")),
            )
        if document is None:
            raise EndpointFault(f"{method}: HTTP {status}, not JSON")
        try:
            return result_of(document, method, call_id)
        except RpcResponseError as error:
            error.status = status
            raise

    def _post(self, method: str, body: bytes, end: float) -> tuple[int, Any, bytes]:
        remaining = max(0.001, end - time.monotonic())
        response = self._pool.request(
            "POST",
            self._target,
            body=body,
            headers=self._headers,
            timeout=urllib3.Timeout(total=remaining),
            preload_content=False,
            redirect=False,
        )
        answer = bytearray()
        try:
            while True:
                remaining = end - time.monotonic()
                if remaining <= 0:
                    raise TimeoutError("deadline passed before the answer was complete")
                sock = getattr(response.connection, "sock", None)
                if sock is not None:
                    sock.settimeout(remaining)
                chunk = response.read1(_CHUNK_BYTES)
                if not chunk:
                    break
                answer += chunk
                check_size(method, len(answer))
        except BaseException:
            response.close()
            raise
        response.release_conn()
        return response.status, response.headers, bytes(answer)


def _pause(retry_after: str | None) -> float:
    """Seconds in a Retry-After header; 0 if there is none or it contains a date."""
    if retry_after is None or not retry_after.strip().isdecimal():
        return 0.0
    return min(float(retry_after), _MAX_PAUSE_S)


def _redirect(location: str | None, url: str) -> str:
    """Where a redirect leads, without what may be a secret."""
    if not location:
        return ", a redirect without a target"
    target = location if "://" in location else url
    where = printable(target)
    if where == printable(url):
        return f", redirects to another path of {where}: set the address that it leads to"
    return f", redirects to {where}: set that address"
