"""A Kubo daemon as a store, through ipfshttpclient. The daemon is not trusted.

Content is hashed here and sent as a CAR, so CIDs do not depend on the daemon's import settings and Kubo refuses blocks
that do not match their CIDs. Every block read is verified.
"""

from __future__ import annotations

import contextlib
import io
import ipaddress
import os
import tempfile
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit

from covey.ipfs import car
from covey.ipfs.cid import Cid
from covey.ipfs.dag import MAX_BLOCK_BYTES
from covey.ipfs.errors import CorruptBlock, InvalidCid, IpfsError, NotFound, SourceError
from covey.ipfs.store import Pin, Store
from covey.ipfs.unixfs import Content, build

# Must be set before ipfshttpclient is imported: its layer over requests uses a urllib3 API that urllib3 2 deprecates
# and 3 removes. Without that layer only RPC over Unix sockets is unavailable.
os.environ["PY_IPFS_HTTP_CLIENT_PATCH_REQUESTS"] = "no"

import ipfshttpclient
from ipfshttpclient import exceptions as ipfs_exceptions
from ipfshttpclient.client import base as ipfs_base
from ipfshttpclient.client import block as ipfs_block

_DEFAULT_S: Final = 60.0
_UPLOAD_S: Final = 600.0
_SPOOL_BYTES: Final = 4 << 20
_CHUNK_BYTES: Final = 1 << 20
_ABSENT: Final = ("not found", "could not find", "not pinned", "no such")


class _Blocks(ipfs_block.Section):  # type: ignore[misc]  # the library has no types
    """The library's block commands, with ``rm``, which it lacks."""

    def rm(self, cid: str) -> Any:
        return self._client.request("/block/rm", (cid,), decoder="json", opts={"force": "true"})


class _Client(ipfshttpclient.Client):  # type: ignore[misc]
    block = ipfs_base.SectionProperty(_Blocks)


def multiaddr_of(address: str) -> str:
    """Convert an RPC address (a multiaddr or ``http://host:port``) to a multiaddr. Raises `IpfsError`."""
    if address.startswith("/"):
        return address
    parts = urlsplit(address)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 5001)
    except ValueError:
        port = 0
    if parts.scheme not in ("http", "https") or not parts.hostname or not port or parts.path.strip("/"):
        raise IpfsError(f"{address!r} is not a Kubo RPC address: give http://127.0.0.1:5001 or /ip4/127.0.0.1/tcp/5001")
    host = parts.hostname
    kind = "ip6" if ":" in host else "ip4" if host.replace(".", "").isdigit() else "dns"
    return f"/{kind}/{host}/tcp/{port}/{parts.scheme}"


def in_the_clear(multiaddr: str) -> bool:
    """Whether requests to an RPC leave this machine unencrypted: plain http to anything but loopback."""
    kind, host, *rest = [*multiaddr.strip("/").split("/"), "", ""]
    if kind == "unix" or "https" in rest:
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


class KuboStore(Store):
    """The Kubo node with its RPC at ``address``; ``token`` is a bearer token of its API.Authorizations.

    Over plain http to another machine anyone on the path could read the token and take over the node, so that needs
    ``token_in_clear``. Raises `IpfsError`.
    """

    def __init__(
        self, address: str, *, token: str | None = None, token_in_clear: bool = False, timeout_s: float = _DEFAULT_S
    ) -> None:
        self._address = multiaddr_of(address)
        if token and not token_in_clear and in_the_clear(self._address):
            raise IpfsError(
                f"{address} would receive the bearer token over plain http, readable on the network: "
                "use https or a tunnel to 127.0.0.1, or allow it with store_token_in_clear"
            )
        self._timeout_s = timeout_s
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            self._client = _Client(
                self._address, headers=headers, timeout=timeout_s, session=True, chunk_size=_CHUNK_BYTES
            )
        except ipfs_exceptions.AddressError:
            raise IpfsError(f"{address!r} is not a Kubo RPC address: give http://host:port or a multiaddr") from None

    @property
    def name(self) -> str:
        """A short name with the address of the RPC."""
        return f"kubo at {self._address}"

    def version(self) -> str:
        """The daemon's version. Raises `SourceError` if it does not respond or refuses the token."""
        return str(self._call(self._client.version)["Version"])

    def get_block(self, cid: Cid, timeout: float | None = None) -> bytes:
        """Return a verified block. Kubo asks its peers for at most ``timeout`` seconds."""
        return self._get(cid, timeout or self._timeout_s, offline=False)

    def get_local(self, cid: Cid) -> bytes:
        """Return a verified block that the daemon stores locally."""
        return self._get(cid, self._timeout_s, offline=True)

    def _get(self, cid: Cid, timeout: float, *, offline: bool) -> bytes:
        def read() -> bytes:
            block = bytearray()
            options = {"timeout": f"{timeout:.3f}s"}
            with self._client.block.get(
                str(cid), stream=True, offline=offline, opts=options, timeout=timeout + 1
            ) as pieces:
                for piece in pieces:
                    block += piece
                    if len(block) > MAX_BLOCK_BYTES:
                        break
            return bytes(block)

        block: bytes = self._call(read)
        if not cid.matches(block):
            raise CorruptBlock(f"{self.name} answered {len(block)} bytes for {cid} that do not match it")
        return block

    def block_size(self, cid: Cid) -> int | None:
        """The length of a block that the daemon stores locally, or None."""
        try:
            return int(self._call(lambda: self._client.block.stat(str(cid), offline=True))["Size"])
        except NotFound:
            return None

    def add_directory(self, content: Content, *, pin: bool = True, name: str = "") -> Cid:
        """See `Store.add_directory`. Content is buffered in a temporary file, not in memory."""
        with tempfile.SpooledTemporaryFile(max_size=_SPOOL_BYTES) as spool:
            spool.write(bytes(car.HEADER_BYTES))
            cid = build(content, lambda c, block: _spool(spool, c, block)).cid
            spool.seek(0)
            spool.write(car.header(cid))
            spool.seek(0)
            self._import(spool, pin=pin)
        if pin and name:
            self.pin(cid, name)
        return cid

    def import_car(self, stream: BinaryIO, *, pin: bool = True) -> None:
        """Send a CAR to the daemon, which checks every block."""
        self._import(stream, pin=pin)

    def _import(self, stream: Any, *, pin: bool) -> None:
        # with pinned roots Kubo returns one line, the root; without, none, so request the totals instead
        options = {"pin-roots": "true"} if pin else {"pin-roots": "false", "stats": "true"}
        answer = self._call(lambda: self._client.dag.imprt(_Upload(stream), opts=options, timeout=_UPLOAD_S))
        root = answer.get("Root")
        if pin and (root is None or root["PinErrorMsg"]):
            reason = root["PinErrorMsg"] if root else "no root in its answer"
            raise SourceError(f"{self.name} imported the content but did not pin it: {reason}")

    def restore_block(self, cid: Cid, block: bytes, root: Cid) -> None:
        """See `Store.restore_block`. Kubo never overwrites a block, so a damaged one is removed first.

        Kubo does not remove a block below a pin, so ``root`` is unpinned. Raises `SourceError`, with the pin's CID, if
        another pin includes the block.
        """
        if self.block_size(cid) is not None:
            with contextlib.suppress(NotFound):
                self.unpin(root)
            for answer in self._call(lambda: self._client.block.rm(str(cid))):
                if answer.get("Error"):
                    raise SourceError(f"{self.name} keeps its damaged block: {answer['Error']}")
        with io.BytesIO(car.header(cid) + car.section(cid, block)) as stream:
            self._import(stream, pin=False)

    def pin(self, cid: Cid, name: str = "") -> None:
        """See `Store.pin`. Does not fetch."""
        options = {"name": name} if name else {}
        self._call(lambda: self._client.pin.add(str(cid), offline=True, opts=options))

    def unpin(self, cid: Cid) -> None:
        """See `Store.unpin`."""
        self._call(lambda: self._client.pin.rm(str(cid)))

    def pins(self) -> tuple[Pin, ...]:
        """See `Store.pins`. Lists only recursive pins of CIDs in Covey's format."""
        keys: Any = self._call(lambda: self._client.pin.ls(type="recursive", opts={"names": "true"}).as_json())
        keys = keys.get("Keys") if isinstance(keys, dict) else None
        found = []
        for text, pinned in (keys if isinstance(keys, dict) else {}).items():
            try:
                found.append(Pin(Cid.parse(text), str(pinned.get("Name", ""))))
            except InvalidCid:
                continue
        return tuple(sorted(found, key=lambda pin: str(pin.cid)))

    def close(self) -> None:
        """Close connections to the daemon."""
        self._client.close()

    def _call(self, ask: Any) -> Any:
        try:
            return ask()
        except ipfs_exceptions.ErrorResponse as error:
            message = str(error).removeprefix("ErrorResponse: ").splitlines()[0]
            if any(sign in message for sign in _ABSENT):
                raise NotFound(f"{self.name}: {message}") from None
            raise SourceError(f"{self.name}: {message}") from None
        except ipfs_exceptions.StatusError as error:
            status = getattr(getattr(error.original, "response", None), "status_code", "an error")
            hint = ": check the bearer token" if status in (401, 403) else ""
            raise SourceError(f"{self.name} answered {status}{hint}") from None
        except ipfs_exceptions.TimeoutError:
            raise SourceError(f"{self.name} did not answer in time") from None
        except ipfs_exceptions.CommunicationError:
            raise SourceError(f"{self.name} cannot be reached: is the daemon running?") from None
        except (ValueError, RecursionError):
            raise SourceError(f"{self.name} answered with something that is not a Kubo RPC answer") from None


class _Upload:
    """A stream without a name: ipfshttpclient would send the path of a named stream."""

    def __init__(self, stream: Any) -> None:
        self.read = stream.read


def _spool(out: Any, cid: Cid, block: bytes) -> None:
    out.write(car.section(cid, block))
