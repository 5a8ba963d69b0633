"""Faults: what silence in a missed round costs, and wrong rows of an appeal."""

from __future__ import annotations

from collections.abc import Sequence

from covey.chain.contracts.base import Binding, Call


class Faults(Binding):
    """Reads and writes of Faults."""

    artifact = "Faults"

    def silent_seats_of(self, task_id: int, round_number: int, operator: str) -> int:
        """Seats for which the operator can be reported in a missed round of an ended task."""
        return int(self._read("silentSeatsOf", task_id, round_number, operator))

    def owes(self, task_id: int, operator: str) -> bool:
        """True if the operator's silence can be reported in any round of an ended task, or in an appeal."""
        return bool(self._read("owes", task_id, operator))

    def reported(self, task_id: int, round_number: int, operator: str) -> bool:
        """True once the operator was reported in a missed round."""
        return bool(self._read("reported", task_id, round_number, operator))

    def silent_juror_seats_of(self, task_id: int, operator: str) -> int:
        """Seats for which the operator can be reported in an appeal that missed its quorum."""
        return int(self._read("silentJurorSeatsOf", task_id, operator))

    def juror_reported(self, task_id: int, operator: str) -> bool:
        """True once the juror was reported, as silent or as overturned."""
        return bool(self._read("jurorReported", task_id, operator))

    def report_missed(self, task_id: int, round_number: int, operator: str) -> Call:
        """Prove that an operator's seats were silent in a missed round."""
        description = f"report that {operator} was silent in the missed round {round_number} of task {task_id}"
        return self._write(description, "reportMissed", task_id, round_number, operator)

    def report_juror(self, task_id: int, operator: str, words: Sequence[int]) -> Call:
        """Prove that a row of the appeal is far from its medians; ``words`` is the revealed row."""
        description = f"report that the appeal of task {task_id} overturns the row of {operator} in it"
        return self._write(description, "reportJuror", task_id, operator, list(words))

    def report_silent_juror(self, task_id: int, operator: str) -> Call:
        """Prove that an operator's seats were silent in an appeal that missed its quorum."""
        description = f"report that {operator} was silent in the failed appeal of task {task_id}"
        return self._write(description, "reportSilentJuror", task_id, operator)
