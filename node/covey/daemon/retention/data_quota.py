"""Room in the data folder: the oldest of what can be had again goes when a quota is reached.

    entries/<network>/<task>      adapters trained here; once published, the store keeps them too
    fetched/<network>/<task>      strangers' entries while their task runs
    work/…                        half-done training runs and workers' logs
    bases/models--<org>--<name>   base models from the hub (the hub client's own layout)

What a running task may need, what is promised, and the base of a running task never go. The journal, the secrets and
the block store are not counted: the first two must stay, the store has a quota of its own.
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
"""Folder under the data folder that downloaded bases lie in."""
_ROOM = 0.9  # share of the quota that is made room down to


@dataclass(frozen=True, slots=True)
class InUse:
    """What must stay: numbers of tasks that run or whose entry is promised, on this network; names of hub bases."""

    network: str
    tasks: Container[int]
    bases: Container[str]


@dataclass(frozen=True, slots=True)
class _Item:
    used_at: float  # this machine's clock
    bytes: int
    path: Path
    free: bool


class DataQuota:
    """The room of one node: at most `quota` bytes below `data_dir`, but for what is in use."""

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

    def in_use(self, world: ChainState, promised: Iterable[int]) -> InUse:
        """What must stay now, `promised` being the tasks of what is promised. From the loop's thread."""
        running = {task.id for task in world.running()}
        digests = {spec.base.digest for task, spec in self._specs.items() if task in running}
        names = {name for name in self._names if self._bases.known(name) in digests}
        return InUse(self._network, running | set(promised), names)

    def make(self, in_use: InUse) -> tuple[int, int]:
        """(bytes that count, bytes freed), see `make_room`."""
        return make_room(self._data_dir, self.quota, in_use)


def make_room(data_dir: Path, quota: int, in_use: InUse) -> tuple[int, int]:
    """(bytes that count, bytes freed). Nothing is touched below the quota; above it, the oldest that is free goes."""
    items = sorted(_items(data_dir, in_use), key=lambda item: item.used_at)
    total = sum(item.bytes for item in items)
    if total <= quota:
        return total, 0
    freed = 0
    for item in items:
        if total - freed <= _ROOM * quota:
            break
        if item.free:
            _remove(item.path)
            freed += item.bytes
            log.info("room made", extra={"path": str(item.path.relative_to(data_dir)), "bytes": item.bytes})
    return total - freed, freed


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
            mine = network.name == in_use.network and number.isdecimal() and int(number) in in_use.tasks
            yield _item(path, not mine)
    for path in _folders(data_dir / BASES):
        name = path.name.removeprefix("models--").replace("--", "/", 1)
        yield _item(path, path.name.startswith("models--") and name not in in_use.bases)


def _folders(path: Path) -> list[Path]:
    return [one for one in path.iterdir() if one.is_dir() and not one.is_symlink()] if path.is_dir() else []


def _item(path: Path, free: bool) -> _Item:
    """Size and last use; the hub's layout holds each file once, with links to it."""
    used_at, size = 0.0, 0
    for one in [path, *path.rglob("*")]:
        try:
            told = one.lstat()
        except OSError:  # it went meanwhile
            continue
        size += told.st_blocks * 512
        used_at = max(used_at, told.st_mtime)
    return _Item(used_at, size, path, free)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
