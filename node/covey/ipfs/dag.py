"""Reads files and directories from verified blocks, and checks every limit before it requests bytes.

A *plan* is built from inner nodes only (one small block per GiB): the leaves of each file and the length of each leaf.
Leaves are requested only once the plan is known to be within its `Limits`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from covey.ipfs.cid import RAW, Cid
from covey.ipfs.dagpb import UNIXFS_DIRECTORY, Node, decode_node
from covey.ipfs.disk import sync_file_system, sync_folder
from covey.ipfs.errors import InvalidContent, LimitExceeded, NotFound
from covey.ipfs.unixfs import check_name

MAX_BLOCK_BYTES: Final = 2 << 20
"""Maximum size of a block in the IPFS exchange protocols."""

_READERS: Final = max(2, min(os.cpu_count() or 2, 4))  # threads that read and hash the blocks of a long file
_READ_AHEAD: Final = 2 * _READERS

GetBlock: TypeAlias = Callable[[Cid], bytes]


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a fetch: content bytes, files, blocks (repeats counted), levels of a file's tree."""

    max_bytes: int = 1 << 30
    max_files: int = 64
    max_blocks: int = 4096
    max_depth: int = 4


DEFAULT_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Leaf:
    """A block of ``size`` file bytes; ``inline`` if they are inside a dag-pb block rather than a raw one."""

    cid: Cid
    size: int
    inline: bool = False


@dataclass(frozen=True, slots=True)
class FilePlan:
    """A file of ``size`` bytes: the concatenation of its leaves. ``order`` lists all its blocks, depth first."""

    name: str
    cid: Cid
    size: int
    leaves: tuple[Leaf, ...]
    order: tuple[Cid, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A directory and its files, or one bare file with an empty name."""

    cid: Cid
    files: tuple[FilePlan, ...]
    is_directory: bool

    @property
    def size(self) -> int:
        """Bytes of content."""
        return sum(file.size for file in self.files)

    def file(self, name: str) -> FilePlan:
        """The file called ``name``. Raises `NotFound`."""
        for file in self.files:
            if file.name == name:
                return file
        raise NotFound(f"{self.cid} has no file {name!r}: it has {', '.join(f.name for f in self.files) or 'none'}")

    def blocks(self) -> dict[Cid, None]:
        """Every distinct block, in depth-first order."""
        order = dict.fromkeys((self.cid,))
        for file in self.files:
            order.update(dict.fromkeys(file.order))
        return order


class _Planner:
    def __init__(self, get: GetBlock, limits: Limits) -> None:
        self._get = get
        self._limits = limits
        self._blocks = 0
        self._bytes = 0
        self._order: list[Cid] = []

    def node(self, cid: Cid) -> Node:
        """Fetch and decode an inner node."""
        self._count_block(cid)
        try:
            return decode_node(self._get(cid))
        except InvalidContent as error:
            raise InvalidContent(f"{cid}: {error}") from None

    def file(self, name: str, cid: Cid, claimed: int) -> FilePlan:
        """Plan one file. ``claimed`` is the length in its link, which is binding for a raw block."""
        if cid.codec == RAW:
            self._count_bytes(cid, claimed)
            self._count_block(cid)
            return FilePlan(name, cid, claimed, (Leaf(cid, claimed),), (cid,))
        leaves: list[Leaf] = []
        self._order = []
        node = self.node(cid)
        if node.kind == UNIXFS_DIRECTORY:
            raise InvalidContent(f"{cid} ({name!r}) is a directory: only flat directories are accepted")
        size = len(node.data) + sum(node.block_sizes)
        self._count_bytes(cid, size)
        self._tree(cid, node, size, 1, leaves)
        return FilePlan(name, cid, size, tuple(leaves), tuple(self._order))

    def _tree(self, cid: Cid, node: Node, size: int, depth: int, leaves: list[Leaf]) -> None:
        self._order.append(cid)
        if depth > self._limits.max_depth:
            raise LimitExceeded(f"{cid}: the file's tree is deeper than {self._limits.max_depth} levels")
        if node.file_size is not None and node.file_size != size:
            raise InvalidContent(f"{cid} claims {node.file_size} bytes and lists {size}")
        if node.kind == UNIXFS_DIRECTORY or (node.data and node.links):
            raise InvalidContent(f"{cid} mixes file content with links or directories")
        if not node.links:
            leaves.append(Leaf(cid, size, inline=True))
            return
        for link, expected in zip(node.links, node.block_sizes, strict=True):
            if link.name or expected == 0:
                raise InvalidContent(f"{cid} has a named or empty chunk")
            if link.cid.codec == RAW:
                self._count_block(link.cid)
                if expected > MAX_BLOCK_BYTES:
                    raise LimitExceeded(f"{link.cid} claims a block of {expected} bytes, more than {MAX_BLOCK_BYTES}")
                leaves.append(Leaf(link.cid, expected))
                self._order.append(link.cid)
                continue
            child = self.node(link.cid)
            if len(child.data) + sum(child.block_sizes) != expected:
                raise InvalidContent(f"{link.cid} does not have the {expected} bytes that {cid} claims")
            self._tree(link.cid, child, expected, depth + 1, leaves)

    def _count_block(self, cid: Cid) -> None:
        self._blocks += 1
        if self._blocks > self._limits.max_blocks:
            raise LimitExceeded(f"{cid} needs more than {self._limits.max_blocks} blocks")

    def _count_bytes(self, cid: Cid, size: int) -> None:
        self._bytes += size
        if self._bytes > self._limits.max_bytes:
            raise LimitExceeded(
                f"{cid} increases the content to {self._bytes} bytes, more than {self._limits.max_bytes}"
            )


def plan(cid: Cid, get: GetBlock, limits: Limits) -> Plan:
    """Plan a flat directory or a bare file from its inner nodes, read through ``get``, which must verify them.

    Raises `InvalidContent` or `LimitExceeded` before any leaf is requested. Errors of ``get`` pass through.
    """
    return _plan(cid, get, limits, None)


def plan_file(cid: Cid, name: str, get: GetBlock, limits: Limits) -> FilePlan:
    """Plan one file of a directory, or a bare file (empty name), without reading the nodes of other files.

    ``limits`` apply to this file only. Raises like `plan`, and `NotFound` if there is no such file.
    """
    return _plan(cid, get, limits, name).file(name)


def _plan(cid: Cid, get: GetBlock, limits: Limits, only: str | None) -> Plan:
    planner = _Planner(get, limits)
    if cid.codec == RAW:
        size = len(get(cid))
        return Plan(cid, (planner.file("", cid, size),), is_directory=False)
    root = planner.node(cid)
    if root.kind != UNIXFS_DIRECTORY:
        planner = _Planner(get, limits)  # count the root again, as a file
        return Plan(cid, (planner.file("", cid, 0),), is_directory=False)
    if only is None and len(root.links) > limits.max_files:
        raise LimitExceeded(f"{cid} has {len(root.links)} files, more than {limits.max_files}")
    seen: set[str] = set()
    for link in root.links:
        if check_name(link.name) in seen:
            raise InvalidContent(f"{cid} has two files called {link.name!r}")
        seen.add(link.name)
        if link.cid.codec == RAW and link.size > MAX_BLOCK_BYTES:
            raise LimitExceeded(f"{link.cid} claims a block of {link.size} bytes, more than {MAX_BLOCK_BYTES}")
    links = [link for link in root.links if only in (None, link.name)]
    if only is not None and not links:
        raise NotFound(f"{cid} has no file {only!r}: it has {', '.join(sorted(seen)) or 'none'}")
    files = tuple(planner.file(link.name, link.cid, link.size) for link in links)
    return Plan(cid, files, is_directory=True)


def read_leaf(leaf: Leaf, get: GetBlock) -> bytes:
    """The file bytes of a leaf. Raises `InvalidContent` if their number differs from the plan."""
    block = get(leaf.cid)
    data = decode_node(block).data if leaf.inline else block
    if len(data) != leaf.size:
        raise InvalidContent(f"{leaf.cid} has {len(data)} bytes, its parent claims {leaf.size}")
    return data


def read_file(file: FilePlan, get: GetBlock) -> Iterator[bytes]:
    """Stream the file's bytes leaf by leaf. Reads and hashes up to `_READ_AHEAD` leaves of a long file in advance."""
    if len(file.leaves) < _READ_AHEAD:
        for leaf in file.leaves:
            yield read_leaf(leaf, get)
        return
    with ThreadPoolExecutor(_READERS, "ipfs-read") as pool:
        pending: deque[Future[bytes]] = deque()
        try:
            for leaf in file.leaves:
                pending.append(pool.submit(read_leaf, leaf, get))
                if len(pending) >= _READ_AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def write_directory(files: Plan, get: GetBlock, dest: Path) -> None:
    """Write the planned files to ``dest``, which must not exist, atomically and durably.

    Raises `FileExistsError` if ``dest`` exists, `InvalidContent` if the plan is of a bare file.
    """
    if not files.is_directory:
        raise InvalidContent(f"{files.cid} is a bare file, not a directory")
    dest = Path(dest)
    if os.path.lexists(dest):
        raise FileExistsError(f"{dest} exists already: choose another path or remove it first")
    dest.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{dest.name[:40]}.", dir=dest.parent))
    try:
        for file in files.files:
            with open(partial / file.name, "xb") as out:
                out.writelines(read_file(file, get))
        os.chmod(partial, 0o755)
        sync_file_system(partial)
        os.rename(partial, dest)
        sync_folder(dest.parent)
    except FileExistsError:  # this file system treats two names as equal
        shutil.rmtree(partial, ignore_errors=True)
        raise InvalidContent(
            f"{files.cid} has files whose names are equal on the file system of {dest.parent}"
        ) from None
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
