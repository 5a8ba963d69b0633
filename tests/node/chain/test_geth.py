"""The chain layer on a real geth, which is stricter than anvil. Blocks come every second; chain time cannot jump."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak
from tests.node.chain.contracts.test_task import check_events, check_payouts
from tests.support.chain.registration import registration
from tests.support.chain.scenario import Scenario
from tests.support.geth.daemon import CHAIN_ID, Geth
from tests.support.geth.fixtures import new_geth

from covey.chain.contracts import Call, Contracts
from covey.chain.deploy.deploy import DeployConfig, deploy
from covey.chain.deployment import Deployment
from covey.chain.errors import ChainError, FatalError, WrongChain
from covey.chain.events.decoder import EventReader
from covey.chain.events.follower import Follower
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.finality import Finality
from covey.chain.rpc.header import header_proof
from covey.chain.rpc.quorum import quorum_read
from covey.chain.signing.keystore import LocalSigner
from covey.chain.tx.oneshot import send, send_all
from covey.chain.tx.sender import Sender
from covey.chain.tx.store import SqliteTxStore, TxStatus
from covey.chain.units import CVY
from covey.daemon.storage.journal import Journal
from covey.protocol.types import Outcome, Windows

pytestmark = [pytest.mark.daemon, pytest.mark.slow, pytest.mark.timeout(1_800)]

PATIENCE_S = 600.0
WINDOWS = Windows(20, 20, 20, 0, 25, 300, 2_000, 0)
"""Real seconds, except for windows that end early: reveals, once all are in, and settlement."""


class RealTimeChain:
    """A chain on which waiting is the only way to pass time."""

    def __init__(self, geth: Geth) -> None:
        self.geth = geth
        self.rpc = geth.rpc

    def account(self, number: int) -> LocalSigner:
        return self.geth.account(number)

    def jump(self, timestamp: int) -> None:
        """Wait for a block at or after a chain time."""
        end = time.monotonic() + PATIENCE_S
        while self.rpc.block().timestamp < timestamp:
            assert time.monotonic() < end, f"geth did not reach chain time {timestamp}"
            time.sleep(0.2)

    def mine(self, blocks: int) -> None:
        """Wait for a number of new blocks."""
        target, end = self.rpc.block_number() + blocks, time.monotonic() + PATIENCE_S
        while self.rpc.block_number() < target:
            assert time.monotonic() < end, f"geth did not reach block {target}"
            time.sleep(0.2)


@dataclass
class RealTimeScenario(Scenario):
    """A scenario in which each key has its own sender and all senders work at once, as in a real network."""

    def send_queues(self, queues: Sequence[tuple[LocalSigner, Sequence[Call]]]) -> None:
        senders = []
        for signer, calls in queues:
            store = SqliteTxStore(sqlite3.connect(":memory:", isolation_level=None))
            sender = Sender(self.chain.rpc, signer, store, finality=Finality(0))
            for number, call in enumerate(calls):
                sender.submit(f"{number}", call)
            senders.append((sender, len(calls)))
        end = time.monotonic() + PATIENCE_S
        while True:
            for sender, _ in senders:
                sender.tick()
            requests = [sender.request(f"{number}") for sender, count in senders for number in range(count)]
            if all(request is not None and request.status.is_final for request in requests):
                break
            assert time.monotonic() < end, [sender.status for sender, _ in senders]
            time.sleep(0.2)
        failed = [(r.call.describe, r.outcome) for r in requests if r is not None and r.status != TxStatus.DONE]
        assert not failed

    def send_each(self, sends: Sequence[tuple[LocalSigner, Call]]) -> None:
        self.send_queues([(signer, [call]) for signer, call in sends])

    def post(self) -> int:
        c = self.contracts
        self.trainers = [self.chain.account(0x100 + i) for i in range(self.entries)]
        self.scorers = [self.chain.account(0x900 + i) for i in range(self.validators)]
        stakes = [200 * CVY] * self.entries + [(3_000 + 500 * i) * CVY for i in range(self.validators)]
        operators = list(zip([*self.trainers, *self.scorers], stakes, strict=True))
        transfers = [c.token.transfer(signer.address, stake + 1_000 * CVY) for signer, stake in operators]
        self.send_queues([(self.deployer, [*transfers, c.token.approve(c.rewards.address, 2_000 * CVY)])])
        joins = []
        for signer, stake in operators:
            register = registration(c, signer.address, signer, 500)
            approvals = c.token.approve(c.staking.address, stake), c.token.approve(c.rewards.address, 1_000 * CVY)
            joins.append((signer, [register, *approvals, c.staking.delegate(signer.address, stake)]))
        self.send_queues(joins)
        self.send(self.deployer, c.registry.create_task(self.params))
        self.task = c.registry.task_count()
        return self.task


@pytest.fixture(scope="module")
def geth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Geth]:
    node = new_geth(tmp_path_factory.mktemp("geth"))
    with node:
        numbers = [0xD0, *range(0x100, 0x102), *range(0x900, 0x903)]
        node.fund(*(node.account(number).address for number in numbers))
        yield node


@pytest.fixture(scope="module")
def deployer(geth: Geth) -> LocalSigner:
    return geth.account(0xD0)


@pytest.fixture(scope="module")
def deployment(geth: Geth, deployer: LocalSigner) -> Deployment:
    return deploy(geth.rpc, deployer, DeployConfig.devnet())


@pytest.fixture(scope="module")
def contracts(geth: Geth, deployment: Deployment) -> Contracts:
    return Contracts(geth.rpc, deployment)


@pytest.mark.long
@pytest.mark.ci
def test_complete_task(geth: Geth, contracts: Contracts, deployer: LocalSigner, tmp_path: Path) -> None:
    scenario = RealTimeScenario(
        RealTimeChain(geth), contracts, deployer, seed=1, entries=2, validators=3, windows=WINDOWS
    )
    task = scenario.post()
    scenario.enter()
    scenario.draw()
    assert contracts.scoring.round_of(task).seeded  # the contract accepted geth's header
    scenario.score()
    expected = scenario.finish()
    assert contracts.registry.outcome_of(task) == Outcome.PAID
    check_payouts(scenario, expected, scenario.expected()[0])
    check_events(scenario, expected)
    scenario.chain.mine(2)
    log = Journal(tmp_path / "journal.sqlite", None)
    follow(Follower(geth.rpc, contracts.deployment, log, Finality(1)))
    assert [e.args["outcome"] for e in log.events() if e.name == "TaskEnded"] == [Outcome.PAID]


def follow(follower: Follower) -> int:
    """Poll until caught up; return the newest settled block."""
    while True:
        progress = follower.poll()
        if progress.caught_up:
            return progress.checkpoint.block


@pytest.mark.parametrize("transport", ["http", "ws", "ipc"])
def test_follower_over_every_transport(
    geth: Geth, contracts: Contracts, deployer: LocalSigner, tmp_path: Path, transport: str
) -> None:
    rpc = Rpc(geth.urls[transport], CHAIN_ID, timeout=60)
    rpc.check()
    log = Journal(tmp_path / "journal.sqlite", None)
    follower = Follower(rpc, contracts.deployment, log, Finality(1), first_range=7)
    block = follow(follower)
    reader = EventReader.of(contracts.deployment)
    start = contracts.deployment.start_block
    assert list(log.events()) == reader.read_all(geth.rpc.logs(reader.addresses, start, block))
    before = len(list(log.events()))
    receipt = send(rpc, deployer, contracts.staking.set_paused(False), confirmations=1)
    follow(follower)
    new = list(log.events())[before:]
    assert [(event.name, event.block) for event in new] == [("PausedSet", receipt.block)]


def test_finality_moves_by_epochs(geth: Geth, contracts: Contracts, tmp_path: Path) -> None:
    chain = RealTimeChain(geth)
    if (ahead := contracts.deployment.start_block + 33 - geth.rpc.block_number()) > 0:
        chain.mine(ahead)
    log = Journal(tmp_path / "journal.sqlite", None)
    block = follow(Follower(geth.rpc, contracts.deployment, log, Finality()))
    assert block % 32 == 0
    assert contracts.deployment.start_block <= block < geth.rpc.block_number()
    reader = EventReader.of(contracts.deployment)
    assert list(log.events()) == reader.read_all(geth.rpc.logs(reader.addresses, 0, block))


def test_transaction_above_128_kib_fails(geth: Geth, deployer: LocalSigner) -> None:
    with pytest.raises(ChainError, match="oversized data"):
        send(geth.rpc, deployer, Call(deployer.address, b"\0" * (128 << 10), "send too much"))
    receipt = send(geth.rpc, deployer, Call(deployer.address, b"\0" * (120 << 10), "send enough"))
    assert receipt.succeeded


def test_block_timestamps_are_distinct(geth: Geth, deployer: LocalSigner) -> None:
    receipts = send_all(geth.rpc, deployer, [Call(deployer.address, b"", "pay", 1) for _ in range(2)])
    assert receipts[0].block < receipts[1].block
    times = [geth.rpc.block(number).timestamp for number in range(receipts[1].block + 1)]
    assert all(earlier < later for earlier, later in pairwise(times))


def test_header_is_proven_through_the_history_contract(geth: Geth, contracts: Contracts) -> None:
    """After 1,000 blocks BLOCKHASH no longer works; only EIP-2935's contract has the block's hash."""
    randomness = contracts.deployment.address("BeaconRandomness")
    target = geth.rpc.block_number() - 1

    def reveal(proof: bytes, later: int) -> bytes:
        data = keccak(b"reveal(uint64,bytes)")[:4] + encode(["uint64", "bytes"], [target, proof])
        fields = {"to": randomness, "data": "0x" + data.hex()}
        found = geth.ask("eth_call", fields, "latest", {}, {"number": hex(target + later)})
        return bytes.fromhex(found[2:])

    proof = header_proof(geth.rpc, target)
    mix = bytes.fromhex(geth.rpc.block_json(target)["mixHash"][2:])
    assert reveal(proof, 1_000) == mix
    assert reveal(proof, 8_000) == mix
    for wrong, later in ((proof[:-1] + bytes([proof[-1] ^ 1]), 1_000), (proof, 9_000)):
        with pytest.raises(ChainError, match=r"Randomness(BadProof|TargetLost)"):
            reveal(wrong, later)


def test_all_transports_agree(geth: Geth, contracts: Contracts, tmp_path: Path) -> None:
    dead = str(tmp_path / "nothing.ipc")
    rpc = Rpc([dead, *geth.urls.values()], CHAIN_ID, timeout=60, quorum=3)
    rpc.check()
    supply = quorum_read(rpc, lambda pinned: Contracts(pinned, contracts.deployment).token.total_supply())
    assert supply == contracts.token.total_supply()
    assert [report.ok for report in rpc.report()] == [False, True, True, True]


@pytest.mark.parametrize("transport", ["http", "ws", "ipc"])
def test_wrong_chain_is_fatal_over_every_transport(geth: Geth, transport: str) -> None:
    with pytest.raises(WrongChain, match="serves chain 1337, not 1") as caught:
        Rpc(geth.urls[transport], 1, timeout=60).check()
    assert isinstance(caught.value, FatalError)


def test_follower_rewinds_when_geth_sets_its_head_back(
    geth: Geth, contracts: Contracts, deployer: LocalSigner, tmp_path: Path
) -> None:
    """Must run last: it removes blocks that other tests rely on."""
    log = Journal(tmp_path / "journal.sqlite", None)
    follower = Follower(geth.rpc, contracts.deployment, log, Finality(0))
    base = follow(follower)
    send(geth.rpc, deployer, contracts.staking.set_paused(False))
    RealTimeChain(geth).mine(3)
    ahead = follow(follower)
    assert max(event.block for event in log.events()) > base
    geth.set_head(base)
    RealTimeChain(geth).mine(ahead - base + 2)
    progress = follower.poll()
    assert progress.rewound_to is not None
    assert progress.rewound_to <= base
    fresh = Journal(tmp_path / "fresh.sqlite", None)
    follow(Follower(geth.rpc, contracts.deployment, fresh, Finality(0)))
    follow(follower)
    newest = min(journal.checkpoints()[0].block for journal in (log, fresh))
    assert [e for e in log.events() if e.block <= newest] == [e for e in fresh.events() if e.block <= newest]
