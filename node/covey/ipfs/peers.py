"""Fetches blocks from a peer or a public gateway over the trustless gateway protocol."""

from __future__ import annotations

import time
from typing import Final
from urllib.parse import SplitResult, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from covey.ipfs.cid import Cid
from covey.ipfs.dag import MAX_BLOCK_BYTES
from covey.ipfs.errors import IpfsError, MismatchedBlock, NotFound, SourceError
from covey.ipfs.gateway import PROBE, RAW_TYPE

_CONNECT_S: Final = 5.0
_DEFAULT_S: Final = 30.0
_READ_BYTES: Final = 256 << 10


class GatewaySource:
    """Blocks from the trustless gateway at ``url`` (``http://host:port`` or ``https://host``). Thread-safe."""

    def __init__(self, url: str) -> None:
        parts = _split(url)
        port = f":{parts.port}" if parts.port else ""
        # Kubo answers requests for the host "localhost" with redirects to subdomains; by its IP it serves paths.
        is_local = parts.scheme == "http" and parts.hostname == "localhost"
        host = {"Host": f"127.0.0.1{port}"} if is_local else {}
        self._base = url.rstrip("/").removesuffix("/ipfs")
        shown = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
        self._name = f"{parts.scheme}://{shown}{port}"
        self._http = urllib3.PoolManager(
            maxsize=8,
            retries=urllib3.Retry(total=None, connect=0, read=0, status=0, other=0, redirect=2),
            headers={"Accept": RAW_TYPE, "Accept-Encoding": "identity", "User-Agent": "covey", **host},
        )

    @property
    def name(self) -> str:
        """The gateway's origin."""
        return self._name

    def get_block(self, cid: Cid, timeout: float | None = None) -> bytes:
        """See `Source.get_block`. Reads at most `MAX_BLOCK_BYTES`, whatever the gateway sends."""
        block = self._get(str(cid), timeout or _DEFAULT_S)
        if not cid.matches(block):
            raise MismatchedBlock(f"{self.name} answered {len(block)} bytes for {cid} that do not match it")
        return block

    def probe(self, timeout: float = _CONNECT_S) -> None:
        """Check that a trustless gateway responds. Raises `SourceError`."""
        if self._get(PROBE, timeout) != b"":
            raise SourceError(f"{self.name} is not a trustless gateway: it answered the probe with content")

    def close(self) -> None:
        """Close idle connections."""
        self._http.clear()

    def _get(self, cid: str, timeout: float) -> bytes:
        deadline = time.monotonic() + timeout
        try:
            response = self._http.request(
                "GET",
                f"{self._base}/ipfs/{cid}",
                fields={"format": "raw"},
                timeout=urllib3.Timeout(connect=min(_CONNECT_S, timeout), read=timeout),
                # a peer on plain HTTP is not a public gateway and has no reason to redirect this node
                redirect=self._base.startswith("https://"),
                preload_content=False,
                decode_content=False,
            )
        except HTTPError as error:
            raise SourceError(f"{self.name} cannot be reached for {cid}: {_reason(error)}") from None
        complete = False
        try:
            if response.status in (404, 410):
                raise NotFound(f"{self.name} does not have {cid}")
            if 300 <= response.status < 400:
                target = response.headers.get("Location", "")
                raise SourceError(
                    f"{self.name} answered {response.status} for {cid}, a redirect to {target[:200] or 'nowhere'}: "
                    "give the address of the gateway behind it"
                )
            if response.status != 200:
                raise SourceError(f"{self.name} answered {response.status} for {cid}")
            block = bytearray()
            while chunk := response.read1(_READ_BYTES):
                block += chunk
                if len(block) > MAX_BLOCK_BYTES:
                    raise MismatchedBlock(f"{self.name} answered more than {MAX_BLOCK_BYTES} bytes for block {cid}")
                if time.monotonic() > deadline:
                    raise SourceError(f"{self.name} is too slow: {len(block)} bytes of {cid} in {timeout:g} s")
            complete = True
            return bytes(block)
        except HTTPError as error:
            raise SourceError(f"{self.name} interrupted {cid}: {_reason(error)}") from None
        finally:
            if complete:
                response.release_conn()
            else:
                response.close()


def _split(url: str) -> SplitResult:
    """Split a gateway's address. Raises IpfsError, which quotes no more of it than its host: it may contain a key."""
    fault = "give http://host:port or https://host"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and not parts.query and not parts.fragment
        if usable and parts.port != 0:  # reading the port checks it
            return parts
    except ValueError:
        fault = "its host or port is malformed; " + fault
    shown = url if url.isprintable() and not set(url) & set("@?#") and len(url) < 60 else "an address"
    raise IpfsError(f"{shown!r} is not a gateway: {fault}")


def _reason(error: Exception) -> str:
    """The innermost cause on one line; urllib3 nests them."""
    cause: object = getattr(error, "reason", None) or error
    text = str(cause).rpartition(": ")[2]
    return text.splitlines()[0] if text else type(error).__name__
