"""What the chain said, folded: one Task a task, rebuilt from the journal's events and kept up with each new one."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from covey.chain.errors import Unreachable
from covey.daemon.state.appeal import Appeal, Contest
from covey.daemon.state.committee import Committee, RevealedScores, SettledPage
from covey.daemon.state.folds import FOLDS
from covey.daemon.state.task import Entry, Task
from covey.protocol.types import Outcome

__all__ = [
    "Appeal",
    "ChainState",
    "Committee",
    "Contest",
    "Entry",
    "EventLike",
    "EventMissing",
    "RevealedScores",
    "SettledPage",
    "Task",
]


class EventMissing(Unreachable):
    """An event does not follow from those before it: one was left out, or one was invented."""

    def __init__(self, name: str, task: int) -> None:
        super().__init__(f"{name} of task {task} does not follow from the events before it")
        self.task = task


class EventLike(Protocol):
    """What a fold needs of an event; the follower's and the journal's both have it."""

    @property
    def contract(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def args(self) -> Mapping[str, Any]: ...


class ChainState:
    """All tasks, and what accounts are owed. `apply` folds one event; the order must be the chain's. It raises
    EventMissing for an event that cannot follow those before it.

    `past` holds what is left of tasks that ended and that nobody here has anything to do with any more, see
    `covey.daemon.state.pruning`; events about them change nothing.
    """

    def __init__(self) -> None:
        self.tasks: dict[int, Task] = {}
        self.past: dict[int, Task] = {}
        self.owed: dict[str, int] = {}
        self.slash_shares: dict[str, int] = {}  # what Staking owes: reporters' parts of slashes
        self.appeal_bonds: dict[str, int] = {}  # what Appeals owes: bonds and premiums

    def apply(self, event: EventLike) -> None:
        fold = FOLDS.get((event.contract, event.name))
        if fold is None or event.args.get("taskId") in self.past:
            return
        try:
            fold(self, event.args)
        except (KeyError, IndexError, AssertionError) as error:
            raise EventMissing(event.name, int(event.args.get("taskId", 0))) from error

    def branch(self, events: Iterable[EventLike]) -> ChainState:
        """This world with some more events on top. It shares what they do not touch, and stays as it is itself."""
        ahead = ChainState()
        ahead.tasks, ahead.past, ahead.owed = dict(self.tasks), self.past, dict(self.owed)
        ahead.slash_shares, ahead.appeal_bonds = dict(self.slash_shares), dict(self.appeal_bonds)
        own: set[int] = set()
        for event in events:
            task = event.args.get("taskId")
            if task in ahead.tasks and task not in own:
                ahead.tasks[task] = copy.deepcopy(ahead.tasks[task])
                own.add(task)
            ahead.apply(event)
        return ahead

    def running(self) -> list[Task]:
        return [task for task in self.tasks.values() if task.outcome == Outcome.RUNNING]
