"""Entries of earlier tasks for the same base: what was shown before this task's commits closed cannot be sold again.

Which tasks count is read off the chain alone, so that all validators look back at the same entries: those whose reveals
were over when this task's commits closed, the newest `LOOK_BACK` of them. One that no source has any more is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from covey.daemon.context import Context, Waiting
from covey.daemon.duties.fetching import fetch_entry, limits_of
from covey.daemon.duties.specs import spec_of
from covey.daemon.state.pruning import LOOK_BACK
from covey.daemon.state.world import Entry, Task
from covey.protocol.spec import TaskSpec


@dataclass(frozen=True, slots=True)
class Earlier:
    """Folders of the entries that are here, newest first, and how many are still on their way."""

    folders: list[Path]
    coming: int


def fetch_earlier(ctx: Context, task: Task, spec: TaskSpec) -> Earlier:
    """One look at the earlier entries; what is not here yet is asked for in the background."""
    folders: list[Path] = []
    coming, seen = 0, 0
    for other in _candidates(ctx, task):
        if seen >= LOOK_BACK:
            break
        theirs = spec_of(ctx, other)
        if isinstance(theirs, Waiting) and ctx.background.pending(f"spec/{other.id}"):
            coming += 1
        if not isinstance(theirs, TaskSpec) or theirs.base.digest != spec.base.digest:
            continue
        for entry in other.lanes[: LOOK_BACK - seen]:
            seen += 1
            folder = ctx.folder("fetched", ctx.network, str(task.id), f"task-{other.id}-lane-{_content(entry)}")
            state = fetch_entry(ctx, entry, folder, limits_of(spec), once=True)
            if state is None:
                folders.append(folder)
            elif state.coming:
                coming += 1
    return Earlier(folders, coming)


def _content(entry: Entry) -> str:
    """Names an entry's files: its lane alone does not, after a reorganisation."""
    assert entry.digest is not None
    return f"{entry.lane}-{entry.digest.hex()[:16]}"


def _candidates(ctx: Context, task: Task) -> Iterator[Task]:
    known = {**ctx.world.past, **ctx.world.tasks}
    for number in sorted(known, reverse=True):
        other = known[number]
        if number != task.id and other.schedule.entry_reveal_end <= task.schedule.entry_commit_end:
            yield other
