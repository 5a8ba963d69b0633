"""The interface of stores and sources, and the operations that need only verified blocks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

from covey.ipfs import car
from covey.ipfs.cid import Cid
from covey.ipfs.dag import FilePlan, Limits, Plan, plan, plan_file, read_file, write_directory
from covey.ipfs.errors import NotFound
from covey.ipfs.unixfs import Content

UNLIMITED = Limits(max_bytes=1 << 62, max_files=1 << 20, max_blocks=1 << 40, max_depth=8)
"""For this node's own content, which only the disk limits."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A directory that garbage collection keeps, and its name."""

    cid: Cid
    name: str = ""


@dataclass(frozen=True, slots=True)
class Stat:
    """Sizes of a directory or file: content bytes, bytes of all distinct blocks, their number, and the files' names."""

    cid: Cid
    size: int
    block_bytes: int
    blocks: int
    files: tuple[str, ...]


@runtime_checkable
class Source(Protocol):
    """A source of blocks: a store, a peer's gateway, or any trustless gateway."""

    @property
    def name(self) -> str:
        """A short name for logs and errors, without credentials."""
        ...

    def get_block(self, cid: Cid, timeout: float | None = None) -> bytes:
        """Return the block's bytes, checked against ``cid``, within ``timeout`` seconds.

        Raises `NotFound`, `SourceError`, `MismatchedBlock` or `CorruptBlock`.
        """
        ...


class Store(ABC):
    """This node's own storage. Every block read is checked against its CID."""

    @property
    @abstractmethod
    def name(self) -> str:
        """A short name for logs and errors, without credentials."""

    @abstractmethod
    def get_block(self, cid: Cid, timeout: float | None = None) -> bytes:
        """Return a verified block. Raises `NotFound`, `CorruptBlock`, or `SourceError` if the store is unreachable."""

    @abstractmethod
    def get_local(self, cid: Cid) -> bytes:
        """Like `get_block`, but without using a network."""

    @abstractmethod
    def block_size(self, cid: Cid) -> int | None:
        """The stored length of a block in bytes, or None if it is not stored locally."""

    @abstractmethod
    def add_directory(self, content: Content, *, pin: bool = True, name: str = "") -> Cid:
        """Store a flat directory (a path, or names mapped to bytes or paths) and return its CID.

        A store may serve and announce all of its content. Hash content that must stay private until a reveal with
        `directory_cid`, and add it only at the reveal. Raises `InvalidContent`, `StoreFull`, `SourceError`.
        """

    @abstractmethod
    def restore_block(self, cid: Cid, block: bytes, root: Cid) -> None:
        """Replace a damaged or lost block below ``root`` by a block that has been checked.

        Call `pin` for ``root`` afterwards: this may remove its pin, and the block may not be durable yet.
        """

    @abstractmethod
    def pin(self, cid: Cid, name: str = "") -> None:
        """Keep a complete directory. Pinning it again renames the pin. Raises `NotFound` if a block is missing."""

    @abstractmethod
    def unpin(self, cid: Cid) -> None:
        """Remove a pin; the next collection deletes the blocks. Raises `NotFound` if there is no pin."""

    @abstractmethod
    def pins(self) -> tuple[Pin, ...]:
        """All pins, sorted by CID."""

    def close(self) -> None:
        """Close files and connections."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def list_directory(self, cid: Cid, limits: Limits = UNLIMITED) -> tuple[FilePlan, ...]:
        """The files of a directory with their sizes; reads inner nodes only."""
        return plan(cid, self.get_block, limits).files

    def get_directory(self, cid: Cid, dest: str | Path, limits: Limits = UNLIMITED) -> Path:
        """Write a directory's files to ``dest``, which must not exist, atomically."""
        write_directory(plan(cid, self.get_block, limits), self.get_block, Path(dest))
        return Path(dest)

    def cat(self, cid: Cid, name: str = "", limits: Limits = UNLIMITED) -> Iterator[bytes]:
        """Stream the verified bytes of a directory's file ``name``, or of a bare file (empty name)."""
        return read_file(plan_file(cid, name, self.get_block, limits), self.get_block)

    def read(self, cid: Cid, name: str = "", max_bytes: int = 1 << 20) -> bytes:
        """Read a small file. Raises `LimitExceeded` if it is longer than ``max_bytes``."""
        return b"".join(self.cat(cid, name, Limits(max_bytes)))

    def has(self, cid: Cid) -> bool:
        """Whether every block of a directory or file is stored locally.

        Checks the size of leaves without reading them.
        """
        try:
            stored = self.local_plan(cid)
        except NotFound:
            return False
        sizes = {leaf.cid: leaf.size for file in stored.files for leaf in file.leaves if not leaf.inline}
        return all(self.block_size(cid) == size for cid, size in sizes.items())  # inner nodes were read above

    def export_car(self, cid: Cid) -> Iterator[bytes]:
        """Stream a CAR (version 1) of a complete directory or file."""
        return car.export(self.local_plan(cid), self.get_local)

    def stat(self, cid: Cid) -> Stat:
        """Sizes of a complete directory or file. Raises `NotFound` if a block is missing."""
        stored = self.local_plan(cid)
        total = 0
        blocks = stored.blocks()
        for block in blocks:
            size = self.block_size(block)
            if size is None:
                raise NotFound(f"{self.name} lacks block {block} of {cid}")
            total += size
        return Stat(cid, stored.size, total, len(blocks), tuple(file.name for file in stored.files))

    def local_plan(self, cid: Cid) -> Plan:
        """Plan a directory or file from local blocks. Raises `NotFound` if an inner node is missing."""
        return plan(cid, self.get_local, UNLIMITED)
