"""Scoring: the committees of a task, and the settlement of their scores."""

from __future__ import annotations

from collections.abc import Sequence

from covey.chain.contracts.base import Call
from covey.chain.contracts.committee import Committee
from covey.protocol.types import Totals


class Scoring(Committee):
    """Reads and writes of the scoring contract."""

    artifact = "Scoring"

    # ------------------------------------------------------------------ reads

    def totals_of(self, task_id: int) -> Totals:
        """Sums over the settled pages."""
        return self._read_struct(Totals, "totalsOf", task_id)

    def page_root_of(self, task_id: int, page: int) -> bytes:
        """Merkle root over the page's median words; zero until settled."""
        return bytes(self._read("pageRootOf", task_id, page))

    def gain_of(self, task_id: int, operator: str) -> int:
        """Gain of a revealed operator, once all pages are settled."""
        return int(self._read("gainOf", task_id, operator))

    def share_of(self, task_id: int, operator: str) -> tuple[int, int]:
        """Seats and gain of a revealed operator, once all pages are settled; 0 and 0 without a revealed row."""
        seats, gain = self._read("shareOf", task_id, operator)
        return int(seats), int(gain)

    def has_void_round(self, task_id: int) -> bool:
        """True if every median of a round was 0."""
        return bool(self._read("hasVoidRound", task_id))

    def request_from_of(self, task_id: int) -> int:
        """Chain time from which the seed of a second committee can be requested; 0 for a first one."""
        return int(self._read("requestFromOf", task_id))

    def is_settled(self, task_id: int) -> bool:
        """True once all pages are settled; the task can then only end as paid."""
        return bool(self._read("isSettled", task_id))

    # ------------------------------------------------------------------ settlement

    def settle_page(
        self, task_id: int, page: int, rows: Sequence[int], medians: Sequence[int], words: Sequence[int]
    ) -> Call:
        """Settle the next page; ``rows`` are row heads in order of reveal, ``words`` row after row."""
        description = f"settle page {page} of task {task_id}"
        return self._write(description, "settlePage", task_id, page, list(rows), list(medians), list(words))

    def finalise(self, task_id: int) -> Call:
        """Make a settled task payable after the appeal window."""
        return self._write(f"finalise task {task_id}", "finalise", task_id)

    def fail_round(self, task_id: int) -> Call:
        """End a round that missed its quorum."""
        return self._write(f"fail the round of task {task_id}", "failRound", task_id)
