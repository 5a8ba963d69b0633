"""Keeping what this node published, and room for what it fetches.

What is published is promised: kept until its task ends and some days of chain time after that, in the store and at a
pinning service where one is named. Once in a while everything promised is read back, what need not be kept any longer
is unpinned, and the oldest of what was only fetched makes room. That round runs in a thread of its own, in which a
crash at any instruction does no harm.
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

_ROOM = 0.75  # share of the quota that a round collects down to, so that no fetch in a hurry has to
_FULL = 0.9  # share of the quota that, still used after that, is told: it is all pinned
_LOCK_WAIT_S = 5.0  # for whoever adds content just now
_RECHECK_S = 60.0  # to the next round after one that found something amiss


def label_of(task: int, what: str) -> str:
    """The name of a promise and its pins."""
    return f"task {task}: {what}"


def task_of(label: str) -> int | None:
    """The task in a label of `label_of`; None for any other."""
    match = re.match(r"task (\d+): ", label)
    return int(match[1]) if match else None


def open_keeper(config: NodeConfig, store: Store, fetcher: Fetcher) -> Keeper:
    """The keeper of the node's promises. Raises ConfigError or IpfsError for what the operator must mend."""
    token = token_of("pinning_token_file", config.pinning_token_file)
    services = []
    if config.pinning_service is not None and token is not None:
        services.append(PinningService(config.pinning_service, token))
    gateways = [GatewaySource(url) for url in config.retention_check_gateways]
    path = config.data_dir / "retained.json"
    return Keeper(store, path, services=services, gateways=gateways, fetch=fetcher.get_block)


@dataclass(frozen=True, slots=True)
class Kept:
    """What the last round found. `stored_bytes` and `quota_bytes` are those of the store that fetched blocks go to."""

    lapses: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    stored_bytes: int | None = None
    quota_bytes: int | None = None
    data_bytes: int | None = None
    """Entries, work files and bases in the data folder, see `covey.daemon.retention.data_quota`."""


class RetentionService:
    """Looks after `keeper`'s promises, kept `days` after their task's end, and the room in `cache` and `data`."""

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
        self._told: frozenset[tuple[str, str, str]] = frozenset()
        self.kept = Kept()

    @property
    def promised(self) -> int:
        """How many directories are promised now."""
        return len(self._keeper.retained())

    def tick(self, world: ChainState, now: int) -> None:
        """Give promises of ended tasks their end, and start a round where one is due; never waits for it.

        `world` is what is settled, `now` chain time. Raises OSError if promises cannot be written down.
        """
        for promise in self._keeper.retained():
            task = task_of(promise.label)
            if promise.keep_until is None and task in world.tasks and world.tasks[task].outcome != Outcome.RUNNING:
                with contextlib.suppress(NotFound):  # its pin failed meanwhile
                    self._keeper.settle(promise.cid, now, self._days)
        running = self._thread is not None and self._thread.is_alive()
        if not running and time.monotonic() >= self._next_at:
            in_use = None if self._data is None else self._data.in_use(world, self._promised_tasks())
            self._thread = threading.Thread(target=self.round, args=(now, in_use), name="keeping", daemon=True)
            self._thread.start()

    def _promised_tasks(self) -> set[int]:
        tasks = (task_of(promise.label) for promise in self._keeper.retained())
        return {task for task in tasks if task is not None}

    def round(self, now: int, in_use: InUse | None = None) -> None:
        """Release what is over, make room, check the rest. Tells what is wrong, and raises nothing."""
        problems: list[str] = []
        lapses: tuple[MissingPin, ...] = ()
        stored, data = self.kept.stored_bytes, self.kept.data_bytes
        try:
            if in_use is not None:
                data = self._make_data_room(in_use, problems)
            for promise in self._keeper.release(now):
                log.info("no longer kept", extra={"what": promise.label, "cid": str(promise.cid)})
            stored = self._make_room(problems)
            lapses = self._keeper.check()
            self._tell_new(lapses)
        except (IpfsError, OSError) as error:
            problems.append(f"what is promised cannot be checked: {error}")
        except Exception as error:  # a thread's last words would reach nobody
            log.exception("check of what is promised failed")
            problems.append(f"what is promised cannot be checked: {type(error).__name__}: {error}")
        told = tuple(_told(lapse) for lapse in lapses)
        pause = min(_RECHECK_S, self._every_s) if told or problems else self._every_s
        self._next_at = time.monotonic() + pause
        self.kept = Kept(told, tuple(problems), stored, self._cache.quota_bytes, data)

    def _make_data_room(self, in_use: InUse, problems: list[str]) -> int:
        assert self._data is not None
        total, freed = self._data.make(in_use)
        self._evicted(freed)
        if total > self._data.quota:
            problems.append(
                f"the data folder holds {total} bytes, all in use, and disk_quota is {self._data.quota}: raise it"
            )
        return total

    def _make_room(self, problems: list[str]) -> int:
        """Bytes stored after the oldest unpinned blocks made room; a store in use is left for the next round."""
        quota = self._cache.quota_bytes
        if quota is None:
            return self._cache.usage()
        try:
            if freed := self._cache.collect(int(_ROOM * quota), _LOCK_WAIT_S):
                log.info("room made", extra={"store": self._cache.name, "bytes": freed})
        except StoreBusy as error:
            log.info("no room made", extra={"reason": str(error)})
            return self._cache.usage()
        stored = self._cache.usage()
        if stored > _FULL * quota:
            told = f"{self._cache.name} holds {stored} bytes, nearly all pinned, and its quota is {quota}: raise it"
            problems.append(told)
        return stored

    def _tell_new(self, lapses: tuple[MissingPin, ...]) -> None:
        found = {(str(lapse.content.cid), lapse.where, lapse.reason): lapse for lapse in lapses}
        for key, lapse in found.items():
            if key not in self._told:
                told = {"what": lapse.content.label, "cid": key[0], "where": lapse.where, "reason": lapse.reason}
                log.warning("promised content lapsed", extra=told)
        self._told = frozenset(found)


def _told(lapse: MissingPin) -> str:
    return f"{lapse.content.label} ({lapse.content.cid}) at {lapse.where}: {lapse.reason}"
