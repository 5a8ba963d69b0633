"""Common binding of Scoring and AppealCommittee: seed, seats, commit-reveal of scores, fault reports."""

from __future__ import annotations

from collections.abc import Sequence

from covey.chain.contracts.base import Binding, Call
from covey.protocol.types import Round, Row


class Committee(Binding):
    """Reads and writes of a contract that seats committees."""

    work = "task"
    """The committee's object in call descriptions."""

    # ------------------------------------------------------------------ reads

    def round_of(self, task_id: int) -> Round:
        """State of the current round; all zero except its number before its seed is requested."""
        return self._read_struct(Round, "roundOf", task_id)

    def round_at(self, task_id: int, round_number: int) -> Round:
        """State of a round by number; all zero if it does not exist."""
        return self._read_struct(Round, "roundAt", task_id, round_number)

    def row_of(self, task_id: int, operator: str) -> Row:
        """The operator's row in the current round."""
        return self._read_struct(Row, "rowOf", task_id, operator)

    def row_at(self, task_id: int, round_number: int, operator: str) -> Row:
        """The operator's row in a round by number."""
        return self._read_struct(Row, "rowAt", task_id, round_number, operator)

    def seats_of(self, task_id: int, operator: str) -> int:
        """Seats of an operator under the fixed seed of the current round."""
        return int(self._read("seatsOf", task_id, operator))

    def seats_at(self, task_id: int, round_number: int, operator: str) -> int:
        """Seats of an operator under the fixed seed of a round by number."""
        return int(self._read("seatsAt", task_id, round_number, operator))

    def unit_of(self, task_id: int, round_number: int) -> int:
        """What a fault in a round is measured by, wei per seat."""
        return int(self._read("unitOf", task_id, round_number))

    def accumulator_of(self, task_id: int, page: int) -> bytes:
        """Hash chain over the revealed rows of a page; zero once the page is settled."""
        return bytes(self._read("accumulatorOf", task_id, page))

    def loss_of(self, task_id: int, index: int) -> int:
        """Summed loss of the row with that reveal index."""
        return int(self._read("lossOf", task_id, index))

    def owes_fault(self, task_id: int, operator: str) -> bool:
        """True if the operator has an open duty, or missed one that is not yet reported."""
        return bool(self._read("owesFault", task_id, operator))

    # ------------------------------------------------------------------ seed

    def request_seed(self, task_id: int) -> Call:
        """Choose the block whose randomness seats the committee."""
        return self._write(f"request the seed of {self.work} {task_id}", "requestSeed", task_id)

    def fix_seed(self, task_id: int, proof: bytes) -> Call:
        """Fix the seed with the RLP header of the target block; see `covey.chain.rpc.header`."""
        return self._write(f"fix the seed of {self.work} {task_id}", "fixSeed", task_id, proof)

    # ------------------------------------------------------------------ validators

    def commit_scores(self, task_id: int, operator: str, commitment: bytes) -> Call:
        """Commit a row of scores."""
        return self._write(f"commit scores of {self.work} {task_id}", "commitScores", task_id, operator, commitment)

    def abstain(self, task_id: int, operator: str) -> Call:
        """Declare, before commits close, that this operator cannot score the entries."""
        return self._write(f"abstain from {self.work} {task_id}", "abstain", task_id, operator)

    def reveal_scores(
        self, task_id: int, operator: str, words: Sequence[int], evidence_digest: bytes, salt: bytes
    ) -> Call:
        """Reveal the committed row."""
        description = f"reveal scores of {self.work} {task_id}"
        return self._write(description, "revealScores", task_id, operator, list(words), evidence_digest, salt)

    # ------------------------------------------------------------------ faults

    def report_absent(self, task_id: int, round_number: int, operator: str) -> Call:
        """Prove that a seated operator neither committed nor abstained."""
        description = f"report that {operator} was absent from round {round_number} of {self.work} {task_id}"
        return self._write(description, "reportAbsent", task_id, round_number, operator)

    def report_unrevealed(self, task_id: int, round_number: int, operator: str) -> Call:
        """Prove that an operator did not reveal the row it committed."""
        description = f"report that {operator} did not reveal its row of round {round_number} of {self.work} {task_id}"
        return self._write(description, "reportUnrevealed", task_id, round_number, operator)
