"""Following a real chain: resuming, adapting ranges, rewinding after a reorganisation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from tests.support.chain.anvil import CHAIN_ID, Chain

from covey.chain.contracts import Contracts
from covey.chain.errors import RpcResponseError, TooManyResults, Unreachable
from covey.chain.events.decoder import Event
from covey.chain.events.follower import Checkpoint, Follower
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.endpoint import EndpointFault
from covey.chain.rpc.finality import UNFINAL_BLOCKS, Finality
from covey.chain.rpc.http import HttpEndpoint
from covey.chain.signing.keystore import LocalSigner
from covey.chain.tx.oneshot import send

pytestmark = pytest.mark.daemon


class Memory:
    """A sink that also checks what every sink may rely on: no event twice, none behind the checkpoint."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.marks: list[Checkpoint] = []

    def checkpoints(self) -> Sequence[Checkpoint]:
        return self.marks[::-1]

    def commit(self, events: Sequence[Event], checkpoint: Checkpoint, headers: Sequence[Checkpoint] = ()) -> None:
        last = self.marks[-1].block if self.marks else -1
        assert checkpoint.block > last
        assert all(last < event.block <= checkpoint.block for event in events)
        json.dumps([event.args for event in events])  # goes into a journal as it is
        self.events += events
        assert [h.block for h in headers] == sorted({h.block for h in headers} - {checkpoint.block})
        self.marks += [*headers, checkpoint]

    def rewind(self, block: int) -> None:
        self.events = [event for event in self.events if event.block <= block]
        self.marks = [mark for mark in self.marks if mark.block <= block]


def act(chain: Chain, contracts: Contracts, number: int) -> str:
    """Register an operator: one event of Staking."""
    signer = chain.account(number)
    send(chain.rpc, signer, contracts.staking.register_operator(signer.address, signer.address, 100))
    return signer.address


def operators(sink: Memory) -> list[str]:
    return [event.args["operator"] for event in sink.events if event.name == "OperatorRegistered"]


def test_reads_from_the_deployment_on_and_each_event_once(chain: Chain, contracts: Contracts) -> None:
    sink = Memory()
    follower = Follower(chain.rpc, contracts.deployment, sink, Finality(0))
    registered = [act(chain, contracts, n) for n in (1, 2)]
    progress = follower.poll()
    assert progress.caught_up
    assert progress.checkpoint.block == chain.rpc.block_number()
    assert operators(sink) == registered
    assert {"DutySet"} <= {event.name for event in sink.events}
    assert follower.poll().events == 0
    registered.append(act(chain, contracts, 3))
    another = Follower(chain.rpc, contracts.deployment, sink, Finality(0))  # after a restart
    assert another.poll().events == 1
    assert operators(sink) == registered


def test_what_was_read_before_an_endpoint_failed_is_kept(chain: Chain, contracts: Contracts) -> None:
    """Otherwise a node would never catch up over a connection that breaks more often than once in many blocks."""

    class Flaky(HttpEndpoint):
        left = 0

        def request(self, method: str, params: list[Any], timeout: float) -> Any:
            if method == "eth_getLogs":
                self.left -= 1
                if self.left < 0:
                    raise EndpointFault(f"{method}: broke off")
            return super().request(method, params, timeout)

    sink, registered = Memory(), []
    Follower(chain.rpc, contracts.deployment, sink, Finality(0)).poll()
    start = sink.marks[-1].block
    for number in range(1, 9):
        registered.append(act(chain, contracts, number))
    endpoint = Flaky(chain.url)
    follower = Follower(Rpc([], CHAIN_ID, endpoints=[endpoint]), contracts.deployment, sink, Finality(0))
    for poll in (1, 2):
        endpoint.left = 3
        with pytest.raises(Unreachable, match="broke off"):
            follower.poll()
        assert sink.marks[-1].block == start + 3 * poll
        assert operators(sink) == registered[: 3 * poll]
    endpoint.left = 3
    assert follower.poll().caught_up
    assert operators(sink) == registered


def test_confirmations_hold_events_back(chain: Chain, contracts: Contracts) -> None:
    sink = Memory()
    follower = Follower(chain.rpc, contracts.deployment, sink, Finality(2))
    registered = act(chain, contracts, 1)
    follower.poll()
    assert operators(sink) == []
    chain.mine(2)
    follower.poll()
    assert operators(sink) == [registered]


def test_an_event_that_was_undone_is_forgotten(chain: Chain, contracts: Contracts) -> None:
    sink = Memory()
    follower = Follower(chain.rpc, contracts.deployment, sink, Finality(0))
    first = act(chain, contracts, 1)
    follower.poll()
    snapshot = chain.ask("evm_snapshot")
    act(chain, contracts, 2)
    follower.poll()
    assert len(operators(sink)) == 2
    chain.ask("evm_revert", snapshot)
    third = act(chain, contracts, 3)
    progress = follower.poll()
    assert progress.rewound_to is not None
    assert operators(sink) == [first, third]
    assert follower.poll().rewound_to is None


def test_a_chain_that_shares_nothing_is_read_anew(chain: Chain, contracts: Contracts) -> None:
    sink = Memory()
    registered = act(chain, contracts, 1)
    sink.marks = [Checkpoint(contracts.deployment.start_block + 1, "0x" + "00" * 32)]
    Follower(chain.rpc, contracts.deployment, sink, Finality(0)).poll()
    assert operators(sink) == [registered]


def test_an_endpoint_that_lags_is_no_reorganisation(chain: Chain, contracts: Contracts) -> None:
    sink = Memory()
    sink.marks = [Checkpoint(chain.rpc.block_number() + 50, "0x" + "00" * 32)]
    with pytest.raises(Unreachable, match="head is behind"):
        Follower(chain.rpc, contracts.deployment, sink, Finality(0)).poll()
    assert sink.marks


class Limited(HttpEndpoint):
    """The real chain behind a provider that takes few blocks a query."""

    def __init__(self, url: str, limit: int, fault: Exception) -> None:
        super().__init__(url)
        self.limit = limit
        self.fault = fault
        self.ranges: list[int] = []

    def request(self, method: str, params: list[Any], timeout: float) -> Any:
        if method == "eth_getLogs":
            single = "blockHash" in params[0]
            blocks = 1 if single else int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) + 1
            if not single:
                self.ranges.append(blocks)
            if blocks > self.limit:
                raise self.fault
        return super().request(method, params, timeout)


def test_ranges_shrink_until_the_provider_takes_them_and_grow_back(chain: Chain, contracts: Contracts) -> None:
    act(chain, contracts, 1)
    chain.ask("anvil_mine", hex(600))
    too_many = RpcResponseError("eth_getLogs", -32005, "query returned more than 10000 results")
    endpoint = Limited(chain.url, 40, too_many)
    sink = Memory()
    follower = Follower(
        Rpc([], CHAIN_ID, endpoints=[endpoint]), contracts.deployment, sink, Finality(0), first_range=256
    )
    while not follower.poll(max_ranges=4).caught_up:
        pass
    assert len(operators(sink)) == 1
    taken = [blocks for blocks in endpoint.ranges if blocks <= 40]
    assert sum(taken) == chain.rpc.block_number() - UNFINAL_BLOCKS - contracts.deployment.start_block + 1
    endpoint.limit = 1_000
    chain.ask("anvil_mine", hex(1_500))
    while not follower.poll(max_ranges=4).caught_up:
        pass
    assert max(blocks for blocks in endpoint.ranges if blocks <= 1_000) > 64


def test_a_slow_provider_is_asked_for_less_the_next_time(chain: Chain, contracts: Contracts) -> None:
    chain.ask("anvil_mine", hex(100 + UNFINAL_BLOCKS))
    endpoint = Limited(chain.url, 16, EndpointFault("eth_getLogs: no answer in time", slow=True))
    rpc = Rpc([], CHAIN_ID, endpoints=[endpoint])
    sink = Memory()
    follower = Follower(rpc, contracts.deployment, sink, Finality(0), first_range=64)
    for _ in range(2):
        with pytest.raises(Unreachable):
            follower.poll()
    follower.poll(max_ranges=1)
    assert endpoint.ranges[:3] == [64, 32, 16]
    assert len(sink.marks) == 1


def test_a_block_too_large_by_itself_is_told(chain: Chain, contracts: Contracts) -> None:
    endpoint = Limited(chain.url, 0, RpcResponseError("eth_getLogs", -32005, "query returned more than 10000 results"))
    with pytest.raises(TooManyResults, match="more than 10000"):
        Follower(Rpc([], endpoints=[endpoint]), contracts.deployment, Memory(), Finality(0)).poll()


class Shuffled(HttpEndpoint):
    """Answers logs backwards."""

    def request(self, method: str, params: list[Any], timeout: float) -> Any:
        result = super().request(method, params, timeout)
        return result[::-1] if method == "eth_getLogs" else result


def test_logs_out_of_order_are_not_believed(chain: Chain, contracts: Contracts) -> None:
    act(chain, contracts, 1)
    sink = Memory()
    follower = Follower(Rpc([], endpoints=[Shuffled(chain.url)]), contracts.deployment, sink, Finality(0))
    with pytest.raises(Unreachable, match="out of order"):
        follower.poll()
    assert sink.events == []


def test_a_chain_before_the_deployment_has_nothing(chain: Chain, contracts: Contracts, deployer: LocalSigner) -> None:
    sink = Memory()
    progress = Follower(chain.rpc, contracts.deployment, sink, Finality(10_000)).poll()
    assert progress.target.number == 0
    assert sink.events == []
    assert sink.marks == []
