"""Builds UnixFS files and flat directories of the ``unixfs-v1-2025`` profile, streaming, in constant memory.

Profile (https://specs.ipfs.tech/ipips/ipip-0499/): CIDv1, sha2-256, raw leaves of 1 MiB, balanced trees of at most
1,024 links per node, directories in one dag-pb block of at most 256 KiB. The CIDs equal those of Kubo's ``ipfs add``.
A directory that Kubo would shard (block larger than 256 KiB) is refused: adapters have only a few files.
"""

from __future__ import annotations

import io
import os
import re
import stat
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol, TypeAlias

from covey.ipfs.cid import DAG_PB, RAW, Cid
from covey.ipfs.dagpb import Link, encode_directory, encode_file
from covey.ipfs.errors import InvalidContent

CHUNK_BYTES: Final = 1 << 20
MAX_LINKS: Final = 1024
MAX_DIRECTORY_BYTES: Final = 256 << 10
MAX_NAME_BYTES: Final = 255


class Readable(Protocol):
    """A stream of bytes. It may return fewer bytes than requested; no bytes mean its end."""

    def read(self, size: int, /) -> bytes: ...


BlockSink: TypeAlias = Callable[[Cid, bytes], None]
"""Receives every hashed block. Called from worker threads if a build runs on an executor."""

Content: TypeAlias = str | os.PathLike[str] | Mapping[str, bytes | str | os.PathLike[str]]
"""A flat directory: its path, or a mapping of file names to bytes or to paths."""

_READ_AHEAD: Final = 8  # chunks in flight on the executor
_UNSAFE: Final = re.compile(r"[/\\\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Built:
    """A built file or directory: ``size`` bytes of content, ``total`` bytes of blocks as links claim them."""

    cid: Cid
    size: int
    total: int


def check_name(name: str) -> str:
    """Return ``name`` if it is a safe file name on any system; otherwise raise `InvalidContent`."""
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        raise InvalidContent(f"file name {name!r} is not UTF-8") from None
    if not encoded or name in (".", "..") or len(encoded) > MAX_NAME_BYTES:
        raise InvalidContent(f"file name {name[:40]!r} is empty, reserved or longer than {MAX_NAME_BYTES} bytes")
    if _UNSAFE.search(name):
        raise InvalidContent(f"file name {name!r} has a separator or control character")
    return name


def build_file(stream: Readable, put: BlockSink, pool: Executor | None = None) -> Built:
    """Chunk and hash a file and emit its blocks. ``stream`` is read to its end and need not be seekable.

    Memory use: the links of one path down the tree and, with a ``pool`` that hashes and writes, `_READ_AHEAD` chunks.
    """
    levels: list[list[Built]] = [[]]  # children of the open node of each level
    for leaf in _leaves(stream, put, pool):
        _append(levels, 0, leaf, put)
    if not levels[0] and len(levels) == 1:
        cid = Cid.of(b"", RAW)
        put(cid, b"")
        return Built(cid, 0, 0)
    depth = 0
    while True:
        top = depth == len(levels) - 1
        if top and len(levels[depth]) == 1:
            return levels[depth][0]
        if levels[depth]:
            node = _close(levels[depth], put)
            levels[depth] = []
            _append(levels, depth + 1, node, put)
        depth += 1


def _append(levels: list[list[Built]], depth: int, child: Built, put: BlockSink) -> None:
    if depth == len(levels):
        levels.append([])
    if len(levels[depth]) == MAX_LINKS:  # full: close it before adding another
        node = _close(levels[depth], put)
        levels[depth] = []
        _append(levels, depth + 1, node, put)
    levels[depth].append(child)


def _close(children: list[Built], put: BlockSink) -> Built:
    block = encode_file([Link(c.cid, "", c.total) for c in children], [c.size for c in children])
    cid = Cid.of(block, DAG_PB)
    put(cid, block)
    return Built(cid, sum(c.size for c in children), len(block) + sum(c.total for c in children))


def _leaf(chunk: bytes, put: BlockSink) -> Built:
    cid = Cid.of(chunk, RAW)
    put(cid, chunk)
    return Built(cid, len(chunk), len(chunk))


def _leaves(stream: Readable, put: BlockSink, pool: Executor | None) -> Iterator[Built]:
    chunk = _read_full(stream)
    following = _read_full(stream) if len(chunk) == CHUNK_BYTES else b""
    if pool is None or not following:
        while chunk:
            yield _leaf(chunk, put)
            chunk, following = following, _read_full(stream) if following else b""
        return
    pending: deque[Future[Built]] = deque()
    while chunk:
        pending.append(pool.submit(_leaf, chunk, put))
        chunk, following = following, _read_full(stream) if following else b""
        if len(pending) >= _READ_AHEAD:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def _read_full(stream: Readable) -> bytes:
    """One full chunk, or the rest of the stream."""
    chunk = stream.read(CHUNK_BYTES)
    if not chunk or len(chunk) == CHUNK_BYTES:
        return chunk
    parts, length = [chunk], len(chunk)
    while length < CHUNK_BYTES and (more := stream.read(CHUNK_BYTES - length)):
        parts.append(more)
        length += len(more)
    return b"".join(parts)


def build_directory(files: Iterable[tuple[str, Built]], put: BlockSink) -> Built:
    """Emit the directory block for built files. Raises `InvalidContent` for bad or duplicate names."""
    links: dict[str, Link] = {}
    size = total = 0
    for name, built in files:
        if check_name(name) in links:
            raise InvalidContent(f"two files are called {name!r}")
        links[name] = Link(built.cid, name, built.total)
        size += built.size
        total += built.total
    block = encode_directory(links.values())
    if len(block) > MAX_DIRECTORY_BYTES:
        raise InvalidContent(f"{len(links)} files are too many for one flat directory: split them over several")
    cid = Cid.of(block, DAG_PB)
    put(cid, block)
    return Built(cid, size, total + len(block))


def build(content: Content, put: BlockSink, pool: Executor | None = None) -> Built:
    """Build a flat directory from its path or a mapping. Raises `InvalidContent` for anything but plain files."""
    return build_directory(
        ((name, _build_entry(name, source, put, pool)) for name, source in entries(content)),
        put,
    )


def directory_cid(content: Content) -> Cid:
    """Compute the CID of ``content`` without storing or announcing anything. Use it before a commitment."""
    return build(content, lambda _cid, _block: None).cid


def entries(content: Content) -> list[tuple[str, bytes | Path]]:
    """Pairs of name and bytes or path of a flat directory, sorted by name."""
    if isinstance(content, Mapping):
        return sorted((n, s if isinstance(s, bytes) else Path(s)) for n, s in content.items())  # names are unique
    root = Path(content)
    if not root.is_dir():
        raise InvalidContent(f"{root} is not a directory: give a directory, or a mapping of names to files")
    with os.scandir(root) as directory:
        return sorted((entry.name, root / entry.name) for entry in directory)


def content_bytes(content: Content) -> int:
    """Bytes of content, without the overhead of blocks."""
    return sum(len(s) if isinstance(s, bytes) else s.stat().st_size for _, s in entries(content))


def _build_entry(name: str, source: bytes | Path, put: BlockSink, pool: Executor | None) -> Built:
    check_name(name)
    if isinstance(source, bytes):
        return build_file(io.BytesIO(source), put, pool)
    with open_regular(source) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > CHUNK_BYTES:
            return build_file(stream, put, pool)
        content = stream.read(size + 1)  # a small file needs no full chunk of memory
    if len(content) != size:
        raise InvalidContent(f"{source} changed while it was read: add it again when it is complete")
    return build_file(io.BytesIO(content), put, pool)


def open_regular(path: Path) -> BinaryIO:
    """Open a plain file for unbuffered reading. Raises `InvalidContent` for a link, folder, pipe or device."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise InvalidContent(f"cannot read {path}: {error.strerror} (only plain files can be added)") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InvalidContent(f"{path} is not a plain file: directories are flat, links are not followed")
    return open(descriptor, "rb", buffering=0)
