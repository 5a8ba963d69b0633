"""What is kept in memory of tasks that are over: nothing but what a look back for near-copies needs.

A running task is small, but there is no end of ended ones. Once a task has ended and nothing is left to do in it, its
rows, pages and enrolments go; its first entries' digests stay, because a later task for the same base must compare its
entries with them, up to `LOOK_BACK` of them. The journal keeps every event, so nothing is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from covey.daemon.state.world import ChainState, Task
from covey.protocol.types import Outcome

LOOK_BACK = 64
"""Entries that are looked back at, at most."""


def has_part(task: Task, operator: str) -> bool:
    """Whether an operator entered the task or enrolled for it."""
    return operator in task.entries or operator in task.enrolled


def prune(world: ChainState, keep: Callable[[Task], bool]) -> list[int]:
    """Move ended tasks that `keep` does not hold from `world.tasks` to `world.past`; the numbers of those moved."""
    over = [task for task in world.tasks.values() if task.outcome != Outcome.RUNNING and not keep(task)]
    for task in over:
        del world.tasks[task.id]
        world.past[task.id] = _remains(task)
    if over:
        _forget_unreachable(world)
    return [task.id for task in over]


def _remains(task: Task) -> Task:
    lanes = task.lanes[:LOOK_BACK]
    entries = {entry.operator: replace(entry, commitment=b"") for entry in lanes}
    return Task(task.id, task.creator, task.params, task.schedule, task.outcome, entries=entries)


def _forget_unreachable(world: ChainState) -> None:
    """Strip entries that no look back can come to: behind `LOOK_BACK` newer ones of the very same spec, and so base.

    Running tasks look back at what was revealed before their own commits closed, so only entries that all of them may
    see count. Tasks stay known by number, without entries, so that late events about them are understood.
    """
    horizon = min((task.schedule.entry_commit_end for task in world.running()), default=None)
    seen: Counter[bytes] = Counter()
    for number in sorted(world.past, reverse=True):
        task = world.past[number]
        spec = task.params.spec_digest
        if seen[spec] >= LOOK_BACK:
            task.entries.clear()
        elif horizon is None or task.schedule.entry_reveal_end <= horizon:
            seen[spec] += len(task.entries)
