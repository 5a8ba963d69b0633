"""Appeals and AppealCommittee: contested words of sealed tasks, and the committee that rescores them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from covey.chain.contracts.base import Binding, Call
from covey.chain.contracts.committee import Committee
from covey.chain.units import about_cvy
from covey.protocol.types import AppealState


@dataclass(frozen=True, slots=True)
class Appeal:
    """The appeal of a task; see IAppeals.Appeal. Times in chain seconds, amounts in wei."""

    state: AppealState
    contest_end: int
    enrol_end: int
    deadline: int
    report_end: int
    contested: int
    resolved: int
    paid_seats: int
    bond: int
    award: int
    tip: int
    tips: int
    pool: int
    least_stake: int
    least_enrolment: int


@dataclass(frozen=True, slots=True)
class Contest:
    """One contested word; ``found`` is valid once the appeal is settled."""

    appellant: str
    word: int
    resolved: bool
    moved: bool
    previous: int
    found: int


class Appeals(Binding):
    """Reads and writes of Appeals, which holds contests and their bonds."""

    artifact = "Appeals"

    # ------------------------------------------------------------------ reads

    def appeal_of(self, task_id: int) -> Appeal:
        """The task's appeal; its state is NONE if no word was contested."""
        return self._read_struct(Appeal, "appealOf", task_id)

    def contest_of(self, task_id: int, index: int) -> Contest:
        """A contest, in order of contest."""
        return self._read_struct(Contest, "contestOf", task_id, index)

    def contest_at(self, task_id: int, word_index: int) -> int:
        """The number of a word's contest, counted from 1; 0 if it is not contested."""
        return int(self._read("contestAt", task_id, word_index))

    def bond_of(self, task_id: int) -> int:
        """The bond for contesting a word, wei."""
        return int(self._read("bondOf", task_id))

    def owed_to(self, account: str) -> int:
        """Bonds, awards and tips that ``account`` can withdraw, wei."""
        return int(self._read("owedTo", account))

    def claimed(self, task_id: int, operator: str) -> bool:
        """True once the validator's share of the round was paid."""
        return bool(self._read("claimed", task_id, operator))

    def overturned(self, task_id: int, operator: str) -> bool:
        """True once the operator's row was reported as overturned."""
        return bool(self._read("overturned", task_id, operator))

    def is_open(self, task_id: int) -> bool:
        """True while a contested word is unresolved."""
        return bool(self._read("isOpen", task_id))

    def holds(self, task_id: int, operator: str) -> bool:
        """True while the operator's earmark for the task must stay because of the appeal."""
        return bool(self._read("holds", task_id, operator))

    # ------------------------------------------------------------------ writes

    def contest(self, task_id: int, word_index: int, word: int, proof: Sequence[bytes]) -> Call:
        """Contest a median word; needs an allowance of the bond for Appeals."""
        description = f"contest word {word_index} of task {task_id}"
        return self._write(description, "contest", task_id, word_index, word, list(proof))

    def fail_appeal(self, task_id: int) -> Call:
        """End an appeal with too little enrolled stake, without a quorum, or past its deadline."""
        return self._write(f"fail the appeal of task {task_id}", "failAppeal", task_id)

    def resolve(self, task_id: int, index: int, proof: Sequence[bytes]) -> Call:
        """Decide one contest; ``proof`` shows its previous word in the current page."""
        return self._write(f"resolve contest {index} of task {task_id}", "resolve", task_id, index, list(proof))

    def report_overturned(self, task_id: int, operator: str, index: int, words: Sequence[int]) -> Call:
        """Prove that a row is far from the appeal's result; ``words`` is the revealed row."""
        description = f"report that contest {index} overturns the row of {operator} in task {task_id}"
        return self._write(description, "reportOverturned", task_id, operator, index, list(words))

    def claim_appeal(self, task_id: int, operator: str) -> Call:
        """Pay a validator's share of the round into its pool."""
        return self._write(f"claim the pay of the appeal of task {task_id}", "claimAppeal", task_id, operator)

    def withdraw(self, account: str) -> Call:
        """Pay out the bonds, awards and tips owed to ``account``."""
        return self._write(f"withdraw the appeal bonds of {account}", "withdraw", account)


class AppealCommittee(Committee):
    """Reads and writes of the appeals' committee; its round is always 0."""

    artifact = "AppealCommittee"
    work = "the appeal of task"

    def earmark_of(self, task_id: int, operator: str) -> int:
        """Stake that the operator earmarked for the appeal, in addition to its earmark behind the task, wei."""
        return int(self._read("earmarkOf", task_id, operator))

    def stake_of(self, task_id: int, operator: str) -> int:
        """Stake that draws the operator: its earmarks for the appeal and behind the task; 0 if it did not enrol."""
        return int(self._read("stakeOf", task_id, operator))

    def is_lost(self, task_id: int) -> bool:
        """True if the appeal cannot settle: too little stake enrolled, or the quorum was missed."""
        return bool(self._read("isLost", task_id))

    def enrolled_of(self, task_id: int) -> int:
        """Total stake that draws the committee, wei."""
        return int(self._read("enrolledOf", task_id))

    def found_of(self, task_id: int, index: int) -> int:
        """The resulting word of a contest; valid once the appeal is settled."""
        return int(self._read("foundOf", task_id, index))

    def paid_seats_of(self, task_id: int, operator: str) -> int:
        """Seats for which an operator is paid once the appeal is settled."""
        return int(self._read("paidSeatsOf", task_id, operator))

    def enrol(self, task_id: int, operator: str, amount: int) -> Call:
        """Enrol for the appeal, with the operator's earmark behind the task and ``amount`` of free stake."""
        description = f"enrol for the appeal of task {task_id} with {about_cvy(amount)}"
        return self._write(description, "enrol", task_id, operator, amount)

    def settle_contests(
        self, task_id: int, page: int, rows: Sequence[int], found: Sequence[int], words: Sequence[int]
    ) -> Call:
        """Settle the next page of contested words; arguments as for `Scoring.settle_page`."""
        description = f"settle page {page} of the appeal of task {task_id}"
        return self._write(description, "settleContests", task_id, page, list(rows), list(found), list(words))

    def release(self, task_id: int, operator: str) -> Call:
        """Release the stake enrolled for an appeal that has ended."""
        return self._write(f"release the stake behind the appeal of task {task_id}", "release", task_id, operator)
