"""Fetches the entries of earlier tasks for the same base, because a copy of an entry revealed earlier earns nothing.

The choice of tasks depends on the chain alone, so that all validators compare with the same entries: the newest
`LOOK_BACK` entries of tasks whose reveals closed before this task's commits did. Entries that no source has any more
are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from covey.daemon.context import Context
from covey.daemon.duties.fetching import fetch_entry, limits_of
from covey.daemon.duties.outcomes import Waiting
from covey.daemon.duties.specs import spec_of
from covey.daemon.state.pruning import LOOK_BACK
from covey.daemon.state.task import RevealedEntry, Task
from covey.protocol.spec import TaskSpec


@dataclass(frozen=True, slots=True)
class EarlierEntries:
    """Folders of fetched entries, newest first, and the number of entries still being fetched."""

    folders: list[Path]
    pending: int


def fetch_earlier(ctx: Context, task: Task, spec: TaskSpec) -> EarlierEntries:
    """The state of the earlier entries. Missing ones are requested in the background."""
    folders: list[Path] = []
    pending, seen = 0, 0
    for other in _candidates(ctx, task):
        if seen >= LOOK_BACK:
            break
        other_spec = spec_of(ctx, other)
        if isinstance(other_spec, Waiting) and ctx.background.pending(f"spec/{other.id}"):
            pending += 1
        if not isinstance(other_spec, TaskSpec) or other_spec.base.digest != spec.base.digest:
            continue
        for entry in other.revealed_entries[: LOOK_BACK - seen]:
            seen += 1
            folder = ctx.folder("fetched", ctx.network, str(task.id), f"task-{other.id}-lane-{_content(entry)}")
            problem = fetch_entry(ctx, entry, folder, limits_of(spec), once=True)
            if problem is None:
                folders.append(folder)
            elif problem.pending:
                pending += 1
    return EarlierEntries(folders, pending)


def _content(entry: RevealedEntry) -> str:
    """Lane and digest. The lane alone does not identify the files after a reorganisation."""
    return f"{entry.lane}-{entry.digest.hex()[:16]}"


def _candidates(ctx: Context, task: Task) -> Iterator[Task]:
    known = {**ctx.state.past, **ctx.state.tasks}
    for number in sorted(known, reverse=True):
        other = known[number]
        if number != task.id and other.schedule.entry_reveal_end <= task.schedule.entry_commit_end:
            yield other
