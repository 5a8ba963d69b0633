"""Builds tasks event by event, for tests of the projection and the plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from covey.config.types import Role
from covey.daemon.planning.duty import Identity
from covey.daemon.state.folds import apply_event
from covey.daemon.state.task import Task
from covey.daemon.state.world import ChainState
from covey.protocol.scores import pack
from covey.protocol.seats import seats
from covey.protocol.settlement import RevealedRow, Rules, settle
from covey.protocol.types import Fault, Outcome

CHAIN = 31337
SCORING = "0x00000000000000000000000000000000000005C0"
COMMITTEE = "0x00000000000000000000000000000000000Ac0C0"
OPERATOR = "0x00000000000000000000000000000000000000Aa"
SIGNER = "0x00000000000000000000000000000000000000bb"
CREATOR = "0x00000000000000000000000000000000000000Cc"
SEED = bytes(range(32))
ZERO = "0x" + "00" * 32
WINDOWS = {
    "entryCommit": 100,
    "enrol": 50,
    "entryReveal": 50,
    "open": 0,
    "scoreCommit": 100,
    "scoreReveal": 50,
    "settle": 500,
    "appeal": 0,
}
START = 1_000
COMMIT_END, ENROL_END, REVEAL_END = START + 100, START + 150, START + 200
EXPIRES = REVEAL_END + 100 + 50 + 500


def address(number: int) -> str:
    """An address in checksum form. It consists of digits only, which have no case."""
    return f"0x{number:040d}"


def identity(*roles: Role, auto_claim: bool = True, withdraw_min: int = 1) -> Identity:
    """The identity of OPERATOR; with both roles unless given."""
    return Identity(
        OPERATOR,
        SIGNER,
        roles or (Role.TRAINER, Role.VALIDATOR),
        CHAIN,
        SCORING,
        auto_claim,
        withdraw_min,
        (),
        COMMITTEE,
    )


@dataclass(frozen=True)
class FakeEvent:
    """An event without a block."""

    contract: str
    name: str
    args: dict[str, Any]


@dataclass
class Scenario:
    """The life of one task. Each method emits its events and applies them to `state`."""

    task_id: int = 1
    max_entries: int = 64
    min_entries: int = 1
    min_stake: int = 1
    fee: int = 5
    state: ChainState = field(default_factory=ChainState)
    events: list[FakeEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        schedule = {
            "createdAt": START,
            "entryCommitEnd": COMMIT_END,
            "enrolEnd": ENROL_END,
            "entryRevealEnd": REVEAL_END,
            "openEnd": REVEAL_END,
            "expiresAt": EXPIRES,
        }
        params = {
            "specDigest": ZERO,
            "sealedCommitment": ZERO,
            "kind": 0,
            "evaluation": 0,
            "validatorBps": 3000,
            "targetSeats": 8,
            "floorScore": 100,
            "h": 50,
            "tau": 500,
            "power": 1,
            "maxEntries": self.max_entries,
            "minEntries": self.min_entries,
            "bounty": 1000,
            "bond": 100,
            "entryFee": self.fee,
            "minStake": self.min_stake,
            "windows": WINDOWS,
        }
        created = {"creator": CREATOR, "specDigest": ZERO, "params": params, "schedule": schedule}
        self.emit("TaskRegistry", "TaskCreated", **created)

    @property
    def task(self) -> Task:
        return self.state.tasks[self.task_id]

    def emit(self, contract: str, name: str, **args: Any) -> Scenario:
        """Emit any event of the task."""
        event = FakeEvent(contract, name, {"taskId": self.task_id, **args})
        self.events.append(event)
        apply_event(self.state, event)
        return self

    def enter(self, operator: str) -> Scenario:
        number = len(self.task.entries)
        return self.emit(
            "TaskRegistry", "EntryCommitted", operator=operator, sequence=number, commitment="0x" + "cc" * 32,
            fee=self.fee, payer=operator,
        )  # fmt: skip

    def enrol(self, operator: str, amount: int = 10) -> Scenario:
        total = self.task.total_earmarked + amount
        return self.emit("TaskRegistry", "ValidatorEnrolled", operator=operator, amount=amount, totalEarmarked=total)

    def reveal_entry(self, operator: str, digest: str = "0x" + "dd" * 32) -> Scenario:
        lane, entry = len(self.task.lanes), self.task.entries[operator]
        args = {"operator": operator, "lane": lane, "sequence": entry.sequence}
        return self.emit("TaskRegistry", "EntryRevealed", **args, digest=digest)

    def enter_and_reveal(self, operator: str, digest: str) -> Scenario:
        """Enter, and reveal an entry with this digest."""
        return self.enter(operator).reveal_entry(operator, digest)

    def request_seed(self) -> Scenario:
        return self.emit(
            "Scoring", "SeedRequested", round=self.task.round_number, target=7, totalEarmarked=self.drawable_stake()
        )

    def drawable_stake(self) -> int:
        """S: all stake, less the stake of operators that abstained in the first committee or were reported for it."""
        first = self.task.earlier
        gone = set() if first is None or first.is_void else {*first.abstained, *first.faults}
        return self.task.total_earmarked - sum(self.task.enrolled[operator] for operator in gone)

    def reseat(self, expires: int, request_from: int = 0) -> Scenario:
        """The first committee misses its quorum, or is void."""
        self.emit("Scoring", "Reseated", round=1, requestFrom=request_from)
        return self.emit("TaskRegistry", "TaskExtended", expiresAt=expires)

    def fault(self, operator: str, fault: Fault, round_number: int = 0) -> Scenario:
        args = {"operator": operator, "fault": int(fault), "reporter": CREATOR, "taken": 1}
        return self.emit("Scoring", "FaultReported", round=round_number, **args)

    def missed(self, operator: str, round_number: int = 0) -> Scenario:
        """A report of the operator's silent seats in a missed round."""
        args = {"operator": operator, "seats": 1, "failed": True, "reporter": CREATOR, "taken": 1}
        return self.emit("Faults", "MissedReported", round=round_number, **args)

    def fix_seed(self, now: int) -> Scenario:
        ends = {"scoreCommitEnd": now + 100, "scoreRevealEnd": now + 150}
        return self.emit("Scoring", "SeedFixed", round=self.task.round_number, seed="0x" + SEED.hex(), **ends)

    def seats(self, operator: str) -> int:
        """Seats of an operator in the current round."""
        task = self.task
        assert task.committee is not None
        earmark = task.stake_of(operator, task.round_number)
        total, wanted = task.committee.total, task.params.target_seats
        return seats(CHAIN, SCORING, task.id, task.round_number, SEED, operator, earmark, total, wanted)

    def commit_scores(self, operator: str) -> Scenario:
        return self.emit(
            "Scoring",
            "ScoresCommitted",
            round=self.task.round_number,
            operator=operator,
            seats=self.seats(operator),
            commitment="0x" + "55" * 32,
        )

    def abstain(self, operator: str) -> Scenario:
        return self.emit(
            "Scoring", "Abstained", round=self.task.round_number, operator=operator, seats=self.seats(operator)
        )

    def reveal_scores(self, operator: str, scores: list[int]) -> Scenario:
        committee = self.task.committee
        assert committee is not None
        return self.emit(
            "Scoring", "ScoresRevealed", round=self.task.round_number, operator=operator, seats=self.seats(operator),
            index=len(committee.revealed), evidenceDigest="0x" + "ee" * 32, words=pack(scores),
        )  # fmt: skip

    def settle(self, scores: dict[str, list[int]], now: int) -> Scenario:
        """Settle all pages and the round by the protocol's rules."""
        rows = [RevealedRow(operator, self.seats(operator), row) for operator, row in scores.items()]
        result = settle(rows, Rules(50, 500, 100, 1), self.task.words_per_page, self.task.round_number)
        for number, page in enumerate(result.pages):
            self.emit(
                "Scoring", "PageSettled", round=self.task.round_number, page=number, root="0x" + page.root.hex(),
                weights=page.weights, spread=page.spread, medians=page.words,
            )  # fmt: skip
        losses = [0] * -(-len(result.losses) // 8)
        for index, loss in enumerate(result.losses):
            losses[index // 8] |= loss << (32 * (index % 8))
        if result.is_void:
            return self.emit("Scoring", "RoundVoid", round=self.task.round_number)
        totals = {"weights": result.total_weights, "gainSeats": result.gain_seats, "spread": result.spread}
        totals["scored"] = True
        return self.emit(
            "Scoring", "RoundSettled", round=self.task.round_number, totals=totals, losses=losses, payableAt=now
        )

    def end(self, outcome: Outcome, trainers: int = 700, validators: int = 300) -> Scenario:
        if outcome == Outcome.PAID:
            self.emit("Rewards", "EscrowClosed", outcome=1, trainersPool=trainers, validatorsPool=validators)
        return self.emit(
            "TaskRegistry", "TaskEnded", outcome=int(outcome), reason="0x" + b"done".ljust(32, b"\0").hex()
        )
