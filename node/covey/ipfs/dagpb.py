"""Encoder and strict decoder of dag-pb blocks and the UnixFS message inside them.

Formats: https://ipld.io/specs/codecs/dag-pb/spec/ and https://specs.ipfs.tech/unixfs/. Both are small fixed protobuf
messages. Only the canonical encoding is written; unknown, repeated or misordered fields are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from covey.ipfs.cid import Cid
from covey.ipfs.errors import InvalidCid, InvalidContent

UNIXFS_RAW: Final = 0
UNIXFS_DIRECTORY: Final = 1
UNIXFS_FILE: Final = 2
_UNIXFS_NAMES: Final = {3: "metadata", 4: "symlink", 5: "sharded directory"}

_MAX_VARINT: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Link:
    """A named edge. ``size`` is the author's claim of the total size in bytes of the blocks below."""

    cid: Cid
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Node:
    """A decoded dag-pb block with UnixFS. ``data`` is inline content, ``block_sizes`` has one length per link."""

    kind: int
    links: tuple[Link, ...]
    data: bytes
    file_size: int | None
    block_sizes: tuple[int, ...]


def varint(value: int) -> bytes:
    """Unsigned LEB128, protobuf's encoding of lengths and integers."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(buffer: bytes | memoryview, at: int) -> tuple[int, int]:
    """Read a minimally encoded varint below 2^63 at ``at``; return it and the position after it.

    Raises `InvalidContent`.
    """
    value = shift = 0
    while True:
        if at >= len(buffer):
            raise InvalidContent("truncated varint")
        byte = buffer[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if byte == 0 and shift:
                raise InvalidContent("varint is not minimal")
            if value > _MAX_VARINT:
                raise InvalidContent("varint is out of range")
            return value, at
        shift += 7
        if shift > 56:
            raise InvalidContent("varint is too long")


def _field(tag: int, payload: bytes) -> bytes:
    return bytes((tag,)) + varint(len(payload)) + payload


def encode_node(links: Iterable[Link], data: bytes) -> bytes:
    """Encode a dag-pb block: the links in the given order (field 2), then the data (field 1)."""
    out = bytearray()
    for link in links:
        out += _field(
            0x12,
            _field(0x0A, link.cid.to_bytes()) + _field(0x12, link.name.encode()) + b"\x18" + varint(link.size),
        )
    out += _field(0x0A, data)
    return bytes(out)


def encode_file(links: Sequence[Link], block_sizes: Sequence[int]) -> bytes:
    """Encode an inner node of a file: its children in order and the number of file bytes below each."""
    data = bytearray(b"\x08\x02\x18" + varint(sum(block_sizes)))
    for size in block_sizes:
        data += b"\x20" + varint(size)
    return encode_node(links, bytes(data))


def encode_directory(links: Iterable[Link]) -> bytes:
    """Encode a flat directory: links sorted by the bytes of their names."""
    return encode_node(sorted(links, key=lambda link: link.name.encode()), b"\x08\x01")


def _fields(buffer: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Tag and value of each protobuf field. These formats contain only varints and byte strings."""
    at = 0
    while at < len(buffer):
        tag, at = read_varint(buffer, at)
        if tag & 7 == 0:
            value, at = read_varint(buffer, at)
            yield tag, value
        elif tag & 7 == 2:
            length, at = read_varint(buffer, at)
            if length > len(buffer) - at:
                raise InvalidContent("truncated field")
            yield tag, buffer[at : at + length]
            at += length
        else:
            raise InvalidContent(f"unexpected wire type {tag & 7}")


def _decode_link(buffer: memoryview) -> Link:
    cid: Cid | None = None
    name = ""
    size = 0
    last = 0
    for tag, value in _fields(buffer):
        if tag <= last:
            raise InvalidContent("link fields are repeated or out of order")
        last = tag
        if tag == 0x0A and isinstance(value, memoryview):
            try:
                cid = Cid.from_bytes(value)
            except InvalidCid as error:
                raise InvalidContent(f"a link has a CID that Covey cannot read: {error}") from None
        elif tag == 0x12 and isinstance(value, memoryview):
            try:
                name = str(value, "utf-8")
            except UnicodeDecodeError:
                raise InvalidContent("a name is not UTF-8") from None
        elif tag == 0x18 and isinstance(value, int):
            size = value
        else:
            raise InvalidContent(f"unknown link field {tag >> 3}")
    if cid is None:
        raise InvalidContent("a link has no CID")
    return Link(cid, name, size)


def decode_node(block: bytes) -> Node:
    """Decode a dag-pb block with UnixFS. Raises `InvalidContent` for anything but a file or a flat directory."""
    links: list[Link] = []
    message: memoryview | None = None
    for tag, value in _fields(memoryview(block)):
        if tag == 0x12 and isinstance(value, memoryview) and message is None:
            links.append(_decode_link(value))
        elif tag == 0x0A and isinstance(value, memoryview) and message is None:
            message = value
        else:
            raise InvalidContent("dag-pb fields are unknown, repeated or out of order")
    if message is None:
        raise InvalidContent("the block has no UnixFS message")

    return _decode_unixfs(message, tuple(links))


def _decode_unixfs(message: memoryview, links: tuple[Link, ...]) -> Node:
    kind: int | None = None
    data = b""
    file_size: int | None = None
    sizes: list[int] = []
    for tag, value in _fields(message):
        if tag == 0x08 and isinstance(value, int) and kind is None:
            kind = value
        elif tag == 0x12 and isinstance(value, memoryview) and not data:
            data = bytes(value)
        elif tag == 0x18 and isinstance(value, int) and file_size is None:
            file_size = value
        elif tag == 0x20 and isinstance(value, int):
            sizes.append(value)
        elif tag in (0x38, 0x42):  # mode and mtime: legal, not used here
            continue
        elif tag in (0x28, 0x30):
            raise InvalidContent("sharded directories are not supported")
        else:
            raise InvalidContent("UnixFS fields are unknown or repeated")
    if kind not in (UNIXFS_RAW, UNIXFS_DIRECTORY, UNIXFS_FILE):
        raise InvalidContent(f"a {_UNIXFS_NAMES.get(kind or 0, 'node of unknown type')} is not supported")
    if kind == UNIXFS_DIRECTORY and (data or sizes):
        raise InvalidContent("a directory has file content")
    if kind != UNIXFS_DIRECTORY and len(sizes) != len(links):
        raise InvalidContent(f"{len(links)} links but {len(sizes)} block sizes")
    return Node(kind, links, data, file_size, tuple(sizes))
