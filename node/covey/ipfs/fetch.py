"""Fetches from untrusted sources: races them per block, verifies every block, checks limits before requesting bytes.

Blocks are stored in an embedded store as they arrive, so an interrupted fetch resumes where it stopped. A source that
returns bytes that do not match the CID is logged and excluded for a time that doubles with each mismatch. A malicious
source therefore costs little, and a source behind a temporarily broken middlebox is used again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

from covey.ipfs.blockstore import BlockStore
from covey.ipfs.cid import Cid
from covey.ipfs.dag import DEFAULT_LIMITS, Leaf, Limits, Plan, plan, plan_file, read_file, read_leaf, write_directory
from covey.ipfs.errors import CorruptBlock, InvalidContent, IpfsError, MismatchedBlock, NotFound, SourceError
from covey.ipfs.store import Source

log = logging.getLogger(__name__)

_RACERS: Final = 3  # maximum number of concurrent requests for one block
_MIN_EXCLUSION_S: Final = 5.0
_MAX_EXCLUSION_S: Final = 3600.0


@dataclass(slots=True)
class _SourcePenalty:
    """A source's mismatches and the end of its exclusion (`time.monotonic`). Each verified block offsets one."""

    count: int = 0
    until: float = 0.0
    last: str = ""

    def add(self, reason: str) -> None:
        """Exclude the source, twice as long as the last time."""
        now = time.monotonic()
        if now >= self.until:  # count concurrent responses once
            self.until = now + min(_MAX_EXCLUSION_S, _MIN_EXCLUSION_S * 2.0 ** min(self.count, 16))
            self.count, self.last = self.count + 1, reason


class Fetcher:
    """Fetches into ``cache`` from ``sources``, whose names must be distinct. Thread-safe.

    Sources are tried in order. If one has not responded after ``stagger_s`` seconds, the next is asked as well; the
    first verified block wins. ``timeout_s`` bounds one block over all sources, ``deadline_s`` a whole directory.
    ``parallel`` blocks are in flight at a time, so memory use is at most ``3 · parallel`` blocks.
    """

    def __init__(
        self,
        cache: BlockStore,
        sources: Sequence[Source] = (),
        *,
        timeout_s: float = 30.0,
        deadline_s: float = 600.0,
        stagger_s: float = 1.0,
        parallel: int = 4,
    ) -> None:
        self.cache = cache
        self._sources = tuple(sources)
        self._timeout_s = timeout_s
        self._deadline_s = deadline_s
        self._stagger_s = stagger_s
        self._parallel = parallel
        self._penalties: dict[str, _SourcePenalty] = {}
        self._failed_at: dict[str, float] = {}
        self._state = threading.Lock()
        # one pool per source: a source that hangs does not block the others
        self._pools = {source.name: ThreadPoolExecutor(parallel, "ipfs-source") for source in self._sources}
        self._leaves = ThreadPoolExecutor(parallel, "ipfs-fetch")

    @property
    def dropped(self) -> Mapping[str, str]:
        """Sources that are excluded now for returning wrong bytes: the reason by name."""
        now = time.monotonic()
        with self._state:
            return MappingProxyType(
                {name: penalty.last for name, penalty in self._penalties.items() if penalty.until > now}
            )

    def fetch(self, cid: Cid, limits: Limits = DEFAULT_LIMITS) -> Plan:
        """Fetch a complete directory or file into the cache, unpinned, and return its plan.

        Raises `InvalidContent` or `LimitExceeded` as soon as the content is known to be bad (no leaf is requested
        before its whole tree is known to be within ``limits``), `NotFound` if no source has a block, `SourceError` if
        no source responded in time, `StoreFull` if the cache's quota is too small.
        """
        contents = self._fetch(cid, limits)
        self.cache.unpin_partial(cid)
        return contents

    def _fetch(self, cid: Cid, limits: Limits) -> Plan:
        """Like `fetch`, but keep the partial pin."""
        deadline = time.monotonic() + self._deadline_s
        self.cache.pin_partial(cid)
        try:
            contents = plan(cid, lambda block_cid: self._block(block_cid, deadline), limits)
            self._fetch_leaves(contents, deadline)
        except InvalidContent:  # no retry can help: the fetched blocks are garbage
            self.cache.unpin_partial(cid)
            raise
        return contents

    def _fetch_leaves(self, contents: Plan, deadline: float) -> None:
        leaves = dict.fromkeys(leaf for file in contents.files for leaf in file.leaves)
        self.cache.reserve(sum(leaf.size for leaf in leaves if self.cache.block_size(leaf.cid) is None))
        pending: deque[Future[None]] = deque()
        try:
            for leaf in leaves:
                pending.append(self._leaves.submit(self._fetch_leaf, leaf, deadline))
                if len(pending) >= 2 * self._parallel:
                    pending.popleft().result()
            while pending:
                pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()

    def get_directory(self, cid: Cid, dest: str | Path, limits: Limits = DEFAULT_LIMITS) -> Path:
        """`fetch`, then write the files to ``dest``, which must not exist, atomically."""
        write_directory(self.fetch(cid, limits), self.get_block, Path(dest))
        return Path(dest)

    def read(self, cid: Cid, name: str = "", max_bytes: int = 1 << 20) -> bytes:
        """Read one small file of a directory, fetching only its blocks. Raises `LimitExceeded` above ``max_bytes``."""
        file = plan_file(cid, name, self.get_block, Limits(max_bytes))
        return b"".join(read_file(file, self.get_block))

    def pin(self, cid: Cid, name: str = "", limits: Limits = DEFAULT_LIMITS) -> None:
        """`fetch` and pin."""
        self._fetch(cid, limits)
        self.cache.pin(cid, name)  # replaces the partial pin, so the content is pinned throughout

    def get_block(self, cid: Cid) -> bytes:
        """Return a verified block from the cache or a source, and cache it."""
        return self._block(cid, time.monotonic() + self._timeout_s)

    def close(self) -> None:
        """Stop the fetcher's threads without waiting for sources that hang. Sources and the cache stay open."""
        self._leaves.shutdown(cancel_futures=True)
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _fetch_leaf(self, leaf: Leaf, deadline: float) -> None:
        read_leaf(leaf, lambda cid: self._block(cid, deadline))

    def _block(self, cid: Cid, deadline: float) -> bytes:
        try:
            return self.cache.get_local(cid)
        except NotFound:
            pass
        except CorruptBlock as error:
            log.warning("%s", error)
            self.cache.delete_block(cid)
        block = self._race(cid, min(deadline, time.monotonic() + self._timeout_s))
        self.cache.put_block(cid, block)
        return block

    def _usable_sources(self) -> list[Source]:
        """Sources that are not excluded, in order, with those whose last response was an error at the end."""
        dropped = self.dropped
        with self._state:
            usable = [source for source in self._sources if source.name not in dropped]
            return sorted(usable, key=lambda source: self._failed_at.get(source.name, 0.0))

    def _race(self, cid: Cid, deadline: float) -> bytes:
        waiting = deque(self._usable_sources())
        reason = "no time was left" if waiting else "every source is excluded for returning wrong bytes"
        running: dict[Future[bytes], Source] = {}
        failures: list[IpfsError] = []
        while waiting or running:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            if waiting and len(running) < _RACERS:
                source = waiting.popleft()
                running[self._pools[source.name].submit(source.get_block, cid, left)] = source
            stagger = self._stagger_s if waiting and len(running) < _RACERS else left
            done, _ = wait(running, timeout=min(left, stagger), return_when=FIRST_COMPLETED)
            for future in done:
                source = running.pop(future)
                try:
                    block = future.result()
                    if not cid.matches(block):  # sources are not trusted to check
                        raise MismatchedBlock(f"{source.name} returned bytes that do not match {cid}")
                    self._succeeded(source, slower=running.values())
                    return block
                except IpfsError as error:
                    self._failed(source, error)
                    failures.append(error)
        if not failures and not running:
            if self._sources:
                raise SourceError(f"{cid} could not be fetched: {reason}")
            raise NotFound(f"{cid} is not stored here and no source is configured")
        if running:
            names = ", ".join(source.name for source in running.values())
            failures.append(SourceError(f"no answer in time from {names}"))
        kind = NotFound if all(isinstance(error, NotFound) for error in failures) else SourceError
        raise kind(f"{cid} could not be fetched: {'; '.join(map(str, failures))}")

    def _succeeded(self, source: Source, slower: Iterable[Source]) -> None:
        """Record the first response; slower sources are tried last next time, like those that failed."""
        with self._state:
            self._failed_at.pop(source.name, None)
            if (penalty := self._penalties.get(source.name)) is not None:
                penalty.count = max(0, penalty.count - 1)
            for other in slower:
                self._failed_at[other.name] = time.monotonic()

    def _failed(self, source: Source, error: IpfsError) -> None:
        with self._state:
            if isinstance(error, MismatchedBlock):
                penalty = self._penalties.setdefault(source.name, _SourcePenalty())
                level = logging.DEBUG if penalty.count else logging.WARNING
                log.log(level, "source excluded for wrong bytes: %s", error)
                penalty.add(str(error))
                self._failed_at[source.name] = time.monotonic()
            elif not isinstance(error, NotFound):
                self._failed_at[source.name] = time.monotonic()
