"""Appeals and AppealCommittee: contested words of sealed tasks, and the committee that scores them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from covey.chain.contracts.base import Binding, Call
from covey.chain.contracts.committee import Committee
from covey.chain.units import cvy
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
    pool: int


@dataclass(frozen=True, slots=True)
class Contest:
    """One contested word; ``found`` means something once the appeal is settled."""

    appellant: str
    word: int
    resolved: bool
    moved: bool
    previous: int
    found: int


class Appeals(Binding):
    """Reads and writes of the contract that keeps contests and their bonds."""

    artifact = "Appeals"

    # ------------------------------------------------------------------ reads

    def appeal_of(self, task_id: int) -> Appeal:
        """The task's appeal; its state is NONE where nothing was contested."""
        return self._read_struct(Appeal, "appealOf", task_id)

    def contest_of(self, task_id: int, index: int) -> Contest:
        """A contest, in order of contest."""
        return self._read_struct(Contest, "contestOf", task_id, index)

    def contest_at(self, task_id: int, word_index: int) -> int:
        """The contest of a word counted from 1; 0 where it is not contested."""
        return int(self._read("contestAt", task_id, word_index))

    def bond_of(self, task_id: int) -> int:
        """What contesting a word costs, wei."""
        return int(self._read("bondOf", task_id))

    def owed_to(self, account: str) -> int:
        """Bonds and premiums that ``account`` can withdraw, wei."""
        return int(self._read("owedTo", account))

    def claimed(self, task_id: int, operator: str) -> bool:
        """True once the validator was paid for the round."""
        return bool(self._read("claimed", task_id, operator))

    def overturned(self, task_id: int, operator: str) -> bool:
        """True once the operator's row was reported as overturned."""
        return bool(self._read("overturned", task_id, operator))

    def is_open(self, task_id: int) -> bool:
        """Whether a contested word is unresolved."""
        return bool(self._read("isOpen", task_id))

    def holds(self, task_id: int, operator: str) -> bool:
        """Whether the operator's earmark behind the task must stay for the appeal's sake."""
        return bool(self._read("holds", task_id, operator))

    # ------------------------------------------------------------------ writes

    def contest(self, task_id: int, word_index: int, word: int, proof: Sequence[bytes]) -> Call:
        """Contest a median word; Appeals must be allowed to take the bond."""
        told = f"contest word {word_index} of task {task_id}"
        return self._write(told, "contest", task_id, word_index, word, list(proof))

    def fail_appeal(self, task_id: int) -> Call:
        """Say that the appeal's quorum was missed, or that its time is over."""
        return self._write(f"fail the appeal of task {task_id}", "failAppeal", task_id)

    def resolve(self, task_id: int, index: int, proof: Sequence[bytes]) -> Call:
        """Decide one contest; ``proof`` is of its previous word in its page as it is now."""
        return self._write(f"resolve contest {index} of task {task_id}", "resolve", task_id, index, list(proof))

    def report_overturned(self, task_id: int, operator: str, index: int, words: Sequence[int]) -> Call:
        """Prove that a row is far from what the appeal found; ``words`` is the row as it was revealed."""
        told = f"report that the row of {operator} in task {task_id} is overturned by contest {index}"
        return self._write(told, "reportOverturned", task_id, operator, index, list(words))

    def claim_appeal(self, task_id: int, operator: str) -> Call:
        """Pay a validator's share of the round into its pool."""
        return self._write(f"claim the pay of the appeal of task {task_id}", "claimAppeal", task_id, operator)

    def withdraw(self, account: str) -> Call:
        """Pay out the bonds and premiums that ``account`` is owed."""
        return self._write(f"withdraw the appeal bonds of {account}", "withdraw", account)


class AppealCommittee(Committee):
    """Reads and writes of the appeals' committee; its round is always 0."""

    artifact = "AppealCommittee"
    work = "the appeal of task"

    def earmark_of(self, task_id: int, operator: str) -> int:
        """Stake that the operator enrolled for the appeal, wei."""
        return int(self._read("earmarkOf", task_id, operator))

    def enrolled_of(self, task_id: int) -> int:
        """All stake that enrolled for the appeal, wei."""
        return int(self._read("enrolledOf", task_id))

    def found_of(self, task_id: int, index: int) -> int:
        """The word that was found for a contest; meaningful once the appeal is settled."""
        return int(self._read("foundOf", task_id, index))

    def paid_seats_of(self, task_id: int, operator: str) -> int:
        """Seats for which an operator is paid once the appeal is settled."""
        return int(self._read("paidSeatsOf", task_id, operator))

    def enrol(self, task_id: int, operator: str, amount: int) -> Call:
        """Back the appeal's committee with stake beside what is behind the task."""
        told = f"enrol for the appeal of task {task_id} with {cvy(amount)}"
        return self._write(told, "enrol", task_id, operator, amount)

    def settle_contests(
        self, task_id: int, page: int, rows: Sequence[int], found: Sequence[int], words: Sequence[int]
    ) -> Call:
        """Settle the next page of contested words; arguments as of `Scoring.settle_page`."""
        told = f"settle page {page} of the appeal of task {task_id}"
        return self._write(told, "settleContests", task_id, page, list(rows), list(found), list(words))

    def release(self, task_id: int, operator: str) -> Call:
        """Free the stake behind an appeal that is over."""
        return self._write(f"release the stake behind the appeal of task {task_id}", "release", task_id, operator)
