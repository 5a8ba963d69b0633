"""Keeps the data folder within its quota by evicting the oldest files that can be produced or downloaded again.

    entries/<network>/<task>      adapters trained here; once published, the store has them too
    fetched/<network>/<task>      other operators' entries, while their task runs
    work/…                        unfinished training runs and worker logs
    bases/models--<org>--<name>   base models from the hub (the hub client's own layout)

Files of running tasks and of retained content, and bases of running tasks, are never evicted. The journal, the secrets
and the block store do not count: the first two must stay, and the store has its own quota.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from covey.daemon.state.world import ChainState
from covey.daemon.workers.base_digests import BaseDigests
from covey.protocol.spec import TaskSpec

log = logging.getLogger("covey.daemon")

BASES = "bases"
"""Subfolder of the data folder with downloaded bases."""
_TARGET = 0.9  # share of the quota that an eviction goes down to


@dataclass(frozen=True, slots=True)
class InUse:
    """What must not be evicted: tasks of this network that run or have retained content, and names of hub bases."""

    network: str
    tasks: Container[int]
    bases: Container[str]


@dataclass(frozen=True, slots=True)
class Usage:
    """Size of the data folder after an eviction, and the bytes evicted."""

    total_bytes: int
    evicted_bytes: int


@dataclass(frozen=True, slots=True)
class _Item:
    used_at: float  # local clock
    bytes: int
    path: Path
    evictable: bool


class DataQuota:
    """The quota of one node's data folder: at most `quota` bytes, unless more is in use."""

    def __init__(
        self,
        data_dir: Path,
        quota: int,
        network: str,
        names: Sequence[str],
        bases: BaseDigests,
        specs: Mapping[int, TaskSpec],
    ) -> None:
        self.quota = quota
        self._data_dir = data_dir
        self._network = network
        self._names = names
        self._bases = bases
        self._specs = specs

    def in_use(self, state: ChainState, retained: Iterable[int]) -> InUse:
        """What must not be evicted now. `retained`: tasks with retained content. Called in the main loop's thread."""
        running = {task.id for task in state.running()}
        digests = {spec.base.digest for task, spec in self._specs.items() if task in running}
        names = {name for name in self._names if self._bases.known(name) in digests}
        return InUse(self._network, running | set(retained), names)

    def evict(self, in_use: InUse) -> Usage:
        """See the function `evict`."""
        return evict(self._data_dir, self.quota, in_use)


def evict(data_dir: Path, quota: int, in_use: InUse) -> Usage:
    """Evict the oldest items that are not in use, if the folder exceeds `quota` bytes."""
    items = sorted(_items(data_dir, in_use), key=lambda item: item.used_at)
    total = sum(item.bytes for item in items)
    if total <= quota:
        return Usage(total, 0)
    evicted = 0
    for item in items:
        if total - evicted <= _TARGET * quota:
            break
        if item.evictable:
            _remove(item.path)
            evicted += item.bytes
            log.info("evicted", extra={"path": str(item.path.relative_to(data_dir)), "bytes": item.bytes})
    return Usage(total - evicted, evicted)


def _items(data_dir: Path, in_use: InUse) -> Iterator[_Item]:
    for kind in ("entries", "fetched"):
        for network in _folders(data_dir / kind):
            for path in _folders(network):
                task = int(path.name) if path.name.isdecimal() else -1
                yield _item(path, network.name != in_use.network or task not in in_use.tasks)
    for network in _folders(data_dir / "work"):
        if network.name == "logs":
            for file in network.iterdir():
                yield _item(file, True)
            continue
        for path in _folders(network):
            number = path.name.removeprefix("entry-")
            needed = network.name == in_use.network and number.isdecimal() and int(number) in in_use.tasks
            yield _item(path, not needed)
    for path in _folders(data_dir / BASES):
        name = path.name.removeprefix("models--").replace("--", "/", 1)
        yield _item(path, path.name.startswith("models--") and name not in in_use.bases)


def _folders(path: Path) -> list[Path]:
    return [child for child in path.iterdir() if child.is_dir() and not child.is_symlink()] if path.is_dir() else []


def _item(path: Path, evictable: bool) -> _Item:
    """Size and last use. The hub's layout stores each file once and links to it, so links count as links."""
    used_at, size = 0.0, 0
    for part in [path, *path.rglob("*")]:
        try:
            stat = part.lstat()
        except OSError:  # removed meanwhile
            continue
        size += stat.st_blocks * 512
        used_at = max(used_at, stat.st_mtime)
    return _Item(used_at, size, path, evictable)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
