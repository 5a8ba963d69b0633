"""The windows of a new task: defaults that fit the network, the life of a task, and windows too short to be used."""

from __future__ import annotations

from covey.chain.contracts.bounds import RegistryConfig
from covey.protocol.types import Evaluation, TaskParams, Windows

NAMES = ("entry_commit", "enrol", "entry_reveal", "score_commit", "score_reveal", "settle")
"""The windows of a task with local evaluation, in order."""

_PARTS = {"entry_commit": 6, "enrol": 1, "entry_reveal": 1, "score_commit": 3, "score_reveal": 1, "settle": 2}
"""Lengths of the default windows in units of `_unit`."""
_LIFE_PARTS = 8 + 2 * 6
"""The life of a task with these windows, a second committee included, in the same unit."""
_LONGEST_UNIT = 3_600
_SHORTEST_USEFUL = {
    "entry_commit": 60, "enrol": 15, "entry_reveal": 15, "score_commit": 30, "score_reveal": 15, "settle": 60,
}  # fmt: skip
"""Seconds below which nodes with default settings miss a window, or decline the task (min_score_window_seconds)."""


def default_window(name: str, bounds: RegistryConfig, max_task_life: int) -> int:
    """The default length of a window, seconds: hours, or less where the network's tasks are short.

    A task with the default windows takes at most half of the longest life, unless the registry's minimums are longer.
    """
    unit = max(1, min(_LONGEST_UNIT, max_task_life // (2 * _LIFE_PARTS)))
    return max(int(getattr(bounds.min_windows, name)), _PARTS[name] * unit)


def life_of(params: TaskParams) -> int:
    """The longest time that a task can take, with a second committee and an appeal, seconds; see TaskBounds."""
    w = params.windows
    scoring = w.score_commit + w.score_reveal + w.settle
    life = w.entry_commit + w.enrol + w.entry_reveal + w.open + 2 * scoring
    if params.evaluation == Evaluation.SEALED:
        life += 2 * w.appeal + w.enrol + scoring
    return life


def unusable(windows: Windows) -> list[str]:
    """The windows in which nodes with default settings cannot act, each with the length they need, in words."""
    return [
        f"{name.replace('_', '-')} of {getattr(windows, name)} s (less than {least} s)"
        for name, least in _SHORTEST_USEFUL.items()
        if getattr(windows, name) < least
    ]


def timetable(windows: Windows, start: int) -> list[tuple[str, int, int]]:
    """(name, length, end) of each window of a task posted at `start`, if each step comes at the end of its window."""
    rows, end = [], start
    for name in NAMES:
        length = int(getattr(windows, name))
        end += length
        rows.append((name, length, end))
    return rows
