"""Faults: what silence in a missed round costs."""

from __future__ import annotations

from covey.chain.contracts.base import Binding, Call


class Faults(Binding):
    """Reads and writes of Faults."""

    artifact = "Faults"

    def silent_seats_of(self, task_id: int, round_number: int, operator: str) -> int:
        """Seats for which the operator can be reported in a missed round of an ended task."""
        return int(self._read("silentSeatsOf", task_id, round_number, operator))

    def owes(self, task_id: int, operator: str) -> bool:
        """True if the operator can be reported in any round of an ended task; its earmark is held until then."""
        return bool(self._read("owes", task_id, operator))

    def reported(self, task_id: int, round_number: int, operator: str) -> bool:
        """True once the operator was reported in a missed round."""
        return bool(self._read("reported", task_id, round_number, operator))

    def report_missed(self, task_id: int, round_number: int, operator: str) -> Call:
        """Prove that an operator's seats were silent in a missed round."""
        description = f"report that {operator} was silent in the missed round {round_number} of task {task_id}"
        return self._write(description, "reportMissed", task_id, round_number, operator)
