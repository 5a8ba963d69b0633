"""Steps of a task, one call each, with commitments from `covey.protocol`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, replace
from typing import Any

from eth_utils.crypto import keccak
from tests.support.contracts.system import CVY, DAY, HOUR, System

from covey.chain.rpc.header import header_rlp
from covey.protocol.commitments import entry_commitment, score_commitment, sealed_commitment
from covey.protocol.scores import pack, pages_of, row_head
from covey.protocol.settlement import weighted_lower_median
from covey.protocol.types import Evaluation, Kind, TaskParams, Windows

STAKE = 10_000 * CVY
MAX = 2**256 - 1
SPEC = keccak(text="spec")
SET_DIGEST, SET_SALT = keccak(text="sealed set"), keccak(text="its salt")
EVIDENCE = keccak(text="evidence")

LOCAL = TaskParams(
    spec_digest=SPEC,
    sealed_commitment=bytes(32),
    kind=Kind.ARENA,
    evaluation=Evaluation.LOCAL,
    validator_bps=3000,
    target_seats=21,
    floor_score=655,
    h=300,
    tau=1200,
    power=2,
    max_entries=64,
    min_entries=1,
    bounty=1000 * CVY,
    bond=100 * CVY,
    entry_fee=4 * CVY,
    min_stake=5000 * CVY,
    windows=Windows(DAY, DAY, DAY, 0, DAY, DAY, DAY, 0),
)


def sealed(system: System, chain_id: int) -> TaskParams:
    """Return parameters of a task with a sealed set."""
    commitment = sealed_commitment(chain_id, str(system.registry), str(system.creator), SET_DIGEST, SET_SALT)
    return replace(
        LOCAL,
        evaluation=Evaluation.SEALED,
        sealed_commitment=commitment,
        h=60,
        windows=replace(LOCAL.windows, open=HOUR, appeal=2 * HOUR),
    )


def digest_of(operator: Any) -> bytes:
    return keccak(text=f"entry of {operator}")


def salt_of(operator: Any) -> bytes:
    return keccak(text=f"salt of {operator}")


class People:
    """Staked operators, their signers with tokens for fees, and a keeper that sends the steps that anyone can send."""

    def __init__(self, system: System, accounts: Any, count: int) -> None:
        self.keeper = accounts[3]
        self.operators = [accounts[4 + i] for i in range(count)]
        self.signers = {str(accounts[4 + i]): accounts[12 + i] for i in range(count)}
        for operator in self.operators:
            signer = self.signers[str(operator)]
            system.join(operator, signer, STAKE)
            system.give(signer, 1000 * CVY, system.rewards)

    def signer(self, operator: Any) -> Any:
        return self.signers[str(operator)]


class Task:
    """A posted task."""

    def __init__(self, system: System, chain: Any, people: People, params: TaskParams = LOCAL) -> None:
        self.system, self.chain, self.people, self.params = system, chain, people, params
        system.give(system.creator, params.bounty + params.bond, system.rewards)
        self.receipt = system.registry.createTask(astuple(params), sender=system.creator)
        self.id = system.registry.taskCount()
        self.schedule = system.registry.scheduleOf(self.id)

    # ------------------------------------------------------------------ time

    def warp(self, timestamp: int) -> None:
        """Mine a block at `timestamp`, unless the head is that late already."""
        if self.chain.blocks.head.timestamp < timestamp:
            self.chain.mine(timestamp=timestamp)

    def round(self) -> Any:
        return self.system.scoring.roundOf(self.id)

    # ------------------------------------------------------------------ entries

    def entry_commitment(self, operator: Any) -> bytes:
        registry = str(self.system.registry)
        return entry_commitment(
            self.chain.chain_id, registry, self.id, str(operator), digest_of(operator), salt_of(operator)
        )

    def commit_entry(self, operator: Any, **fields: Any) -> Any:
        arguments = {"commitment": self.entry_commitment(operator), "max_fee": MAX} | fields
        sender = arguments.pop("sender", self.people.signer(operator))
        return self.system.registry.commitEntry(self.id, operator, *arguments.values(), sender=sender)

    def enrol(self, operator: Any, amount: int = STAKE, sender: Any = None) -> Any:
        return self.system.registry.enrol(self.id, operator, amount, sender=sender or self.people.signer(operator))

    def reveal_entry(self, operator: Any, digest: bytes | None = None) -> Any:
        digest = digest_of(operator) if digest is None else digest
        return self.system.registry.revealEntry(self.id, operator, digest, salt_of(operator), sender=self.people.keeper)

    def open_sealed(self, digest: bytes = SET_DIGEST, sender: Any = None) -> Any:
        sender = sender or self.system.creator
        return self.system.registry.openSealed(self.id, digest, SET_SALT, sender=sender)

    def fill(self, trainers: Sequence[Any], validators: Sequence[Any], stakes: Sequence[int] | None = None) -> None:
        """Run a posted task until its seed can be requested."""
        for trainer in trainers:
            self.commit_entry(trainer)
        self.warp(self.schedule.entryCommitEnd)
        for validator, stake in zip(validators, stakes or [STAKE] * len(validators), strict=True):
            self.enrol(validator, stake)
        self.warp(self.schedule.enrolEnd)
        for trainer in trainers:
            self.reveal_entry(trainer)
        self.warp(self.schedule.entryRevealEnd)
        if self.params.evaluation == Evaluation.SEALED:
            self.open_sealed()

    # ------------------------------------------------------------------ seed

    def header(self, number: int) -> bytes:
        """Return the RLP of a mined block's header."""
        return header_rlp(self.chain.provider.make_request("eth_getBlockByNumber", [hex(number), False]))

    def request_seed(self) -> int:
        """Request the seed, for a second committee after the time for reports."""
        self.warp(self.system.scoring.requestFromOf(self.id))
        self.system.scoring.requestSeed(self.id, sender=self.people.keeper)
        return int(self.round().target)

    def fix_seed(self, target: int) -> Any:
        if self.chain.blocks.head.number <= target:
            self.chain.mine(target + 1 - self.chain.blocks.head.number)
        return self.system.scoring.fixSeed(self.id, self.header(target), sender=self.people.keeper)

    def draw_seed(self) -> Any:
        return self.fix_seed(self.request_seed())

    # ------------------------------------------------------------------ scores

    def score_commitment(self, operator: Any, words: Sequence[int]) -> bytes:
        scoring = str(self.system.scoring)
        return score_commitment(
            self.chain.chain_id,
            scoring,
            self.id,
            self.round().number,
            str(operator),
            words,
            EVIDENCE,
            salt_of(operator),
        )

    def commit_words(self, operator: Any, words: Sequence[int], sender: Any = None) -> Any:
        commitment = self.score_commitment(operator, words)
        sender = sender or self.people.signer(operator)
        return self.system.scoring.commitScores(self.id, operator, commitment, sender=sender)

    def commit_scores(self, operator: Any, scores: Sequence[int]) -> Any:
        return self.commit_words(operator, pack(scores))

    def abstain(self, operator: Any, sender: Any = None) -> Any:
        return self.system.scoring.abstain(self.id, operator, sender=sender or self.people.signer(operator))

    def reveal_words(self, operator: Any, words: Sequence[int]) -> Any:
        return self.system.scoring.revealScores(
            self.id, operator, list(words), EVIDENCE, salt_of(operator), sender=self.people.keeper
        )

    def reveal_scores(self, operator: Any, scores: Sequence[int]) -> Any:
        return self.reveal_words(operator, pack(scores))

    def score(self, rows: Mapping[Any, Sequence[int]]) -> None:
        """Commit and reveal all rows, in order."""
        for operator, scores in rows.items():
            self.commit_scores(operator, scores)
        self.warp(self.round().scoreCommitEnd)
        for operator, scores in rows.items():
            self.reveal_scores(operator, scores)

    # ------------------------------------------------------------------ settlement

    def page_call(self, page: int, rows: Mapping[Any, Sequence[int]]) -> tuple[list[int], list[int], list[int]]:
        """Return heads, claimed medians and words of a page; `rows` are in order of reveal."""
        seats = [self.system.scoring.rowOf(self.id, operator).seats for operator in rows]
        heads = [row_head(str(operator), own) for operator, own in zip(rows, seats, strict=True)]
        medians = [weighted_lower_median(column, seats) for column in zip(*rows.values(), strict=True)]
        width = self.round().pageWords
        words = [word for scores in rows.values() for word in pages_of(pack(scores), width)[page]]
        return heads, list(pages_of(pack(medians), width)[page]), words

    def settle(self, rows: Mapping[Any, Sequence[int]]) -> Any:
        receipt = None
        for page in range(self.round().pages):
            receipt = self.settle_page(page, *self.page_call(page, rows))
        return receipt

    def settle_page(self, page: int, heads: list[int], medians: list[int], words: list[int]) -> Any:
        return self.system.scoring.settlePage(self.id, page, heads, medians, words, sender=self.people.keeper)

    def finalise(self) -> Any:
        return self.system.scoring.finalise(self.id, sender=self.people.keeper)

    def outcome(self) -> int:
        return int(self.system.registry.outcomeOf(self.id))
