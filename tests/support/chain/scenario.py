"""One arena task on a real chain, from posting to payout, driven through the contract bindings."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tests.support.chain.registration import registration

from covey.chain.contracts import Call, Contracts
from covey.chain.rpc.header import header_proof
from covey.chain.signing.keystore import LocalSigner
from covey.chain.tx.oneshot import send_all
from covey.chain.units import CVY
from covey.protocol import commitments, merkle, scores
from covey.protocol.settlement import RevealedRow, Rules, Settlement, settle
from covey.protocol.types import Evaluation, Kind, TaskParams, Windows

if TYPE_CHECKING:
    from covey.chain.rpc.client import Rpc

WINDOWS = Windows(100, 100, 100, 0, 200, 200, 2_000, 0)


class ScenarioChain(Protocol):
    """The chain of a scenario."""

    rpc: Rpc

    def account(self, number: int) -> LocalSigner:
        """A signer with coin for gas; the same number gives the same signer."""

    def jump(self, timestamp: int) -> None:
        """Advance to a chain time."""

    def mine(self, blocks: int) -> None:
        """Advance by a number of blocks."""


def terms(windows: Windows = WINDOWS, **changes: int) -> TaskParams:
    """Parameters of a locally evaluated task with 20% for validators and K = 21."""
    fields = {
        "validator_bps": 2_000,
        "target_seats": 21,
        "floor_score": 655,
        "h": 150,
        "tau": 400,
        "power": 2,
        "max_entries": 64,
        "min_entries": 1,
        "bounty": 400 * CVY,
        "bond": 50 * CVY,
        "entry_fee": CVY,
        "min_stake": 2_000 * CVY,
    }
    return TaskParams(
        spec_digest=b"\x5e" * 32,
        sealed_commitment=bytes(32),
        kind=Kind.ARENA,
        evaluation=Evaluation.LOCAL,
        windows=windows,
        **(fields | changes),
    )


@dataclass
class Scenario:
    """A task, its participants and their choices. Each operator is its own signer."""

    chain: ScenarioChain
    contracts: Contracts
    deployer: LocalSigner
    seed: int
    entries: int = 3
    validators: int = 4
    task: int = 0
    trainers: list[LocalSigner] = field(default_factory=list)
    scorers: list[LocalSigner] = field(default_factory=list)
    rows: dict[str, list[int]] = field(default_factory=dict)
    windows: Windows = WINDOWS

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.params = terms(self.windows)
        self.chain_id = self.chain.rpc.chain_id

    def send(self, signer: LocalSigner, *calls: Call) -> None:
        send_all(self.chain.rpc, signer, calls)

    def send_each(self, sends: Sequence[tuple[LocalSigner, Call]]) -> None:
        """Send calls of different signers in order."""
        for signer, call in sends:
            self.send(signer, call)

    def bytes32(self) -> bytes:
        return self.random.randbytes(32)

    def join(self, number: int, stake: int) -> LocalSigner:
        """Register a new operator with stake and tokens for entry fees."""
        c, signer = self.contracts, self.chain.account(number)
        self.send(self.deployer, c.token.transfer(signer.address, stake + 1_000 * CVY))
        self.send(
            signer,
            registration(c, signer.address, signer, 500),
            c.token.approve(c.staking.address, stake),
            c.staking.delegate(signer.address, stake),
            c.token.approve(c.rewards.address, 1_000 * CVY),
        )
        return signer

    def post(self) -> int:
        """Register all operators and post the task."""
        c = self.contracts
        self.trainers = [self.join(0x100 + i, 200 * CVY) for i in range(self.entries)]
        self.scorers = [self.join(0x900 + i, (3_000 + 500 * i) * CVY) for i in range(self.validators)]
        self.send(self.deployer, c.token.approve(c.rewards.address, 2_000 * CVY), c.registry.create_task(self.params))
        self.task = c.registry.task_count()
        return self.task

    def enter(self) -> None:
        """Commit entries, enrol validators, reveal entries."""
        c, task = self.contracts, self.task
        secrets = {}
        commits = []
        for signer in self.trainers:
            digest, salt = self.bytes32(), self.bytes32()
            secrets[signer.address] = digest, salt
            subject = self.chain_id, c.registry.address, task, signer.address
            commitment = commitments.entry_commitment(*subject, digest, salt)
            commits.append((signer, c.registry.commit_entry(task, signer.address, commitment, 10 * CVY)))
        self.send_each(commits)
        schedule = c.registry.schedule_of(task)
        self.chain.jump(schedule.entry_commit_end)
        earmarks = [(2_000 + 300 * i) * CVY for i in range(len(self.scorers))]
        enrol = c.registry.enrol
        self.send_each([(s, enrol(task, s.address, e)) for s, e in zip(self.scorers, earmarks, strict=True)])
        self.chain.jump(schedule.enrol_end)
        revealers = self.random.sample(self.trainers, len(self.trainers))
        self.send_each([(s, c.registry.reveal_entry(task, s.address, *secrets[s.address])) for s in revealers])
        self.chain.jump(schedule.entry_reveal_end)

    def draw(self) -> None:
        """Request and fix the seed."""
        c, task = self.contracts, self.task
        self.send(self.deployer, c.scoring.request_seed(task))
        target = c.scoring.round_of(task).target
        self.chain.mine(target + 1 - self.chain.rpc.block_number())
        self.send(self.deployer, c.scoring.fix_seed(task, header_proof(self.chain.rpc, target)))

    def score(self) -> None:
        """Commit and reveal rows around common true scores; validators without a seat do not take part."""
        c, task = self.contracts, self.task
        truth = [self.random.choice([0, 1, self.random.randint(500, 12_000)]) for _ in range(self.entries)]
        truth[0] = truth[0] or 1  # without a score above 0 the round would be void
        secrets, commits = {}, []
        seated = [s for s in self.scorers if c.scoring.seats_of(task, s.address)]
        for signer in seated:
            row = [min(max(t + round(self.random.gauss(0, 250)), 1), scores.MAX_SCORE) if t else t for t in truth]
            words, evidence, salt = scores.pack(row), self.bytes32(), self.bytes32()
            self.rows[signer.address] = row
            secrets[signer.address] = words, evidence, salt
            commitment = commitments.score_commitment(
                self.chain_id, c.scoring.address, task, 0, signer.address, words, evidence, salt
            )
            commits.append((signer, c.scoring.commit_scores(task, signer.address, commitment)))
        self.send_each(commits)
        self.chain.jump(c.scoring.round_of(task).score_commit_end)
        revealers = self.random.sample(seated, len(seated))
        self.send_each([(s, c.scoring.reveal_scores(task, s.address, *secrets[s.address])) for s in revealers])

    def expected(self) -> tuple[list[RevealedRow], Settlement]:
        """The revealed rows in order of reveal, and their settlement by `covey.protocol`."""
        c, task = self.contracts, self.task
        rows = {a: c.scoring.row_of(task, a) for a in self.rows}
        order = sorted(self.rows, key=lambda a: rows[a].index)
        revealed = [RevealedRow(a, rows[a].seats, self.rows[a]) for a in order]
        p = self.params
        rules = Rules(p.h, p.tau, p.floor_score, p.power)
        return revealed, settle(revealed, rules, c.scoring.round_of(task).page_words)

    def finish(self) -> Settlement:
        """Settle all pages with the medians of `covey.protocol`, and make the task payable."""
        c, task = self.contracts, self.task
        rows, settlement = self.expected()
        width = c.scoring.round_of(task).page_words
        packed = [scores.pages_of(scores.pack(row.scores), width) for row in rows]
        heads = [scores.row_head(row.operator, row.seats) for row in rows]
        for number, page in enumerate(settlement.pages):
            words = [word for row in packed for word in row[number]]
            self.send(self.deployer, c.scoring.settle_page(task, number, heads, page.words, words))
        self.send(self.deployer, c.scoring.finalise(task))
        return settlement

    def entry_proof(self, settlement: Settlement, lane: int) -> tuple[int, list[bytes]]:
        """The median word of a lane and its proof."""
        width = self.contracts.scoring.round_of(self.task).page_words
        number, index = divmod(lane // scores.LANES, width)
        words = settlement.pages[number].words
        return words[index], merkle.proof(words, index)
