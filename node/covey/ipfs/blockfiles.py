"""Blocks as files in fan-out folders. A block is written atomically and is durable once its batch is committed.

    <root>/blocks/3f/3fa1…   a block, named by its digest in hex, so raw and dag-pb blocks share one name space
    <root>/tmp/              incomplete files; renamed into place when complete

A batch of any size costs two flushes of the file system: one between writing and renaming, one after. One fsync per
file would cost a hundred times as much for small blocks.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from covey.ipfs.cid import Cid
from covey.ipfs.dag import MAX_BLOCK_BYTES
from covey.ipfs.disk import start_writing_out, sync_file_system
from covey.ipfs.errors import CorruptBlock, IpfsError, NotFound, StoreFull

_BATCH_BLOCKS: Final = 4096
_WRITE_OUT_BYTES: Final = 64 << 10
_STRAY_AGE_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block on disk: digest, length in bytes, and time of the last write in seconds since 1970."""

    digest: bytes
    size: int
    stored_at: float


class BlockFiles:
    """The block files under ``root``. Safe for concurrent use by threads and processes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._blocks = root / "blocks"
        self._tmp = root / "tmp"
        self._own = os.urandom(8).hex()  # process ids repeat after a restart and in containers that share a folder
        self._serial = itertools.count()
        try:
            self._tmp.mkdir(parents=True, exist_ok=True)
            self._blocks.mkdir(exist_ok=True)
        except OSError as error:
            raise IpfsError(f"cannot use {root} as a block store: {error.strerror}") from None

    def path(self, digest: bytes) -> Path:
        """The path of a block, present or not."""
        return Path(self._file(digest))

    def _file(self, digest: bytes) -> str:
        text = digest.hex()
        return f"{self._blocks}/{text[:2]}/{text}"

    def read(self, cid: Cid) -> bytes:
        """Read a block and check its hash. Raises `NotFound`, or `CorruptBlock` if the stored bytes are damaged."""
        block = self._read(cid.digest, MAX_BLOCK_BYTES + 1)
        if block is None:
            raise NotFound(f"block {cid} is not in {self.root}")
        if not cid.matches(block):
            raise CorruptBlock(f"block {cid} in {self.root} is corrupt: remove {self.path(cid.digest)}, fetch it again")
        return block

    def _read(self, digest: bytes, most: int) -> bytes | None:
        try:
            descriptor = os.open(self._file(digest), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            # read exactly the file's size: a larger buffer would be allocated, zeroed and shrunk
            return os.read(descriptor, min(most, os.fstat(descriptor).st_size + 1))
        finally:
            os.close(descriptor)

    def size(self, digest: bytes) -> int | None:
        """A block's length in bytes, or None if it is absent."""
        try:
            return os.stat(self._file(digest)).st_size
        except FileNotFoundError:
            return None

    def has_copy(self, digest: bytes, block: bytes) -> bool:
        """Whether exactly these bytes are stored already; if so, mark them as stored now."""
        if self._read(digest, len(block) + 1) != block:
            return False
        with contextlib.suppress(FileNotFoundError):
            os.utime(self._file(digest))
            return True
        return False

    def write(self, cid: Cid, block: bytes) -> None:
        """Store a block that matches ``cid`` atomically. It is durable only after the next `sync`."""
        if not self.has_copy(cid.digest, block):
            self.place(self.write_temporary(block), cid.digest)

    def write_temporary(self, data: bytes) -> str:
        """Write a temporary file next to the blocks and return its path. Raises `StoreFull`."""
        path = f"{self._tmp}/{os.getpid()}-{self._own}-{next(self._serial)}"
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(descriptor, view) :]
                if len(data) >= _WRITE_OUT_BYTES:
                    start_writing_out(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            raise StoreFull(f"cannot write to {self.root}: {error.strerror}") from None
        return path

    def place(self, temporary: str, digest: bytes) -> None:
        """Move a complete temporary file to a block's path, replacing a damaged block. Raises `StoreFull`."""
        file = self._file(digest)
        try:
            try:
                os.rename(temporary, file)
            except FileNotFoundError:
                os.makedirs(os.path.dirname(file), exist_ok=True)
                os.rename(temporary, file)
        except OSError as error:
            raise StoreFull(f"cannot write to {self.root}: {error.strerror}") from error

    def delete(self, digest: bytes) -> None:
        """Remove a block if it is present."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._file(digest))

    def scan(self) -> Iterator[StoredBlock]:
        """Every block on disk, in arbitrary order."""
        for folder in self._blocks.iterdir():
            with os.scandir(folder) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):
                        status = entry.stat()
                        yield StoredBlock(bytes.fromhex(entry.name), status.st_size, status.st_mtime)

    def delete_strays(self) -> None:
        """Remove temporary files left by a crash."""
        for stray in self._tmp.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if stray.stat().st_mtime < time.time() - _STRAY_AGE_S:
                    stray.unlink()

    def sync(self) -> None:
        """Make all earlier writes durable. Raises `StoreFull` if the disk refuses them."""
        try:
            sync_file_system(self.root)
        except OSError as error:
            raise StoreFull(f"cannot write to {self.root}: {error.strerror}") from None

    def batch(self) -> Batch:
        """Start a batch of blocks that are committed together."""
        return Batch(self)


class Batch:
    """Uncommitted blocks: written by `put`, in place and durable after `commit`. `put` is thread-safe."""

    def __init__(self, files: BlockFiles) -> None:
        self._files = files
        self._pending: dict[bytes, str] = {}
        self._lock = threading.Lock()

    def put(self, cid: Cid, block: bytes) -> None:
        """Write a block that matches ``cid``, unless it is stored already."""
        if cid.digest in self._pending or self._files.has_copy(cid.digest, block):
            return
        temporary = self._files.write_temporary(block)
        with self._lock:
            duplicate = self._pending.setdefault(cid.digest, temporary) != temporary
            full = len(self._pending) >= _BATCH_BLOCKS
        if duplicate:
            os.unlink(temporary)
        elif full:
            self.commit()

    def commit(self, then: Iterable[tuple[str, Path]] = ()) -> None:
        """Move all blocks into place, then the temporary files of ``then`` to their paths, durably."""
        then = list(then)
        with self._lock:
            try:
                self._files.sync()
                for digest in list(self._pending):
                    self._files.place(self._pending[digest], digest)
                    del self._pending[digest]
                for temporary, path in then:
                    os.rename(temporary, path)
            except BaseException:
                for temporary, _ in then:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(temporary)
                raise
            self._files.sync()

    def discard(self) -> None:
        """Delete the blocks that are not committed."""
        for temporary in self._pending.values():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        self._pending = {}
