"""Drops ended tasks from memory, except the entries that a look-back for near-copies compares with.

The number of ended tasks is unbounded. Once a task has ended and the node has nothing left to do in it, its rows, pages
and enrolments are dropped. The digests of its first `LOOK_BACK` entries stay, because a later task for the same base
compares its entries with them. The journal keeps every event.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from covey.daemon.state.task import Task
from covey.daemon.state.world import ChainState
from covey.protocol.types import Outcome

LOOK_BACK = 64
"""Maximum number of earlier entries that a new entry is compared with."""


def has_part(task: Task, operator: str) -> bool:
    """Whether an operator entered the task or enrolled for it."""
    return operator in task.entries or operator in task.enrolled


def prune(state: ChainState, keep: Callable[[Task], bool]) -> list[int]:
    """Move ended tasks for which `keep` is false from `state.tasks` to `state.past`. Returns their numbers."""
    ended = [task for task in state.tasks.values() if task.outcome != Outcome.RUNNING and not keep(task)]
    for task in ended:
        del state.tasks[task.id]
        state.past[task.id] = _strip(task)
    if ended:
        _drop_unreachable_entries(state)
    return [task.id for task in ended]


def _strip(task: Task) -> Task:
    """The task with its first revealed entries only."""
    lanes = task.lanes[:LOOK_BACK]
    entries = {entry.operator: replace(entry, commitment=b"") for entry in lanes}
    return Task(task.id, task.creator, task.params, task.schedule, task.outcome, entries=entries)


def _drop_unreachable_entries(state: ChainState) -> None:
    """Drop entries that no look-back can reach: those behind `LOOK_BACK` newer entries of the same spec (so base).

    A running task looks back at entries revealed before its own commit window closed, so an entry counts only if every
    running task can see it. The tasks stay in `past` without entries, so that late events about them are recognised.
    """
    horizon = min((task.schedule.entry_commit_end for task in state.running()), default=None)
    seen: Counter[bytes] = Counter()
    for number in sorted(state.past, reverse=True):
        task = state.past[number]
        spec = task.params.spec_digest
        if seen[spec] >= LOOK_BACK:
            task.entries.clear()
        elif horizon is None or task.schedule.entry_reveal_end <= horizon:
            seen[spec] += len(task.entries)
