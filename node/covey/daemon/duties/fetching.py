"""Fetches other operators' entries from any peer. Each block is verified against the CID, within the spec's limits."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from covey.daemon.context import Context, log
from covey.daemon.state.task import RevealedEntry, Task
from covey.daemon.workers.background import Pending
from covey.ipfs import Cid, CorruptBlock, InvalidContent, IpfsError, Limits, NotFound, SourceError, StoreBusy, StoreFull
from covey.ipfs.dag import DEFAULT_LIMITS
from covey.protocol.entry import ENTRY_FILES
from covey.protocol.spec import TaskSpec

_FAIR_ATTEMPTS = 3
"""Failed attempts, or multiples of `fetch_timeout_seconds`, after which an entry counts as missing. A node that starts
late in the window must not report an entry as unavailable when it has only started to fetch it."""
_SMALLEST_CHUNK = 256 << 10  # bytes in a block of a long file, as common IPFS tools cut it
_EXTRA_BYTES = 1 << 20  # for the adapter's configuration and its manifest


@dataclass(frozen=True, slots=True)
class Fetched:
    """Revealed entries by lane.

    Attributes:
        folders: fetched entries.
        invalid: the content itself breaks the rules, and why.
        missing: no source had the entry, and why.
        pending: requested too recently to count as missing.
        local_errors: this machine could not store the entry, which says nothing about the entry.
    """

    folders: dict[int, Path]
    invalid: dict[int, str]
    missing: dict[int, str]
    pending: dict[int, str] = field(default_factory=dict)
    local_errors: dict[int, str] = field(default_factory=dict)

    def complete(self, lanes: int) -> bool:
        """Whether every one of `lanes` entries is fetched or invalid."""
        return len(self.folders) + len(self.invalid) == lanes


@dataclass(frozen=True, slots=True)
class NotFetched:
    """Why an entry is not fetched: its content is `invalid`, it is `pending`, or this machine failed (`is_local`)."""

    reason: str
    invalid: bool = False
    pending: bool = False
    is_local: bool = False


def limits_of(spec: TaskSpec) -> Limits:
    """Maximum size and number of files of an entry."""
    size = spec.adapter.max_bytes + _EXTRA_BYTES
    blocks = max(DEFAULT_LIMITS.max_blocks, 2 * size // _SMALLEST_CHUNK)
    return Limits(max_bytes=size, max_files=len(ENTRY_FILES), max_blocks=blocks)


def fetch_entries(ctx: Context, task: Task, spec: TaskSpec) -> Fetched:
    """The state of all revealed entries. Missing ones are requested in the background, repeatedly."""
    fetched = Fetched({}, {}, {})
    for entry in task.revealed_entries:
        content = entry.digest.hex()[:16]  # a reorganisation can assign a lane to another entry
        folder = ctx.folder("fetched", ctx.network, str(task.id), f"{entry.lane}-{content}")
        match fetch_entry(ctx, entry, folder, limits_of(spec)):
            case None:
                fetched.folders[entry.lane] = folder
            case NotFetched(reason=reason, is_local=True):
                fetched.local_errors[entry.lane] = reason
            case NotFetched(reason=reason, pending=True):
                fetched.pending[entry.lane] = reason
            case NotFetched(reason=reason, invalid=invalid):
                (fetched.invalid if invalid else fetched.missing)[entry.lane] = reason
    return fetched


def fetch_entry(
    ctx: Context, entry: RevealedEntry, folder: Path, limits: Limits, *, once: bool = False
) -> NotFetched | None:
    """Fetch an entry into `folder`; None once it is there. `once`: do not retry when no source has it."""
    if folder.is_dir():
        return None
    name = str(folder.relative_to(ctx.config.data_dir))
    permanent = (InvalidContent, NotFound, SourceError) if once else (InvalidContent,)
    try:
        ctx.background.get(name, partial(_fetch, ctx, entry, folder, limits), permanent)
    except Pending:
        return NotFetched("being fetched", pending=once or is_recent(ctx, name))
    except InvalidContent as error:
        return NotFetched(str(error), invalid=True)
    except (CorruptBlock, StoreFull, StoreBusy, OSError) as error:  # most likely a full disk
        return NotFetched(f"cannot be stored here: {error}", pending=True, is_local=True)
    except IpfsError as error:
        return NotFetched(str(error), pending=not once and is_recent(ctx, name))
    return None


def is_recent(ctx: Context, name: str) -> bool:
    """Whether the content of this name was requested too recently to count as missing."""
    return not ctx.background.tried(name, _FAIR_ATTEMPTS, _FAIR_ATTEMPTS * ctx.config.fetch_timeout_seconds)


def _fetch(ctx: Context, entry: RevealedEntry, folder: Path, limits: Limits) -> None:
    ctx.fetcher.get_directory(Cid.directory(entry.digest), folder, limits)
    log.debug("entry fetched", extra={"lane": entry.lane, "operator": entry.operator})


def delete_fetched(ctx: Context, task: int) -> None:
    """Delete the entries fetched for a task that has ended."""
    ctx.background.forget(f"fetched/{ctx.network}/{task}/")
    shutil.rmtree(ctx.config.data_dir / "fetched" / ctx.network / str(task), ignore_errors=True)
