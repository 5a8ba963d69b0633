"""Scoring: seed, seats, score commit-reveal, settlement."""

from __future__ import annotations

from collections.abc import Sequence

from covey.chain.contracts.base import Binding, Call
from covey.protocol.types import Round, Row, Totals


class Scoring(Binding):
    """Reads and writes of the scoring contract."""

    artifact = "Scoring"

    # ------------------------------------------------------------------ reads

    def round_of(self, task_id: int) -> Round:
        """Where the task's current round stands; all zero before the seed is requested."""
        return self._read_struct(Round, "roundOf", task_id)

    def totals_of(self, task_id: int) -> Totals:
        """Sums over the settled pages."""
        return self._read_struct(Totals, "totalsOf", task_id)

    def row_of(self, task_id: int, operator: str) -> Row:
        """The operator's row of the current round."""
        return self._read_struct(Row, "rowOf", task_id, operator)

    def seats_of(self, task_id: int, operator: str) -> int:
        """Seats of an enrolled operator under the fixed seed."""
        return int(self._read("seatsOf", task_id, operator))

    def accumulator_of(self, task_id: int, page: int) -> bytes:
        """Fold of the revealed rows of a page; zero once the page is settled."""
        return bytes(self._read("accumulatorOf", task_id, page))

    def page_root_of(self, task_id: int, page: int) -> bytes:
        """Merkle root over the page's median words; zero until settled."""
        return bytes(self._read("pageRootOf", task_id, page))

    def loss_of(self, task_id: int, index: int) -> int:
        """Summed loss of the row with that reveal index."""
        return int(self._read("lossOf", task_id, index))

    def gain_of(self, task_id: int, operator: str) -> int:
        """Gain of a revealed operator, once all pages are settled."""
        return int(self._read("gainOf", task_id, operator))

    def is_settled(self, task_id: int) -> bool:
        """True once all pages are settled: the task can only end as paid."""
        return bool(self._read("isSettled", task_id))

    # ------------------------------------------------------------------ seed

    def request_seed(self, task_id: int) -> Call:
        """Name the block whose randomness seats the committee."""
        return self._write(f"request the seed of task {task_id}", "requestSeed", task_id)

    def fix_seed(self, task_id: int, proof: bytes) -> Call:
        """Fix the seed with the RLP header of the target block; see `covey.chain.header`."""
        return self._write(f"fix the seed of task {task_id}", "fixSeed", task_id, proof)

    # ------------------------------------------------------------------ validators

    def commit_scores(self, task_id: int, operator: str, commitment: bytes) -> Call:
        """Commit a row of scores."""
        return self._write(f"commit scores of task {task_id}", "commitScores", task_id, operator, commitment)

    def abstain(self, task_id: int, operator: str) -> Call:
        """Say before commits close that the entries cannot be scored here."""
        return self._write(f"abstain from task {task_id}", "abstain", task_id, operator)

    def reveal_scores(
        self, task_id: int, operator: str, words: Sequence[int], evidence_digest: bytes, salt: bytes
    ) -> Call:
        """Reveal the committed row."""
        told = f"reveal scores of task {task_id}"
        return self._write(told, "revealScores", task_id, operator, list(words), evidence_digest, salt)

    # ------------------------------------------------------------------ settlement

    def settle_page(
        self, task_id: int, page: int, rows: Sequence[int], medians: Sequence[int], words: Sequence[int]
    ) -> Call:
        """Settle the next page; ``rows`` are row heads in order of reveal, ``words`` row after row."""
        told = f"settle page {page} of task {task_id}"
        return self._write(told, "settlePage", task_id, page, list(rows), list(medians), list(words))

    def finalise(self, task_id: int) -> Call:
        """Make a settled task payable after the appeal window."""
        return self._write(f"finalise task {task_id}", "finalise", task_id)

    def fail_round(self, task_id: int) -> Call:
        """Say that the quorum was missed."""
        return self._write(f"fail the round of task {task_id}", "failRound", task_id)
