"""The embedded store: one file a block under fan-out folders, pins, and garbage collection within a quota.

    <root>/blocks/3f/3fa1…   a block, named by its digest in hex, so raw and dag-pb share one name space
    <root>/pins/bafy….json   {"name": …, "partial": …}
    <root>/tmp/              files on their way; renamed into place only when complete and synced
    <root>/lock              shared while content is added, exclusive while garbage is collected

Several processes may use one store at a time. A crash at any instruction leaves only whole blocks and stray files in
``tmp``, which the next collection removes.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from covey.ipfs.cid import DAG_PB, RAW, Cid
from covey.ipfs.dag import MAX_BLOCK_BYTES
from covey.ipfs.dagpb import decode_node
from covey.ipfs.errors import CorruptBlock, InvalidContent, IpfsError, NotFound, StoreBusy, StoreFull
from covey.ipfs.store import Pin, Store
from covey.ipfs.unixfs import Content, build, content_bytes

_WRITERS: Final = 2  # threads that hash and write the chunks of a large file
_LOCK_WAIT_S: Final = 30.0
_STRAY_AGE_S: Final = 3600.0
_PARTIAL_AGE_S: Final = 86400.0


class BlockStore(Store):
    """Content on this machine's disk at ``root``, at most ``quota_bytes`` of it (None: as much as the disk holds)."""

    def __init__(self, root: str | Path, *, quota_bytes: int | None = None) -> None:
        self.root = Path(root)
        self.quota_bytes = quota_bytes
        self._blocks = self.root / "blocks"
        self._pins = self.root / "pins"
        self._tmp = self.root / "tmp"
        try:
            for folder in (self._blocks, self._pins, self._tmp):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise IpfsError(f"cannot use {self.root} as a block store: {error.strerror}") from None
        self._local = threading.local()
        self._serial = 0
        self._serial_lock = threading.Lock()

    @property
    def name(self) -> str:
        """The store's folder."""
        return str(self.root)

    # -- blocks -------------------------------------------------------------------------------------------------------

    def _path(self, cid: Cid) -> Path:
        text = cid.digest.hex()
        return self._blocks / text[:2] / text

    def get_block(self, cid: Cid, timeout: float | None = None) -> bytes:
        """One block, hashed on every read. Raises `NotFound`, or `CorruptBlock` if the disk has lost its bytes."""
        return self.get_local(cid)

    def get_local(self, cid: Cid) -> bytes:
        """As `get_block`."""
        try:
            with open(self._path(cid), "rb", buffering=0) as file:
                block = file.read(MAX_BLOCK_BYTES + 1)
        except FileNotFoundError:
            raise NotFound(f"block {cid} is not in {self.root}") from None
        if not cid.matches(block):
            raise CorruptBlock(f"block {cid} in {self.root} is corrupt: delete {self._path(cid)} and fetch it again")
        return block

    def block_size(self, cid: Cid) -> int | None:
        """The stored length in bytes, or None."""
        try:
            return self._path(cid).stat().st_size
        except FileNotFoundError:
            return None

    def put_block(self, cid: Cid, block: bytes) -> None:
        """Store a block that has been checked against ``cid``; durable on return. A damaged copy is replaced.

        Unless it is below a pin (`pin_partial` will do) it may be collected at any moment, so store parents first.
        """
        with self._lock(fcntl.LOCK_SH):
            self._put(cid, block)

    def _put(self, cid: Cid, block: bytes) -> None:
        path = self._path(cid)
        with contextlib.suppress(FileNotFoundError), open(path, "rb", buffering=0) as file:
            if file.read(len(block) + 1) == block:
                os.utime(path)  # garbage goes oldest first
                return
        temporary = self._temporary()
        try:
            _write_synced(temporary, block)
            try:
                os.rename(temporary, path)
            except FileNotFoundError:
                path.parent.mkdir(exist_ok=True)
                _sync_folder(self._blocks)
                os.rename(temporary, path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise StoreFull(f"cannot write to {self.root}: {error.strerror}") from None
        _sync_folder(path.parent)

    def delete_block(self, cid: Cid) -> None:
        """Forget a block, for example a corrupt one; nothing happens if it is not there."""
        self._path(cid).unlink(missing_ok=True)

    def _temporary(self) -> Path:
        with self._serial_lock:
            self._serial += 1
            return self._tmp / f"{os.getpid()}-{id(self):x}-{self._serial}"

    # -- content ------------------------------------------------------------------------------------------------------

    def add_directory(self, content: Content, *, pin: bool = True, name: str = "") -> Cid:
        """See `Store.add_directory`. Durable on return; collects garbage first where the quota asks for it."""
        self.reserve(content_bytes(content))
        with self._lock(fcntl.LOCK_SH), ThreadPoolExecutor(_WRITERS) as pool:
            cid = build(content, self._put, pool).cid
            if pin:
                self._write_pin(cid, name, partial=False)
        return cid

    # -- pins ---------------------------------------------------------------------------------------------------------

    def pin(self, cid: Cid, name: str = "") -> None:
        """See `Store.pin`."""
        with self._lock(fcntl.LOCK_SH):
            if not self.has(cid):
                raise NotFound(f"{cid} is not completely in {self.root}: fetch it before pinning it")
            self._write_pin(cid, name, partial=False)

    def pin_partial(self, cid: Cid) -> None:
        """Spare what arrives of a directory that is still being fetched, unless it is pinned already."""
        pinned = self._read_pin(self._pin_path(cid))
        if pinned is None or pinned[1]:
            self._write_pin(cid, "", partial=True)

    def unpin(self, cid: Cid) -> None:
        """See `Store.unpin`."""
        try:
            self._pin_path(cid).unlink()
        except FileNotFoundError:
            raise NotFound(f"{cid} is not pinned in {self.root}") from None
        _sync_folder(self._pins)

    def unpin_partial(self, cid: Cid) -> None:
        """End `pin_partial`; a pin proper stays."""
        pinned = self._read_pin(self._pin_path(cid))
        if pinned is not None and pinned[1]:
            with contextlib.suppress(NotFound):
                self.unpin(cid)

    def pins(self) -> tuple[Pin, ...]:
        """See `Store.pins`."""
        return tuple(sorted((pin for pin, partial in self._all_pins() if not partial), key=lambda pin: str(pin.cid)))

    def _pin_path(self, cid: Cid) -> Path:
        return self._pins / f"{cid}.json"

    def _write_pin(self, cid: Cid, name: str, *, partial: bool) -> None:
        temporary = self._temporary()
        _write_synced(temporary, json.dumps({"name": name, "partial": partial}).encode())
        os.rename(temporary, self._pin_path(cid))
        _sync_folder(self._pins)

    def _read_pin(self, path: Path) -> tuple[Pin, bool] | None:
        try:
            record = json.loads(path.read_bytes())
            return Pin(Cid.parse(path.stem), str(record["name"])), bool(record["partial"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            raise CorruptBlock(f'{path} is damaged: write {{"name": "", "partial": false}} into it') from None

    def _all_pins(self) -> Iterator[tuple[Pin, bool]]:
        for path in self._pins.iterdir():
            pinned = self._read_pin(path)
            if pinned is not None:
                yield pinned

    # -- space --------------------------------------------------------------------------------------------------------

    def usage(self) -> int:
        """Bytes of all blocks on disk, counted."""
        return sum(size for _, size, _ in self._scan())

    def reserve(self, wanted: int) -> None:
        """Make room for ``wanted`` bytes under the quota, collecting the oldest garbage. Raises `StoreFull`."""
        if self.quota_bytes is None:
            return
        used = self.usage()
        if used + wanted > self.quota_bytes:
            used -= self.collect(target_bytes=max(0, self.quota_bytes - wanted))
        if used + wanted > self.quota_bytes:
            raise StoreFull(
                f"{self.root} holds {used} pinned bytes and its quota is {self.quota_bytes}: "
                f"raise the quota or unpin something to store {wanted} more"
            )

    def collect(self, target_bytes: int = 0, wait_s: float = _LOCK_WAIT_S) -> int:
        """Delete unpinned blocks, oldest first, until at most ``target_bytes`` are used; returns the bytes freed.

        Waits up to ``wait_s`` seconds for content being added. Raises `StoreBusy` after that.
        """
        with self._lock(fcntl.LOCK_EX, wait_s):
            keep = self._reachable()
            blocks = sorted(self._scan(), key=lambda found: found[2])
            used = sum(size for _, size, _ in blocks)
            freed = 0
            for path, size, _ in blocks:
                if used - freed <= target_bytes:
                    break
                if bytes.fromhex(path.name) not in keep:
                    path.unlink(missing_ok=True)
                    freed += size
            for stray in self._tmp.iterdir():
                with contextlib.suppress(FileNotFoundError):
                    if stray.stat().st_mtime < time.time() - _STRAY_AGE_S:
                        stray.unlink()
        return freed

    def _reachable(self) -> set[bytes]:
        """Digests of all blocks below a pin; leaves are not read, and what a partial fetch still lacks is skipped.

        A partial pin that nobody has touched for a day is of a fetch that was given up: it is removed.
        """
        reached: set[Cid] = set()
        pending = []
        for pin, partial in list(self._all_pins()):
            if partial and self._pin_path(pin.cid).stat().st_mtime < time.time() - _PARTIAL_AGE_S:
                self.unpin_partial(pin.cid)
            else:
                pending.append(pin.cid)
        while pending:
            cid = pending.pop()
            if cid in reached:
                continue
            reached.add(cid)
            if cid.codec == DAG_PB:
                with contextlib.suppress(NotFound, CorruptBlock, InvalidContent):
                    pending += [link.cid for link in decode_node(self.get_local(cid)).links]
        return {cid.digest for cid in reached}

    def _scan(self) -> Iterator[tuple[Path, int, float]]:
        for folder in self._blocks.iterdir():
            with os.scandir(folder) as found:
                for entry in found:
                    with contextlib.suppress(FileNotFoundError):
                        status = entry.stat()
                        yield Path(entry.path), status.st_size, status.st_mtime

    @contextlib.contextmanager
    def _lock(self, kind: int, wait_s: float = _LOCK_WAIT_S) -> Iterator[None]:
        """Hold the store's lock; a thread that holds it already goes straight through."""
        if getattr(self._local, "held", False):
            yield
            return
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            deadline = time.monotonic() + wait_s
            while True:
                try:
                    fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        raise StoreBusy(f"{self.root} is in use by another process: try again later") from None
                    time.sleep(0.02)
            self._local.held = True
            try:
                yield
            finally:
                self._local.held = False
        finally:
            os.close(descriptor)

    def cids(self) -> Iterator[Cid]:
        """A CID for every block held. The codec is not stored: a block is called raw here."""
        for path, _, _ in self._scan():
            yield Cid(RAW, bytes.fromhex(path.name))


def _write_synced(path: Path, data: bytes) -> None:
    with open(path, "xb", buffering=0) as file:
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
