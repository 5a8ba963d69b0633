"""Reorgs of up to 64 blocks on a real chain: the journal must equal a fresh scan of the chain."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.chain.anvil import CHAIN_ID, Chain, new_anvil
from tests.support.chain.registration import registration

from covey.chain.contracts import Call, Contracts
from covey.chain.deploy.deploy import DeployConfig, deploy
from covey.chain.errors import Unreachable
from covey.chain.events.decoder import Event
from covey.chain.events.follower import Checkpoint, Follower
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.finality import UNFINAL_BLOCKS, Finality
from covey.chain.rpc.http import HttpEndpoint
from covey.daemon.state.projection import ChainLog
from covey.daemon.storage.journal import Journal

pytestmark = pytest.mark.daemon

DEEPEST = 64
ON_A_CHAIN = settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=10
)
_names = itertools.count()


class Actors:
    """Operators that emit events by changing their reward addresses, and reorgs down to ``base``."""

    def __init__(self, chain: Chain, contracts: Contracts) -> None:
        self.chain = chain
        self.contracts = contracts
        self.numbers = itertools.count(1)
        signers = [chain.account(0xAC70 + i) for i in range(8)]
        self.operators = [signer.address for signer in signers]
        chain.ask("anvil_autoImpersonateAccount", True)
        chain.hold()
        for signer in signers:
            self._send(signer.address, registration(contracts, signer.address, signer, 100))
        chain.mine()
        self.base = chain.rpc.block_number()

    def _send(self, who: str, call: Call) -> None:
        self.chain.ask("eth_sendTransaction", self._fields(who, call))

    @staticmethod
    def _fields(who: str, call: Call) -> dict[str, str]:
        offer = {"gas": hex(500_000), "maxFeePerGas": hex(10**12), "maxPriorityFeePerGas": "0x1"}
        return {"from": who, "to": str(call.to), "data": "0x" + call.data.hex(), **offer}

    def _change(self) -> Call:
        return self.contracts.staking.set_reward_address(f"0x{next(self.numbers):040x}")

    def mine(self, blocks: Sequence[int]) -> None:
        """Mine one block per number, with that many events."""
        for events in blocks:
            for who in self.operators[:events]:
                self._send(who, self._change())
            self.chain.mine()

    def reorganise(self, depth: int, at: Sequence[int]) -> None:
        """Replace the newest blocks by as many others, with one event at each of the given offsets."""
        depth = self._depth(depth)
        pairs = zip(self.operators, [offset for offset in at if offset < depth], strict=False)
        base = self.chain.rpc.block_number() - depth
        changes = [
            [self._fields(who, self._change()) | {"nonce": hex(self.chain.rpc.nonce(who, base))}, offset]
            for who, offset in pairs
        ]
        self.chain.ask("anvil_reorg", depth, changes)

    def roll_back(self, depth: int) -> None:
        """Replace the newest blocks by a single one, so that the chain becomes shorter."""
        self.chain.ask("anvil_rollback", self._depth(depth))
        self.mine([1])

    def _depth(self, wanted: int) -> int:
        return min(wanted, self.chain.rpc.block_number() - self.base)

    @contextmanager
    def reverted(self) -> Iterator[None]:
        """Revert all changes to the chain at the end of the block."""
        snapshot = self.chain.ask("evm_snapshot")
        yield
        self.chain.ask("anvil_dropAllTransactions")
        self.chain.ask("evm_revert", snapshot)


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    """A new chain per test: after many reorgs anvil no longer mines the transactions of `anvil_reorg`."""
    with new_anvil(tmp_path) as chain:
        yield chain


@pytest.fixture
def contracts(chain: Chain) -> Contracts:
    """Covey's contracts on the chain."""
    return Contracts(chain.rpc, deploy(chain.rpc, chain.account(0xD0), DeployConfig.devnet()))


@pytest.fixture
def actors(chain: Chain, contracts: Contracts) -> Actors:
    return Actors(chain, contracts)


class Log:
    """A journal file and the follower that fills it."""

    def __init__(self, folder: Path, rpc: Rpc, contracts: Contracts, confirmations: int = 0) -> None:
        self.path = folder / f"{next(_names)}.sqlite"
        self.rpc = rpc
        self.contracts = contracts
        self.finality = Finality(confirmations)
        self.start()

    def start(self) -> None:
        """Open the journal and start the follower, like a node after a restart."""
        self.journal = Journal(self.path, None)
        self.sink = ChainLog(self.journal)
        self.follower = Follower(self.rpc, self.contracts.deployment, self.sink, self.finality, first_range=16)

    def catch_up(self) -> int | None:
        """Poll until caught up; return the lowest block rewound to, if any."""
        rewound = []
        while True:
            progress = self.follower.poll(max_ranges=3)
            rewound += [] if progress.rewound_to is None else [progress.rewound_to]
            if progress.caught_up:
                return min(rewound, default=None)

    @property
    def headers(self) -> dict[int, str]:
        return {checkpoint.block: checkpoint.hash for checkpoint in self.journal.checkpoints()}

    def check(self, folder: Path) -> list[Event]:
        """Compare the events with a scan from the start, and the headers with the chain."""
        fresh = Log(folder, Rpc(self.rpc.health[0].endpoint.url, CHAIN_ID), self.contracts)
        fresh.finality = self.finality
        fresh.start()
        fresh.catch_up()
        events = list(self.journal.events())
        assert events == list(fresh.journal.events())
        for block, block_hash in self.headers.items():
            assert fresh.rpc.block(block).hash == block_hash
        newest = max(self.headers)
        oldest = max(self.contracts.deployment.start_block, newest - DEEPEST)
        assert all(block in self.headers for block in range(oldest, newest + 1))
        fresh.journal.close()
        return events


def common_ancestor(log: Log) -> int | None:
    """The newest kept block that is still on the chain; None if that is the newest of all."""
    kept = sorted(log.headers.items(), reverse=True)
    for block, block_hash in kept:
        found = log.rpc.find_block(block)
        if found is not None and found.hash == block_hash:
            return None if block == kept[0][0] else block
    raise AssertionError("no kept header is on the chain")


mined = st.lists(st.integers(0, 2), min_size=1, max_size=20)
step = st.one_of(
    st.tuples(st.just("mine"), mined),
    st.tuples(st.just("reorganise"), st.integers(1, DEEPEST), st.lists(st.integers(0, DEEPEST - 1), max_size=4)),
    st.tuples(st.just("roll_back"), st.integers(1, DEEPEST)),
)


@ON_A_CHAIN
@given(
    confirmations=st.sampled_from([0, 0, 1, 3]),
    rounds=st.lists(st.lists(step, min_size=1, max_size=3), min_size=1, max_size=3),
    restarts=st.booleans(),
)
def test_journal_equals_a_fresh_scan_after_reorgs(
    actors: Actors, tmp_path: Path, confirmations: int, rounds: list[list[Any]], restarts: bool
) -> None:
    with actors.reverted():
        actors.mine([1] * 3 + [0] * 62 + [1])
        log = Log(tmp_path, actors.chain.rpc, actors.contracts, confirmations)
        log.catch_up()
        for steps in rounds:
            for name, *arguments in steps:
                getattr(actors, name)(*arguments)
            actors.chain.ask("anvil_mine", hex(DEEPEST + 2))  # so that the head is above all checkpoints
            ancestor = common_ancestor(log)
            if restarts:
                log.journal.close()
                log.start()
            assert log.catch_up() == ancestor
            log.check(tmp_path)
        log.journal.close()


def test_reorg_of_64_blocks_replaces_exactly_those(actors: Actors, tmp_path: Path) -> None:
    actors.mine([1] * DEEPEST)
    base = actors.chain.rpc.block_number() - DEEPEST
    log = Log(tmp_path, actors.chain.rpc, actors.contracts)
    log.catch_up()
    before = [event for event in log.journal.events() if event.block <= base]
    removed = {event.args["rewardAddress"] for event in log.journal.events() if event.block > base}
    assert len(removed) == DEEPEST
    actors.reorganise(DEEPEST, [0, 10, DEEPEST - 1])
    assert log.catch_up() == base
    events = log.check(tmp_path)
    assert events[: len(before)] == before
    new = events[len(before) :]
    assert [event.block for event in new] == [base + 1, base + 11, base + DEEPEST]
    assert not removed & {event.args["rewardAddress"] for event in new}


def test_shorter_chain_is_followed_at_once(actors: Actors, tmp_path: Path) -> None:
    actors.mine([1] * 20)
    log = Log(tmp_path, actors.chain.rpc, actors.contracts)
    log.catch_up()
    head = actors.chain.rpc.block_number()
    actors.roll_back(15)
    assert log.catch_up() == head - 15
    log.check(tmp_path)


def test_lagging_head_is_not_a_reorg(actors: Actors, tmp_path: Path) -> None:
    actors.mine([1] * 5)
    log = Log(tmp_path, actors.chain.rpc, actors.contracts)
    log.catch_up()
    before = list(log.journal.events())
    actors.chain.ask("anvil_rollback", 3)  # like an endpoint without the last three blocks
    with pytest.raises(Unreachable, match="head is behind"):
        log.follower.poll()
    assert list(log.journal.events()) == before


class ReorgingEndpoint(HttpEndpoint):
    """Reorganises the chain before the nth call."""

    def __init__(self, actors: Actors, moment: int, depth: int) -> None:
        super().__init__(actors.chain.url)
        self.actors = actors
        self.moment = moment
        self.depth = depth
        self.calls = 0

    def request(self, method: str, params: list[Any], timeout: float) -> Any:
        self.calls += 1
        if self.calls == self.moment:
            self.actors.reorganise(self.depth, [0, 2, 5, 11])
        return super().request(method, params, timeout)


@ON_A_CHAIN
@given(moment=st.integers(1, 120), depth=st.integers(1, 40), more=st.lists(st.integers(0, 1), min_size=1, max_size=40))
def test_reorg_during_a_poll(actors: Actors, tmp_path: Path, moment: int, depth: int, more: list[int]) -> None:
    with actors.reverted():
        log = Log(tmp_path, actors.chain.rpc, actors.contracts)
        log.catch_up()
        actors.mine(more)
        log.journal.close()
        log.rpc = Rpc([], CHAIN_ID, endpoints=[ReorgingEndpoint(actors, moment, depth)])
        log.start()
        for _ in range(3):
            with suppress(Unreachable):  # the chain changed during the poll; the next poll continues
                log.catch_up()
        log.check(tmp_path)
        log.journal.close()


class Crash(Exception):
    """Simulated end of the process."""


class Crashing:
    """A sink that raises Crash before or after its nth transaction."""

    def __init__(self, sink: ChainLog, moment: int, after: bool) -> None:
        self.sink = sink
        self.remaining = moment
        self.after = after

    def checkpoints(self) -> Sequence[Checkpoint]:
        return self.sink.checkpoints()

    def commit(self, events: Sequence[Event], checkpoint: Checkpoint, headers: Sequence[Checkpoint] = ()) -> None:
        self._crash_around(self.sink.commit, events, checkpoint, headers)

    def rewind(self, block: int) -> None:
        self._crash_around(self.sink.rewind, block)

    def _crash_around(self, change: Any, *arguments: Any) -> None:
        self.remaining -= 1
        if self.remaining == 0 and not self.after:
            raise Crash
        change(*arguments)
        if self.remaining == 0:
            raise Crash


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_follower_resumes_after_a_crash_at_any_transaction(actors: Actors, tmp_path: Path, after: bool) -> None:
    actors.mine([1, 0, 2] * 14)
    for moment in range(1, 40):
        log = Log(tmp_path, actors.chain.rpc, actors.contracts)
        crashing = Crashing(log.sink, moment, after)
        follower = Follower(log.rpc, actors.contracts.deployment, crashing, first_range=8, finality=log.finality)
        try:
            while not follower.poll(max_ranges=2).caught_up:
                pass
            actors.reorganise(40, [1, 30])
            while not follower.poll(max_ranges=2).caught_up:
                pass
            finished = True
        except Crash:
            finished = False
        log.journal.close()
        log.start()
        log.catch_up()
        log.check(tmp_path)
        log.journal.close()
        if finished:
            return
    raise AssertionError("more than 39 transactions")


def test_long_loss_of_finality_is_survived(chain: Chain, contracts: Contracts, tmp_path: Path) -> None:
    class Stalled(HttpEndpoint):
        """The finalised block stays at ``at``."""

        at = chain.rpc.block("latest").number

        def request(self, method: str, params: list[Any], timeout: float) -> Any:
            if params[:1] == ["finalized"]:
                params = [hex(self.at), *params[1:]]
            return super().request(method, params, timeout)

    endpoint = Stalled(chain.url)
    log = Log(tmp_path, Rpc([], CHAIN_ID, endpoints=[endpoint]), contracts)
    log.finality = Finality()
    log.start()
    log.catch_up()
    before = list(log.journal.events())
    actors = Actors(chain, contracts)
    actors.mine([1] * (UNFINAL_BLOCKS + 10))
    for _ in range(3):
        progress = log.follower.poll()
        assert progress.caught_up
        assert progress.events == 0
    assert list(log.journal.events()) == before
    endpoint.at += UNFINAL_BLOCKS
    log.catch_up()
    new = list(log.journal.events())[len(before) :]
    assert [event.name for event in new].count("RewardAddressChanged") >= UNFINAL_BLOCKS - 1
    assert new[-1].block == endpoint.at
