"""Remote pins through the vendor-agnostic API of IPFS pinning services.

Specification: https://ipfs.github.io/pinning-services-api-spec/ (``/pins`` with a bearer token). Requests are
idempotent: requesting a pin that exists already changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from covey.ipfs.cid import Cid
from covey.ipfs.errors import IpfsError, NotFound, SourceError

STATUSES: Final = ("queued", "pinning", "pinned", "failed")
_TIMEOUT: Final = urllib3.Timeout(connect=5.0, read=30.0)
_MAX_RESPONSE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class RemotePin:
    """A pin as reported by a service.

    ``status`` is one of `STATUSES`; ``request_id`` identifies it in later requests.
    """

    cid: Cid
    name: str
    status: str
    request_id: str


class PinningService:
    """The service at ``endpoint`` (the URL above ``/pins``), with the operator's access ``token``."""

    def __init__(self, endpoint: str, token: str) -> None:
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise IpfsError(f"{endpoint!r} is not a pinning service: give the URL above /pins, https://host/path")
        if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            raise IpfsError(f"{endpoint!r} would send the access token in the clear: use https")
        self._base = endpoint.rstrip("/").removesuffix("/pins")
        self._name = f"pinning service {parts.hostname}"
        self._http = urllib3.PoolManager(
            maxsize=2,
            retries=False,
            headers={"Authorization": f"Bearer {token}", "Accept": "application/json", "User-Agent": "covey"},
        )

    @property
    def name(self) -> str:
        """A short name with the service's host."""
        return self._name

    def status(self, cid: Cid) -> RemotePin:
        """The newest pin of ``cid`` in any status. Raises `NotFound` if there is none, `SourceError`."""
        response = self._request("GET", f"/pins?cid={cid}&status={','.join(STATUSES)}&limit=1")
        try:
            results = response["results"]
            if not results:
                raise NotFound(f"{self.name} has no pin of {cid}")
            entry = results[0]
            status = str(entry["status"])
            name = str(entry["pin"].get("name") or "")
            pin = RemotePin(Cid.parse(entry["pin"]["cid"]), name, status, str(entry["requestid"]))
        except (KeyError, TypeError, IndexError, ValueError):
            raise SourceError(f"{self.name} answered with something that is not a list of pins") from None
        if status not in STATUSES or pin.cid != cid:
            raise SourceError(f"{self.name} answered with pin {pin.cid} in status {status!r}, not with {cid}")
        return pin

    def pin(self, cid: Cid, name: str = "", origins: Sequence[str] = ()) -> RemotePin:
        """Request a pin unless one exists; a failed pin is requested again.

        ``origins`` are multiaddrs of nodes that have the content. The service fetches asynchronously; see `status`.
        Raises `SourceError`.
        """
        try:
            current = self.status(cid)
        except NotFound:
            self._request("POST", "/pins", {"cid": str(cid), "name": name[:255], "origins": list(origins)[:20]})
        else:
            if current.status != "failed":
                return current
            replacement = {"cid": str(cid), "name": name[:255], "origins": list(origins)[:20]}
            self._request("POST", f"/pins/{quote(current.request_id, safe='')}", replacement)
        return self.status(cid)

    def unpin(self, cid: Cid) -> None:
        """Delete the pin. Raises `NotFound` if there is none."""
        self._request("DELETE", f"/pins/{quote(self.status(cid).request_id, safe='')}")

    def close(self) -> None:
        """Close idle connections."""
        self._http.clear()

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        headers = dict(self._http.headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            response = self._http.request(
                method,
                self._base + path,
                body=None if body is None else json.dumps(body).encode(),
                headers=headers,
                timeout=_TIMEOUT,
                preload_content=False,
            )
            try:
                text = response.read(_MAX_RESPONSE_BYTES)
            finally:
                response.release_conn()
        except HTTPError as error:
            raise SourceError(f"{self.name} cannot be reached: {type(error).__name__}") from None
        if response.status in (401, 403):
            raise SourceError(f"{self.name} refuses the access token ({response.status})")
        if response.status == 404:
            raise NotFound(f"{self.name} does not have that pin")
        if response.status not in (200, 202):
            raise SourceError(f"{self.name} answered {response.status}{_reason(text)}")
        try:
            return json.loads(text) if text else {}
        except (ValueError, RecursionError):
            raise SourceError(f"{self.name} answered with something that is not JSON") from None


def _reason(text: bytes) -> str:
    """The reason in an error body of the specification's form: {"error": {"reason": …, "details": …}}."""
    try:
        error = json.loads(text)["error"]
        return f": {str(error.get('details') or error['reason'])[:200]!r}"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""
