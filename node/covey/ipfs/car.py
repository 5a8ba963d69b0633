"""CAR files (version 1): a DAG as a stream of blocks. Format: https://ipld.io/specs/transport/car/carv1/."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final

from covey.ipfs.cid import Cid, Identity
from covey.ipfs.dag import MAX_BLOCK_BYTES, GetBlock, Plan
from covey.ipfs.dagpb import read_varint, varint
from covey.ipfs.errors import InvalidCid, InvalidContent

# dag-cbor of {"roots": [42(h'00' + cid)], "version": 1}; keys sorted by length, then bytes
_HEADER_START: Final = b"\xa2\x65roots\x81\xd8\x2a\x58\x25\x00"
_HEADER_END: Final = b"\x67version\x01"
_CID_BYTES: Final = 36
HEADER_BYTES: Final = 1 + len(_HEADER_START) + _CID_BYTES + len(_HEADER_END)
"""Length of the header of a CAR with one root. It is constant, so the header can be written last."""


def header(root: Cid) -> bytes:
    """The header of a CAR with one root."""
    body = _HEADER_START + root.to_bytes() + _HEADER_END
    return varint(len(body)) + body


def identity_header(cid: Identity) -> bytes:
    """The header, and with it the whole, of a CAR whose only root carries its own bytes."""
    raw = cid.to_bytes()
    body = b"\xa2\x65roots\x81\xd8\x2a" + _byte_string(b"\x00" + raw) + _HEADER_END
    return varint(len(body)) + body


def _byte_string(data: bytes) -> bytes:
    """Bytes in dag-cbor."""
    length = len(data)
    if length < 24:
        return bytes((0x40 | length,)) + data
    return (bytes((0x58, length)) if length < 256 else b"\x59" + length.to_bytes(2, "big")) + data


def section(cid: Cid, block: bytes) -> bytes:
    """One block's section of a CAR."""
    return varint(_CID_BYTES + len(block)) + cid.to_bytes() + block


def export(contents: Plan, get: GetBlock) -> Iterator[bytes]:
    """Stream a CAR of a planned directory or file, without repeated blocks, each parent before its children."""
    yield header(contents.cid)
    for cid in contents.blocks():
        yield section(cid, get(cid))


def read(stream: BinaryIO) -> tuple[Cid, Iterator[tuple[Cid, bytes]]]:
    """Read the root and the blocks of a CAR with one root. Every block is checked against its CID as it is read.

    Raises `InvalidContent` for any other format, a block that does not match its CID, or a truncated stream.
    """
    length = _read_length(stream)
    body = _read_exactly(stream, length) if length == HEADER_BYTES - 1 else b""
    if not body.startswith(_HEADER_START) or not body.endswith(_HEADER_END):
        raise InvalidContent("not a CAR file of version 1 with a single root")
    try:
        root = Cid.from_bytes(body[len(_HEADER_START) : len(_HEADER_START) + _CID_BYTES])
    except InvalidCid as error:
        raise InvalidContent(f"the CAR's root: {error}") from None
    return root, _sections(stream)


def _sections(stream: BinaryIO) -> Iterator[tuple[Cid, bytes]]:
    while (length := _read_length(stream)) is not None:
        if not _CID_BYTES <= length <= _CID_BYTES + MAX_BLOCK_BYTES:
            raise InvalidContent(f"the CAR has a section of {length} bytes")
        body = _read_exactly(stream, length)
        try:
            cid = Cid.from_bytes(body[:_CID_BYTES])
        except InvalidCid as error:
            raise InvalidContent(f"the CAR has a block that Covey cannot read: {error}") from None
        block = body[_CID_BYTES:]
        if not cid.matches(block):
            raise InvalidContent(f"the bytes of the CAR's block {cid} do not match its CID")
        yield cid, block


def bytes_left(stream: BinaryIO, unknown: int) -> int:
    """Bytes from the stream's position to its end, or ``unknown`` if the stream is not seekable."""
    if not stream.seekable():
        return unknown
    here = stream.tell()
    end = stream.seek(0, io.SEEK_END)
    stream.seek(here)
    return end - here


def _read_length(stream: BinaryIO) -> int | None:
    """The next section's length, or None at the end of the stream."""
    prefix = b""
    while len(prefix) < 9:
        byte = stream.read(1)
        if not byte:
            if prefix:
                raise InvalidContent("the CAR is truncated inside a length")
            return None
        prefix += byte
        if byte[0] < 0x80:
            return read_varint(prefix, 0)[0]
    raise InvalidContent("the CAR has a length of more than 9 bytes")


def _read_exactly(stream: BinaryIO, length: int) -> bytes:
    body = stream.read(length)
    while len(body) < length:
        more = stream.read(length - len(body))
        if not more:
            raise InvalidContent("the CAR is truncated inside a block")
        body += more
    return body


def write(chunks: Iterable[bytes], out: BinaryIO) -> int:
    """Write an exported CAR to a file and return its length in bytes."""
    return sum(out.write(chunk) for chunk in chunks)
