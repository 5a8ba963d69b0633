"""The embedded store: block files, pins, and garbage collection within a quota.

    <root>/blocks, <root>/tmp   see `covey.ipfs.blockfiles`
    <root>/pins/bafy….pin       content to keep; the file contains the pin's name
    <root>/pins/bafy….partial   content that is being fetched, protected from collection for a while
    <root>/lock, <root>/gate    see `covey.ipfs.lock`

Several processes may share a store. They see the same blocks and pins (one pin per CID), and wait to add while one of
them collects garbage. Each process reserves space only for its own additions, so concurrent additions can exceed the
quota by each other's size; the next addition or collection corrects this. A crash at any instruction leaves only
complete blocks, and temporary files that the next collection removes.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Final

from covey.ipfs import car
from covey.ipfs.blockfiles import BlockFiles
from covey.ipfs.cid import DAG_PB, Cid
from covey.ipfs.dag import DEFAULT_LIMITS, Limits, plan
from covey.ipfs.dagpb import decode_node
from covey.ipfs.disk import sync_folder
from covey.ipfs.errors import CorruptBlock, InvalidCid, InvalidContent, LimitExceeded, NotFound, StoreFull
from covey.ipfs.lock import LOCK_WAIT_S, StoreLock
from covey.ipfs.store import Pin, Store
from covey.ipfs.unixfs import Content, build, content_bytes

_WRITERS: Final = max(2, min(os.cpu_count() or 2, 4))  # threads that hash and write the chunks of a large file
_PARTIAL_AGE_S: Final = 86400.0


class BlockStore(Store):
    """Content on this machine's disk at ``root``, at most ``quota_bytes`` (None: limited by the disk only)."""

    def __init__(self, root: str | Path, *, quota_bytes: int | None = None) -> None:
        self.root = Path(root)
        self.quota_bytes = quota_bytes
        self._files = BlockFiles(self.root)
        self._lock = StoreLock(self.root)
        self._pins = self.root / "pins"
        self._pins.mkdir(exist_ok=True)

    @property
    def name(self) -> str:
        """The store's folder."""
        return str(self.root)

    # -- blocks -------------------------------------------------------------------------------------------------------

    def get_block(self, cid: Cid, timeout: float | None = None) -> bytes:
        """Read a block and check its hash. Raises `NotFound`, or `CorruptBlock` if the stored bytes are damaged."""
        return self._files.read(cid)

    def get_local(self, cid: Cid) -> bytes:
        """Same as `get_block`."""
        return self._files.read(cid)

    def block_size(self, cid: Cid) -> int | None:
        """The stored length in bytes, or None."""
        return self._files.size(cid.digest)

    def put_block(self, cid: Cid, block: bytes) -> None:
        """Store a block that has been checked against ``cid``. A damaged copy is replaced.

        The write is atomic, but survives a power cut only once the block is below a pin. Without a pin or a
        `pin_partial` the block may be collected at any moment, so store parents first.
        """
        with self._lock.shared():
            self._files.write(cid, block)

    def restore_block(self, cid: Cid, block: bytes, root: Cid) -> None:
        """See `Store.restore_block`. Does not change pins."""
        self.put_block(cid, block)

    def delete_block(self, cid: Cid) -> None:
        """Remove a block, for example a corrupt one, if it is present."""
        self._files.delete(cid.digest)

    # -- content ------------------------------------------------------------------------------------------------------

    def add_directory(self, content: Content, *, pin: bool = True, name: str = "") -> Cid:
        """See `Store.add_directory`. Durable on return. Collects garbage first if the quota requires it."""
        return self.add_directories([content], pin=pin, name=name)[0]

    def add_directories(self, contents: Iterable[Content], *, pin: bool = True, name: str = "") -> list[Cid]:
        """Add many directories with one flush of the disk instead of one per directory."""
        contents = list(contents)
        if self.quota_bytes is not None:
            self.reserve(sum(map(content_bytes, contents)))
        batch = self._files.batch()
        with self._lock.shared(), ThreadPoolExecutor(_WRITERS) as pool:
            try:
                cids = [build(content, batch.put, pool).cid for content in contents]
                batch.commit(self._new_pins(cids, name) if pin else ())
            finally:
                batch.discard()
        return cids

    def import_car(self, stream: BinaryIO, limits: Limits = DEFAULT_LIMITS, *, pin: bool = True, name: str = "") -> Cid:
        """Store the complete directory or file in a CAR and return its CID.

        Collects garbage first if the quota requires it: for the rest of a seekable stream, otherwise for
        ``limits.max_bytes``. Raises `InvalidContent` or `LimitExceeded` for a CAR that is malformed, incomplete or
        larger than ``limits``, and `StoreFull`.
        """
        if self.quota_bytes is not None:
            self.reserve(min(car.bytes_left(stream, limits.max_bytes), limits.max_bytes))
        root, sections = car.read(stream)
        batch = self._files.batch()
        received = 0
        with self._lock.shared():
            try:
                for count, (cid, block) in enumerate(sections, 1):
                    received += len(block)
                    if count > limits.max_blocks or received > 2 * limits.max_bytes:
                        raise LimitExceeded(f"the CAR of {root} is larger than {limits.max_bytes} bytes allow")
                    batch.put(cid, block)
                batch.commit()
            finally:
                batch.discard()
            try:
                plan(root, self.get_local, limits)
                self.stat(root)
            except NotFound:
                raise InvalidContent(f"the CAR of {root} lacks some of its blocks") from None
            if pin:
                batch.commit(self._new_pins([root], name))
        return root

    # -- pins ---------------------------------------------------------------------------------------------------------

    def pin(self, cid: Cid, name: str = "") -> None:
        """See `Store.pin`. Durable on return."""
        with self._lock.shared():
            if not self.has(cid):
                raise NotFound(f"{cid} is not complete in {self.root}: fetch it before pinning it")
            self._files.batch().commit(self._new_pins([cid], name))
        self._pin_path(cid, partial=True).unlink(missing_ok=True)

    def pin_partial(self, cid: Cid) -> None:
        """Protect the blocks of a directory from collection while it is being fetched."""
        self._pin_path(cid, partial=True).touch()

    def unpin(self, cid: Cid) -> None:
        """See `Store.unpin`."""
        try:
            self._pin_path(cid).unlink()
        except FileNotFoundError:
            raise NotFound(f"{cid} is not pinned in {self.root}") from None
        sync_folder(self._pins)

    def unpin_partial(self, cid: Cid) -> None:
        """Undo `pin_partial`; a complete pin stays."""
        self._pin_path(cid, partial=True).unlink(missing_ok=True)

    def pins(self) -> tuple[Pin, ...]:
        """See `Store.pins`."""
        found = []
        for cid in self._pinned(partial=False):
            with contextlib.suppress(FileNotFoundError):  # unpinned concurrently
                found.append(Pin(cid, self._pin_path(cid).read_text(encoding="utf-8", errors="replace")))
        return tuple(sorted(found, key=lambda pin: str(pin.cid)))

    def _pin_path(self, cid: Cid, *, partial: bool = False) -> Path:
        return self._pins / f"{cid}.{'partial' if partial else 'pin'}"

    def _new_pins(self, cids: Iterable[Cid], name: str) -> list[tuple[str, Path]]:
        """Temporary pin files and their paths, for a batch to move into place after the blocks."""
        return [(self._files.write_temporary(name.encode()), self._pin_path(cid)) for cid in dict.fromkeys(cids)]

    def _pinned(self, *, partial: bool) -> Iterator[Cid]:
        for path in self._pins.glob("*.partial" if partial else "*.pin"):
            with contextlib.suppress(InvalidCid):  # not a file of this store
                yield Cid.parse(path.stem)

    # -- space --------------------------------------------------------------------------------------------------------

    def usage(self) -> int:
        """Count the bytes of all blocks on disk."""
        return sum(block.size for block in self._files.scan())

    def reserve(self, size: int) -> None:
        """Free ``size`` bytes under the quota by collecting the oldest garbage. Raises `StoreFull`."""
        if self.quota_bytes is None:
            return
        used = self.usage()
        if used + size > self.quota_bytes:
            used -= self.collect(target_bytes=max(0, self.quota_bytes - size))
        if used + size > self.quota_bytes:
            raise StoreFull(
                f"{self.root} has {used} pinned bytes and its quota is {self.quota_bytes}: "
                f"raise the quota or unpin something to store {size} more"
            )

    def collect(self, target_bytes: int = 0, wait_s: float = LOCK_WAIT_S) -> int:
        """Delete unpinned blocks, oldest first, until at most ``target_bytes`` are used; returns the bytes freed.

        Waits up to ``wait_s`` seconds for additions in progress, then raises `StoreBusy`.
        """
        with self._lock.exclusive(wait_s):
            keep = self._reachable()
            blocks = sorted(self._files.scan(), key=lambda block: block.stored_at)
            used = sum(block.size for block in blocks)
            freed = 0
            for block in blocks:
                if used - freed <= target_bytes:
                    break
                if block.digest not in keep:
                    self._files.delete(block.digest)
                    freed += block.size
            self._files.delete_strays()
        return freed

    def _reachable(self) -> set[bytes]:
        """Digests of all blocks below a pin. Does not read leaves, and skips blocks that a partial fetch lacks.

        Removes partial pins older than a day: their fetches were abandoned.
        """
        reached: set[Cid] = set()
        pending = list(self._pinned(partial=False))
        for cid in self._pinned(partial=True):
            with contextlib.suppress(FileNotFoundError):
                if self._pin_path(cid, partial=True).stat().st_mtime < time.time() - _PARTIAL_AGE_S:
                    self.unpin_partial(cid)
                else:
                    pending.append(cid)
        while pending:
            cid = pending.pop()
            if cid in reached:
                continue
            reached.add(cid)
            if cid.codec == DAG_PB:
                with contextlib.suppress(NotFound, CorruptBlock, InvalidContent):
                    pending += [link.cid for link in decode_node(self.get_local(cid)).links]
        return {cid.digest for cid in reached}
