"""TaskRegistry: tasks, entries, enrolment, endings."""

from __future__ import annotations

from dataclasses import astuple, dataclass

from covey.chain.contracts.base import Binding, Call
from covey.chain.units import about_cvy, cvy
from covey.protocol.types import Outcome, Schedule, TaskParams, TaskState


@dataclass(frozen=True, slots=True)
class Entry:
    """An operator's entry in the registry.

    ``commitment`` contains the first 28 bytes of the commitment, zero if there is none; ``sequence`` is the order of
    commitment; ``lane`` is valid once ``revealed``; ``fee`` is the paid fee, wei.
    """

    commitment: bytes
    sequence: int
    revealed: bool
    lane: int
    fee: int

    @property
    def committed(self) -> bool:
        """True once the entry is committed."""
        return any(self.commitment)


class Registry(Binding):
    """Reads and writes of the task registry."""

    artifact = "TaskRegistry"

    # ------------------------------------------------------------------ reads

    def task_count(self) -> int:
        """Number of tasks; ids are 1 to this."""
        return int(self._read("taskCount"))

    def params_of(self, task_id: int) -> TaskParams:
        """The parameters that the creator posted."""
        return self._read_struct(TaskParams, "paramsOf", task_id)

    def schedule_of(self, task_id: int) -> Schedule:
        """Ends of the windows that the registry enforces."""
        return self._read_struct(Schedule, "scheduleOf", task_id)

    def state_of(self, task_id: int) -> TaskState:
        """The task's state."""
        return self._read_struct(TaskState, "stateOf", task_id)

    def outcome_of(self, task_id: int) -> Outcome:
        """The task's outcome; RUNNING if it has not ended."""
        return Outcome(self._read("outcomeOf", task_id))

    def entry_fee_at(self, task_id: int, entries: int) -> int:
        """Fee of the entry that follows ``entries`` committed ones, wei."""
        return int(self._read("entryFeeAt", task_id, entries))

    def entry_of(self, task_id: int, operator: str) -> Entry:
        """The operator's entry."""
        return self._read_struct(Entry, "commitmentOf", task_id, operator)

    def entrant_of(self, task_id: int, lane: int) -> str:
        """The operator of a lane, or the zero address."""
        return str(self._read("entrantOf", task_id, lane))

    def earmark_of(self, task_id: int, operator: str) -> int:
        """Stake that the operator enrolled with, wei; it weighs the draw of seats."""
        return int(self._read("earmarkOf", task_id, operator))

    def held_of(self, task_id: int, operator: str) -> int:
        """The part still earmarked, wei: reduced by faults, 0 once released."""
        return int(self._read("heldOf", task_id, operator))

    def bounty_limit_of(self, task_id: int) -> int:
        """The maximum bounty of the task with top-ups, wei."""
        return int(self._read("bountyLimitOf", task_id))

    def unit_of(self, task_id: int, stake: int, seats: int) -> int:
        """Part of the bounty for each of ``seats`` seats drawn from ``stake`` wei, wei."""
        return int(self._read("unitOf", task_id, stake, seats))

    def ready_for_seed(self, task_id: int) -> bool:
        """True once all steps before the seed are done."""
        return bool(self._read("readyForSeed", task_id))

    def paused(self) -> bool:
        """True while creating, entering and enrolling are paused."""
        return bool(self._read("paused"))

    # ------------------------------------------------------------------ creators

    def create_task(self, params: TaskParams) -> Call:
        """Post a task; needs an allowance of bounty + bond for Rewards."""
        return self._write(f"post a task with a bounty of {cvy(params.bounty)}", "createTask", astuple(params))

    def cancel_task(self, task_id: int) -> Call:
        """Cancel a task before its first entry."""
        return self._write(f"cancel task {task_id}", "cancelTask", task_id)

    def open_sealed(self, task_id: int, digest: bytes, salt: bytes) -> Call:
        """Open the sealed set."""
        return self._write(f"open the sealed set of task {task_id}", "openSealed", task_id, digest, salt)

    # ------------------------------------------------------------------ operators

    def commit_entry(self, task_id: int, operator: str, commitment: bytes, max_fee: int) -> Call:
        """Commit an entry; needs an allowance of the fee for Rewards, from the sender."""
        description = f"commit an entry to task {task_id}"
        return self._write(description, "commitEntry", task_id, operator, commitment, max_fee)

    def reveal_entry(self, task_id: int, operator: str, digest: bytes, salt: bytes) -> Call:
        """Reveal the committed entry."""
        return self._write(f"reveal the entry to task {task_id}", "revealEntry", task_id, operator, digest, salt)

    def enrol(self, task_id: int, operator: str, amount: int) -> Call:
        """Enrol stake to validate a task."""
        return self._write(f"enrol in task {task_id} with {about_cvy(amount)}", "enrol", task_id, operator, amount)

    # ------------------------------------------------------------------ endings

    def close_task(self, task_id: int) -> Call:
        """End a task that cannot continue."""
        return self._write(f"close task {task_id}", "closeTask", task_id)

    def expire(self, task_id: int) -> Call:
        """End a task past its absolute deadline."""
        return self._write(f"expire task {task_id}", "expire", task_id)

    def release_earmark(self, task_id: int, operator: str) -> Call:
        """Release the stake enrolled for a task that has ended."""
        return self._write(f"release the stake behind task {task_id}", "releaseEarmark", task_id, operator)

    # ------------------------------------------------------------------ governance

    def set_paused(self, paused: bool) -> Call:
        """Pause or resume creating, entering and enrolling."""
        return self._write("pause the registry" if paused else "resume the registry", "setPaused", paused)
