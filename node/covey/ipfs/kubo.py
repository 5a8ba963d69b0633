"""A Kubo daemon as a store, through ipfshttpclient, trusted with nothing.

What Covey adds is hashed here and sent as a CAR, so the CID never depends on the daemon's import settings and Kubo
refuses a block that is not its CID's; what is read is checked block by block.
"""

from __future__ import annotations

import contextlib
import io
import ipaddress
import os
import tempfile
from collections.abc import Mapping
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit

from covey.ipfs import car
from covey.ipfs.cid import Cid
from covey.ipfs.dag import MAX_BLOCK_BYTES
from covey.ipfs.errors import CorruptBlock, InvalidCid, IpfsError, NotFound, SourceError
from covey.ipfs.store import Pin, Store
from covey.ipfs.unixfs import Content, build

# Before ipfshttpclient is imported: its own layer over requests calls urllib3 in a way that urllib3 2 deprecates and 3
# refuses. Without it, requests is used as it is; only RPC over Unix sockets is lost.
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


class _Blocks(ipfs_block.Section):  # type: ignore[misc]  # the library carries no types
    """The library's commands for blocks, and one that it lacks."""

    def rm(self, cid: str) -> Any:
        return self._client.request("/block/rm", (cid,), decoder="json", opts={"force": "true"})


class _Client(ipfshttpclient.Client):  # type: ignore[misc]
    block = ipfs_base.SectionProperty(_Blocks)


def multiaddr_of(address: str) -> str:
    """The multiaddr of an RPC address given as one, or as ``http://host:port``. Raises `IpfsError`."""
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
    """Whether what is sent to an RPC leaves this machine unencrypted: plain http to anything but loopback."""
    kind, host, *rest = [*multiaddr.strip("/").split("/"), "", ""]
    if kind == "unix" or "https" in rest:
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


class KuboStore(Store):
    """The Kubo node whose RPC answers at ``address``; ``token`` is a bearer token of its API.Authorizations.

    A token is not sent over plain http to another machine, where anyone on the way could read it and take the node
    over, unless ``token_in_clear`` says that this is meant. Raises `IpfsError`.
    """

    def __init__(
        self, address: str, *, token: str | None = None, token_in_clear: bool = False, timeout_s: float = _DEFAULT_S
    ) -> None:
        self._address = multiaddr_of(address)
        if token and not token_in_clear and in_the_clear(self._address):
            raise IpfsError(
                f"{address} would get the bearer token over plain http, readable on the way: "
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
        """Where the daemon's RPC answers."""
        return f"kubo at {self._address}"

    def version(self) -> str:
        """The daemon's version. Raises `SourceError` if it does not answer or refuses the token."""
        return str(self._call(self._client.version)["Version"])

    def get_block(self, cid: Cid, timeout: float | None = None) -> bytes:
        """One verified block; Kubo asks its peers for it for at most ``timeout`` seconds."""
        return self._get(cid, timeout or self._timeout_s, offline=False)

    def get_local(self, cid: Cid) -> bytes:
        """One verified block that the daemon has already."""
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
            raise CorruptBlock(f"{self.name} answered {len(block)} bytes for {cid} that are not its content")
        return block

    def block_size(self, cid: Cid) -> int | None:
        """The length of a block that the daemon holds, or None."""
        try:
            return int(self._call(lambda: self._client.block.stat(str(cid), offline=True))["Size"])
        except NotFound:
            return None

    def add_directory(self, content: Content, *, pin: bool = True, name: str = "") -> Cid:
        """See `Store.add_directory`. The content passes through a temporary file, never through memory as a whole."""
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
        # with pinned roots Kubo answers one line, the root; without, none, so the totals are asked for instead
        options = {"pin-roots": "true"} if pin else {"pin-roots": "false", "stats": "true"}
        answer = self._call(lambda: self._client.dag.imprt(_Upload(stream), opts=options, timeout=_UPLOAD_S))
        root = answer.get("Root")
        if pin and (root is None or root["PinErrorMsg"]):
            reason = root["PinErrorMsg"] if root else "no root in its answer"
            raise SourceError(f"{self.name} imported the content but did not pin it: {reason}")

    def restore_block(self, cid: Cid, block: bytes, root: Cid) -> None:
        """See `Store.restore_block`. Kubo keeps the bytes it has for a CID, so a damaged block must go before.

        It lets no block go that is below a pin: ``root`` is unpinned, and where another pin holds the block too,
        `SourceError` says which.
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
        """See `Store.pin`; nothing is fetched."""
        options = {"name": name} if name else {}
        self._call(lambda: self._client.pin.add(str(cid), offline=True, opts=options))

    def unpin(self, cid: Cid) -> None:
        """See `Store.unpin`."""
        self._call(lambda: self._client.pin.rm(str(cid)))

    def pins(self) -> tuple[Pin, ...]:
        """See `Store.pins`; recursive pins only, and only of CIDs that Covey could have made."""
        keys: Mapping[str, Any] = self._call(
            lambda: self._client.pin.ls(type="recursive", opts={"names": "true"}).as_json()
        )["Keys"]
        found = []
        for text, pinned in (keys or {}).items():
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


class _Upload:
    """A stream without a name: ipfshttpclient would send the path of a named one along."""

    def __init__(self, stream: Any) -> None:
        self.read = stream.read


def _spool(out: Any, cid: Cid, block: bytes) -> None:
    out.write(car.section(cid, block))
