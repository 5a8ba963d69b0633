"""Keeps published content available, and limits the space of fetched content.

Published content is retained until its task ends and for some days of chain time after that, in the store and at a
pinning service if one is set. A periodic check in its own thread reads all retained content back, unpins what has
expired and evicts the oldest fetched content. A crash at any point of a check does no harm.
"""

from __future__ import annotations

import contextlib
import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from covey.config.credentials import token_of
from covey.config.node import NodeConfig
from covey.daemon.retention.data_quota import DataQuota, InUse
from covey.daemon.state.world import ChainState
from covey.ipfs import BlockStore, Fetcher, GatewaySource, IpfsError, NotFound, Store, StoreBusy
from covey.ipfs.keeper import Keeper, MissingPin
from covey.ipfs.pinning import PinningService
from covey.protocol.types import Outcome

log = logging.getLogger("covey.daemon")

_TARGET = 0.75  # share of the store's quota that a check collects down to, so that an urgent fetch need not collect
_FULL = 0.9  # share of the quota that, still used after collecting, is reported: nearly all of it is pinned
_LOCK_WAIT_S = 5.0  # wait for the lock of a store to which content is being added
_RECHECK_S = 60.0  # interval after a check that found a problem


def label_of(task: int, what: str) -> str:
    """The label of retained content and of its pins."""
    return f"task {task}: {what}"


def task_of(label: str) -> int | None:
    """The task number in a label made by `label_of`; None for any other label."""
    match = re.match(r"task (\d+): ", label)
    return int(match[1]) if match else None


def open_keeper(config: NodeConfig, store: Store, fetcher: Fetcher) -> Keeper:
    """Open the list of retained content. Raises ConfigError or IpfsError for what the operator must fix."""
    token = token_of("pinning_token_file", config.pinning_token_file)
    services = []
    if config.pinning_service is not None and token is not None:
        services.append(PinningService(config.pinning_service, token))
    gateways = [GatewaySource(url) for url in config.retention_check_gateways]
    path = config.data_dir / "retained.json"
    return Keeper(store, path, services=services, gateways=gateways, fetch=fetcher.get_block)


@dataclass(frozen=True, slots=True)
class RetentionReport:
    """Findings of the last check. `stored_bytes` and `quota_bytes` are of the store that holds fetched blocks."""

    missing_pins: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    stored_bytes: int | None = None
    quota_bytes: int | None = None
    data_bytes: int | None = None
    """Size of the data folder, see `covey.daemon.retention.data_quota`."""


class RetentionService:
    """Checks `keeper`'s content periodically, and enforces the quotas of `cache` and `data`.

    Args:
        days: how long content is retained after its task's end, days of chain time.
        every_s: seconds between checks.
        evicted: called with the number of bytes evicted from the data folder.
    """

    def __init__(
        self,
        keeper: Keeper,
        cache: BlockStore,
        *,
        days: float,
        every_s: float,
        data: DataQuota | None = None,
        evicted: Callable[[int], object] = int,
    ) -> None:
        self._data = data
        self._evicted = evicted
        self._keeper = keeper
        self._cache = cache
        self._days = days
        self._every_s = every_s
        self._next_at = 0.0
        self._thread: threading.Thread | None = None
        self._logged: frozenset[tuple[str, str, str]] = frozenset()
        self.report = RetentionReport()

    @property
    def retained(self) -> int:
        """Number of directories that are retained now."""
        return len(self._keeper.retained())

    def tick(self, state: ChainState, now: int) -> None:
        """Set the expiry of ended tasks' content, and start a check if one is due, without waiting for it.

        Args:
            state: the settled state.
            now: chain time.

        Raises:
            OSError: the list of retained content cannot be written.
        """
        for content in self._keeper.retained():
            task = task_of(content.label)
            if content.keep_until is None and task in state.tasks and state.tasks[task].outcome != Outcome.RUNNING:
                with contextlib.suppress(NotFound):  # its pin failed meanwhile
                    self._keeper.settle(content.cid, now, self._days)
        running = self._thread is not None and self._thread.is_alive()
        if not running and time.monotonic() >= self._next_at:
            in_use = None if self._data is None else self._data.in_use(state, self._retained_tasks())
            self._thread = threading.Thread(target=self.check, args=(now, in_use), name="retention", daemon=True)
            self._thread.start()

    def _retained_tasks(self) -> set[int]:
        tasks = (task_of(content.label) for content in self._keeper.retained())
        return {task for task in tasks if task is not None}

    def check(self, now: int, in_use: InUse | None = None) -> None:
        """Unpin expired content, evict, and verify the rest. Problems go into `report`; nothing is raised."""
        problems: list[str] = []
        missing: tuple[MissingPin, ...] = ()
        stored, data = self.report.stored_bytes, self.report.data_bytes
        try:
            if in_use is not None and self._data is not None:
                data = self._evict_data(self._data, in_use, problems)
            for content in self._keeper.release(now):
                log.info("content released", extra={"what": content.label, "cid": str(content.cid)})
            stored = self._collect(problems)
            missing = self._keeper.check()
            self._log_new(missing)
        except (IpfsError, OSError) as error:
            problems.append(f"retained content cannot be checked: {error}")
        except Exception as error:  # otherwise it would end the thread unseen
            log.exception("retention check failed")
            problems.append(f"retained content cannot be checked: {type(error).__name__}: {error}")
        lines = tuple(_describe(pin) for pin in missing)
        pause = min(_RECHECK_S, self._every_s) if lines or problems else self._every_s
        self._next_at = time.monotonic() + pause
        self.report = RetentionReport(lines, tuple(problems), stored, self._cache.quota_bytes, data)

    def _evict_data(self, data: DataQuota, in_use: InUse, problems: list[str]) -> int:
        """Enforce the data folder's quota. Returns its size in bytes."""
        usage = data.evict(in_use)
        self._evicted(usage.evicted_bytes)
        if usage.total_bytes > data.quota:
            problems.append(
                f"the data folder holds {usage.total_bytes} bytes, all in use, and disk_quota is {data.quota}: raise it"
            )
        return usage.total_bytes

    def _collect(self, problems: list[str]) -> int:
        """Delete the oldest unpinned blocks. Returns the bytes still stored. Skips a store that is locked."""
        quota = self._cache.quota_bytes
        if quota is None:
            return self._cache.usage()
        try:
            if freed := self._cache.collect(int(_TARGET * quota), _LOCK_WAIT_S):
                log.info("blocks collected", extra={"store": self._cache.name, "bytes": freed})
        except StoreBusy as error:
            log.info("blocks not collected", extra={"reason": str(error)})
            return self._cache.usage()
        stored = self._cache.usage()
        if stored > _FULL * quota:
            problems.append(
                f"{self._cache.name} holds {stored} bytes, nearly all pinned, and its quota is {quota}: raise it"
            )
        return stored

    def _log_new(self, missing: tuple[MissingPin, ...]) -> None:
        """Log each missing pin once, until it is fixed."""
        found = {(str(pin.content.cid), pin.where, pin.reason): pin for pin in missing}
        for key, pin in found.items():
            if key not in self._logged:
                fields = {"what": pin.content.label, "cid": key[0], "where": pin.where, "reason": pin.reason}
                log.warning("pin missing", extra=fields)
        self._logged = frozenset(found)


def _describe(pin: MissingPin) -> str:
    return f"{pin.content.label} ({pin.content.cid}) at {pin.where}: {pin.reason}"
