"""Getting strangers' entries: from any peer, block by block against the CID, within the spec's limits, for a while."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from covey.daemon.context import Context, log
from covey.daemon.state.world import Entry, Task
from covey.daemon.workers.background import Pending
from covey.ipfs import Cid, CorruptBlock, InvalidContent, IpfsError, Limits, NotFound, SourceError, StoreBusy, StoreFull
from covey.protocol.entry import ENTRY_FILES
from covey.protocol.spec import TaskSpec

_FAIR_TRIES = 3
"""Tries, or longest waits for one answer (`fetch_timeout_seconds`), after which an entry that has not come counts as
missing: a node that looks late in the window must not take what it has only begun to fetch for unavailable."""
_EXTRA_BYTES = 1 << 20  # for the adapter's configuration and its manifest


@dataclass(frozen=True, slots=True)
class Fetched:
    """Entries by lane. `bad`: the content itself breaks the rules. `missing`: no source had it yet, and why.

    `coming`: asked for too short a while ago to say so. `trouble`: why this machine could not take it, which says
    nothing about the entry.
    """

    folders: dict[int, Path]
    bad: dict[int, str]
    missing: dict[int, str]
    coming: dict[int, str] = field(default_factory=dict)
    trouble: dict[int, str] = field(default_factory=dict)

    def complete(self, lanes: int) -> bool:
        return len(self.folders) + len(self.bad) == lanes


@dataclass(frozen=True, slots=True)
class NotHere:
    """Why an entry is not here; `bad` where no source can help, because its content breaks the rules; `own` where the
    trouble is this machine's."""

    reason: str
    bad: bool = False
    coming: bool = False
    own: bool = False


def limits_of(spec: TaskSpec) -> Limits:
    """What is fetched of an entry at most."""
    return Limits(max_bytes=spec.adapter.max_bytes + _EXTRA_BYTES, max_files=len(ENTRY_FILES))


def fetch_entries(ctx: Context, task: Task, spec: TaskSpec) -> Fetched:
    """One look at all revealed entries; what is not here yet is asked for in the background, again and again."""
    found = Fetched({}, {}, {})
    for entry in task.lanes:
        assert entry.lane is not None
        assert entry.digest is not None
        content = entry.digest.hex()[:16]  # a reorganisation can give a lane to another entry
        folder = ctx.folder("fetched", ctx.network, str(task.id), f"{entry.lane}-{content}")
        match fetch_entry(ctx, entry, folder, limits_of(spec)):
            case None:
                found.folders[entry.lane] = folder
            case NotHere(reason=reason, own=True):
                found.trouble[entry.lane] = reason
            case NotHere(reason=reason, coming=True):
                found.coming[entry.lane] = reason
            case NotHere(reason=reason, bad=bad):
                (found.bad if bad else found.missing)[entry.lane] = reason
    return found


def fetch_entry(ctx: Context, entry: Entry, folder: Path, limits: Limits, *, once: bool = False) -> NotHere | None:
    """None once the entry's files are in `folder`. `once`: what no source has is not asked for again."""
    if folder.is_dir():
        return None
    name = str(folder.relative_to(ctx.config.data_dir))
    lasting = (InvalidContent, NotFound, SourceError) if once else (InvalidContent,)
    try:
        ctx.background.get(name, partial(_fetch, ctx, entry, folder, limits), lasting)
    except Pending:
        return NotHere("being fetched", coming=once or _is_new(ctx, name))
    except InvalidContent as error:
        return NotHere(str(error), bad=True)
    except (CorruptBlock, StoreFull, StoreBusy, OSError) as error:  # a full disk, most likely
        return NotHere(f"cannot be kept here: {error}", coming=True, own=True)
    except IpfsError as error:
        return NotHere(str(error), coming=not once and _is_new(ctx, name))
    return None


def _is_new(ctx: Context, name: str) -> bool:
    """Whether it was asked for too short a while ago to say that nobody has it."""
    return not ctx.background.tried(name, _FAIR_TRIES, _FAIR_TRIES * ctx.config.fetch_timeout_seconds)


def _fetch(ctx: Context, entry: Entry, folder: Path, limits: Limits) -> None:
    assert entry.digest is not None
    ctx.fetcher.get_directory(Cid.directory(entry.digest), folder, limits)
    log.debug("entry fetched", extra={"lane": entry.lane, "operator": entry.operator})


def drop_fetched(ctx: Context, task: int) -> None:
    """Free the disk of a task that is over."""
    ctx.background.forget(f"fetched/{ctx.network}/{task}/")
    shutil.rmtree(ctx.config.data_dir / "fetched" / ctx.network / str(task), ignore_errors=True)
