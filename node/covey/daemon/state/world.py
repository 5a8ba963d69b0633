"""The state of all tasks and credits. Pure data: `covey.daemon.state.folds` applies events to it."""

from __future__ import annotations

from dataclasses import dataclass, field

from covey.daemon.state.appeal import Appeal, Contest
from covey.daemon.state.committee import Committee, RevealedScores, SettledPage
from covey.daemon.state.task import Entry, Task
from covey.protocol.types import Outcome

__all__ = [
    "Appeal",
    "ChainState",
    "Committee",
    "Contest",
    "Entry",
    "RevealedScores",
    "SettledPage",
    "Task",
]


@dataclass(slots=True)
class ChainState:
    """All tasks, and what the contracts owe each account.

    `past` holds ended tasks in which this node has nothing left to do, stripped to what a look-back needs; see
    `covey.daemon.state.pruning`.
    """

    tasks: dict[int, Task] = field(default_factory=dict)
    past: dict[int, Task] = field(default_factory=dict)
    owed: dict[str, int] = field(default_factory=dict)  # by Rewards, wei
    slash_shares: dict[str, int] = field(default_factory=dict)  # by Staking: reporters' shares of slashes, wei
    appeal_bonds: dict[str, int] = field(default_factory=dict)  # by Appeals: bonds, awards and tips, wei
    operators: int = 0  # registered with Staking so far

    def running(self) -> list[Task]:
        return [task for task in self.tasks.values() if task.outcome == Outcome.RUNNING]
