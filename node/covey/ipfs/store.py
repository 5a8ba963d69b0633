"""What every store offers, and the parts that follow from being able to read a verified block."""

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
"""For content of one's own, where the disk is the only limit."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A directory that garbage collection keeps, with the name its owner gave it."""

    cid: Cid
    name: str = ""


@dataclass(frozen=True, slots=True)
class Stat:
    """Sizes of what a CID names: content bytes, bytes of all distinct blocks, their number, and the files' names."""

    cid: Cid
    size: int
    block_bytes: int
    blocks: int
    files: tuple[str, ...]


@runtime_checkable
class Source(Protocol):
    """Somewhere a block may come from: a store, a peer's gateway, any trustless gateway."""

    @property
    def name(self) -> str:
        """A short name for logs and errors, without credentials."""
        ...

    def get_block(self, cid: Cid, timeout: float | None = None) -> bytes:
        """The block's bytes, checked against ``cid``, within ``timeout`` seconds.

        Raises `NotFound`, `SourceError`, `LyingSource` or `CorruptBlock`.
        """
        ...


class Store(ABC):
    """A place of one's own for content. Every block read is checked against its CID, whatever the store claims."""

    @property
    @abstractmethod
    def name(self) -> str:
        """A short name for logs and errors, without credentials."""

    @abstractmethod
    def get_block(self, cid: Cid, timeout: float | None = None) -> bytes:
        """One verified block. Raises `NotFound`, `CorruptBlock`, or `SourceError` if the store cannot be asked."""

    @abstractmethod
    def get_local(self, cid: Cid) -> bytes:
        """As `get_block`, but never over a network."""

    @abstractmethod
    def block_size(self, cid: Cid) -> int | None:
        """The stored length of a block in bytes, or None if it is not held locally."""

    @abstractmethod
    def add_directory(self, content: Content, *, pin: bool = True, name: str = "") -> Cid:
        """Store a flat directory (a path, or names mapped to bytes or paths) and return its CID.

        Content that must stay private until a reveal is hashed with `directory_cid` first and added only then: a store
        may serve and announce whatever it holds. Raises `InvalidContent`, `StoreFull`, `SourceError`.
        """

    @abstractmethod
    def restore_block(self, cid: Cid, block: bytes, root: Cid) -> None:
        """Put a block that has been checked in the place of a damaged or lost one below ``root``.

        ``root`` may lose its pin over it and the block need not be durable yet, so `pin` it again afterwards.
        """

    @abstractmethod
    def pin(self, cid: Cid, name: str = "") -> None:
        """Keep a directory that is completely held. Raises `NotFound` if a block is missing. Pinning twice renames."""

    @abstractmethod
    def unpin(self, cid: Cid) -> None:
        """Stop keeping a directory; its blocks go with the next collection. Raises `NotFound` if it is not pinned."""

    @abstractmethod
    def pins(self) -> tuple[Pin, ...]:
        """What is pinned, sorted by CID."""

    def close(self) -> None:
        """Let go of files and connections."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def list_directory(self, cid: Cid, limits: Limits = UNLIMITED) -> tuple[FilePlan, ...]:
        """The files of a directory with their sizes; reads inner nodes only."""
        return plan(cid, self.get_block, limits).files

    def get_directory(self, cid: Cid, dest: str | Path, limits: Limits = UNLIMITED) -> Path:
        """Write a directory's files to ``dest``, a path that must not exist; it appears whole or not at all."""
        write_directory(plan(cid, self.get_block, limits), self.get_block, Path(dest))
        return Path(dest)

    def cat(self, cid: Cid, name: str = "", limits: Limits = UNLIMITED) -> Iterator[bytes]:
        """The bytes of a directory's file ``name`` (of a bare file: no name) as a stream of verified pieces."""
        return read_file(plan_file(cid, name, self.get_block, limits), self.get_block)

    def read(self, cid: Cid, name: str = "", max_bytes: int = 1 << 20) -> bytes:
        """The whole of a small file. Raises `LimitExceeded` if it is longer than ``max_bytes``."""
        return b"".join(self.cat(cid, name, Limits(max_bytes)))

    def has(self, cid: Cid) -> bool:
        """Whether every block of a directory or file is held locally. Leaves are looked up and measured, not read."""
        try:
            held = self.local_plan(cid)
        except NotFound:
            return False
        sizes = {leaf.cid: leaf.size for file in held.files for leaf in file.leaves if not leaf.inline}
        return all(self.block_size(cid) == size for cid, size in sizes.items())  # inner nodes were read just now

    def export_car(self, cid: Cid) -> Iterator[bytes]:
        """A CAR (version 1) of a directory or file that is completely held, as a stream."""
        return car.export(self.local_plan(cid), self.get_local)

    def stat(self, cid: Cid) -> Stat:
        """Sizes of a directory or file that is completely held. Raises `NotFound` if a block is missing."""
        held = self.local_plan(cid)
        total = 0
        blocks = held.blocks()
        for block in blocks:
            size = self.block_size(block)
            if size is None:
                raise NotFound(f"{self.name} lacks block {block} of {cid}")
            total += size
        return Stat(cid, held.size, total, len(blocks), tuple(file.name for file in held.files))

    def local_plan(self, cid: Cid) -> Plan:
        """The plan of a directory or file from locally held blocks. Raises `NotFound` if an inner node is missing."""
        return plan(cid, self.get_local, UNLIMITED)
