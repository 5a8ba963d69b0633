"""Reads tasks from the contracts at the newest block."""

from __future__ import annotations

from dataclasses import dataclass

from covey.audit.chain import Chain
from covey.client.errors import UnknownTask
from covey.protocol.types import Outcome, Schedule, TaskParams, TaskState
from covey.protocol.windows import Phase, phase


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task at the newest block.

    `params` are the creator's parameters, `schedule` the ends of its windows (chain time, unix seconds), `state` its
    counts and outcome. `deadline` is the end of the current phase, None for a phase without one.
    """

    id: int
    params: TaskParams
    schedule: Schedule
    state: TaskState
    phase: Phase
    deadline: int | None

    @property
    def running(self) -> bool:
        """True until the task has ended."""
        return self.state.outcome == Outcome.RUNNING


def read_task(chain: Chain, task_id: int) -> TaskView:
    """Read one task.

    Raises:
        UnknownTask: there is no task of this id.
    """
    contracts = chain.contracts
    registry = contracts.registry
    count = registry.task_count()
    if not 1 <= task_id <= count:
        raise UnknownTask(f"there is no task {task_id} (tasks: {f'1 to {count}' if count else 'none yet'})")
    params, schedule, state = registry.params_of(task_id), registry.schedule_of(task_id), registry.state_of(task_id)
    round_ = contracts.scoring.round_of(task_id)
    contested = contracts.appeals.is_open(task_id)
    request_from = contracts.scoring.request_from_of(task_id)
    current = phase(params, schedule, state, round_, chain.now(), contested, request_from)
    ends = {
        Phase.ENTRY_COMMIT: schedule.entry_commit_end,
        Phase.ENROL: schedule.enrol_end,
        Phase.ENTRY_REVEAL: schedule.entry_reveal_end,
        Phase.OPEN: schedule.open_end,
        Phase.REPORTS: request_from,
        Phase.SCORE_COMMIT: round_.score_commit_end,
        Phase.SCORE_REVEAL: round_.score_reveal_end,
    }
    return TaskView(task_id, params, schedule, state, current, ends.get(current))


def read_tasks(chain: Chain) -> list[TaskView]:
    """Read all tasks, newest first."""
    return [read_task(chain, number) for number in range(chain.contracts.registry.task_count(), 0, -1)]
