"""Fetching without trust: sources raced block by block, every block checked, every limit kept before the bytes.

Blocks go into an embedded store as they arrive, so a fetch that is cut off goes on where it stopped. A source that
answers with other bytes than the CID says is named and not asked for a while that doubles with each lie: a liar costs
next to nothing, and whoever sits behind a broken middlebox for a minute is not given up.
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
from covey.ipfs.errors import CorruptBlock, InvalidContent, IpfsError, LyingSource, NotFound, SourceError
from covey.ipfs.store import Source

log = logging.getLogger(__name__)

_RACERS: Final = 3  # sources asked for one block at a time, at most
_FIRST_REST_S: Final = 5.0
_LONGEST_REST_S: Final = 3600.0


@dataclass(slots=True)
class _SourcePenalty:
    """What a source did, and until when it is not asked, `time.monotonic`. Each verified block takes one lie back."""

    count: int = 0
    until: float = 0.0
    last: str = ""

    def told(self, lie: str) -> None:
        now = time.monotonic()
        if now >= self.until:  # not one more of several answers that were on their way together
            self.until = now + min(_LONGEST_REST_S, _FIRST_REST_S * 2.0 ** min(self.count, 16))
            self.count, self.last = self.count + 1, lie


class Fetcher:
    """Fetches into ``cache`` from ``sources`` (of distinct names), tried in order: one that has not answered after
    ``stagger_s`` seconds is joined by the next, and the first verified block wins. Safe in many threads.

    ``timeout_s`` bounds one block over all sources, ``deadline_s`` a whole directory; ``parallel`` blocks are in
    flight at a time, so memory is at most ``3 · parallel`` blocks.
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
        self._lies: dict[str, _SourcePenalty] = {}
        self._failed_at: dict[str, float] = {}
        self._state = threading.Lock()
        # a pool a source: one that hangs holds up nobody else
        self._pools = {source.name: ThreadPoolExecutor(parallel, "ipfs-source") for source in self._sources}
        self._leaves = ThreadPoolExecutor(parallel, "ipfs-fetch")

    @property
    def dropped(self) -> Mapping[str, str]:
        """Sources that are not asked now because they lied, by name, with what they did."""
        now = time.monotonic()
        with self._state:
            return MappingProxyType({name: lies.last for name, lies in self._lies.items() if lies.until > now})

    def fetch(self, cid: Cid, limits: Limits = DEFAULT_LIMITS) -> Plan:
        """Bring all of a directory or file into the cache, unpinned, and return its plan.

        Raises `InvalidContent` or `LimitExceeded` as soon as the content shows itself to be bad (no leaf is asked for
        before its whole tree is known to be within ``limits``), `NotFound` if no source has a block, `SourceError` if
        none could be asked in time, `StoreFull` if the cache's quota is too small.
        """
        contents = self._fetch(cid, limits)
        self.cache.unpin_partial(cid)
        return contents

    def _fetch(self, cid: Cid, limits: Limits) -> Plan:
        """As `fetch`, but a partial pin stays."""
        deadline = time.monotonic() + self._deadline_s
        self.cache.pin_partial(cid)
        try:
            contents = plan(cid, lambda wanted: self._block(wanted, deadline), limits)
            self._fetch_leaves(contents, deadline)
        except InvalidContent:  # no later try can help: what has arrived is garbage
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
        """`fetch`, then write the files to ``dest``, a path that must not exist; it appears whole or not at all."""
        write_directory(self.fetch(cid, limits), self.get_block, Path(dest))
        return Path(dest)

    def read(self, cid: Cid, name: str = "", max_bytes: int = 1 << 20) -> bytes:
        """One small file of a directory; only its own blocks are fetched. Raises `LimitExceeded` past ``max_bytes``."""
        file = plan_file(cid, name, self.get_block, Limits(max_bytes))
        return b"".join(read_file(file, self.get_block))

    def pin(self, cid: Cid, name: str = "", limits: Limits = DEFAULT_LIMITS) -> None:
        """`fetch`, and keep it."""
        self._fetch(cid, limits)
        self.cache.pin(cid, name)  # takes the place of the partial pin, so there is no moment without one

    def get_block(self, cid: Cid) -> bytes:
        """One verified block, from the cache or a source; kept in the cache."""
        return self._block(cid, time.monotonic() + self._timeout_s)

    def close(self) -> None:
        """Stop the fetcher's threads, without waiting for sources that hang; sources and the cache stay open."""
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

    def _live(self) -> list[Source]:
        """Sources that do not rest for a lie, in their order, but those whose last answer was an error come last."""
        dropped = self.dropped
        with self._state:
            live = [source for source in self._sources if source.name not in dropped]
            return sorted(live, key=lambda source: self._failed_at.get(source.name, 0.0))

    def _race(self, cid: Cid, deadline: float) -> bytes:
        waiting = deque(self._live())
        asked = "no time was left" if waiting else "every source was dropped for a while for lying"
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
                    if not cid.matches(block):  # a source is not trusted to have checked
                        raise LyingSource(f"{source.name} answered other bytes than {cid}")
                    self._won(source, overtaken=running.values())
                    return block
                except IpfsError as error:
                    self._failed(source, error)
                    failures.append(error)
        if not failures and not running:
            if self._sources:
                raise SourceError(f"{cid} could not be fetched: {asked}")
            raise NotFound(f"{cid} is not here and there is no source to ask")
        if running:
            names = ", ".join(source.name for source in running.values())
            failures.append(SourceError(f"no answer in time from {names}"))
        kind = NotFound if all(isinstance(error, NotFound) for error in failures) else SourceError
        raise kind(f"{cid} could not be fetched: {'; '.join(map(str, failures))}")

    def _won(self, source: Source, overtaken: Iterable[Source]) -> None:
        """Note who was first; whoever it has overtaken comes last next time, like one that failed."""
        with self._state:
            self._failed_at.pop(source.name, None)
            if (lies := self._lies.get(source.name)) is not None:
                lies.count = max(0, lies.count - 1)
            for slow in overtaken:
                self._failed_at[slow.name] = time.monotonic()

    def _failed(self, source: Source, error: IpfsError) -> None:
        with self._state:
            if isinstance(error, LyingSource):
                lies = self._lies.setdefault(source.name, _SourcePenalty())
                log.log(logging.DEBUG if lies.count else logging.WARNING, "dropping a lying source: %s", error)
                lies.told(str(error))
                self._failed_at[source.name] = time.monotonic()
            elif not isinstance(error, NotFound):
                self._failed_at[source.name] = time.monotonic()
