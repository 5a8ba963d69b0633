"""The follower on a real chain: resumption, adaptive ranges, rewinds after a reorg."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from tests.support.chain.anvil import CHAIN_ID, Chain
from tests.support.chain.registration import registration

from covey.chain.contracts import Contracts
from covey.chain.errors import RpcResponseError, Unreachable
from covey.chain.events.decoder import Event
from covey.chain.events.follower import Checkpoint, Follower
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.endpoint import EndpointFault
from covey.chain.rpc.finality import UNFINAL_BLOCKS, Finality
from covey.chain.rpc.http import HttpEndpoint
from covey.chain.signing.keystore import LocalSigner
from covey.chain.tx.oneshot import send

pytestmark = pytest.mark.daemon


class MemorySink:
    """A sink that checks the follower's guarantees: no duplicate event, none above the checkpoint."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.kept: list[Checkpoint] = []

    def checkpoints(self) -> Sequence[Checkpoint]:
        return self.kept[::-1]

    def commit(self, events: Sequence[Event], checkpoint: Checkpoint, headers: Sequence[Checkpoint] = ()) -> None:
        last = self.kept[-1].block if self.kept else -1
        assert checkpoint.block > last
        assert all(last < event.block <= checkpoint.block for event in events)
        json.dumps([event.args for event in events])  # a journal stores the arguments as JSON
        self.events += events
        assert [h.block for h in headers] == sorted({h.block for h in headers} - {checkpoint.block})
        self.kept += [*headers, checkpoint]

    def rewind(self, block: int) -> None:
        self.events = [event for event in self.events if event.block <= block]
        self.kept = [checkpoint for checkpoint in self.kept if checkpoint.block <= block]


def register(chain: Chain, contracts: Contracts, number: int) -> str:
    """Register an operator, which emits one event of Staking."""
    signer = chain.account(number)
    send(chain.rpc, signer, registration(contracts, signer.address, signer, 100))
    return signer.address


def operators(sink: MemorySink) -> list[str]:
    return [event.args["operator"] for event in sink.events if event.name == "OperatorRegistered"]


def test_each_event_since_the_deployment_is_read_once(chain: Chain, contracts: Contracts) -> None:
    sink = MemorySink()
    follower = Follower(chain.rpc, contracts.deployment, sink, Finality(0))
    registered = [register(chain, contracts, n) for n in (1, 2)]
    progress = follower.poll()
    assert progress.caught_up
    assert progress.checkpoint.block == chain.rpc.block_number()
    assert operators(sink) == registered
    assert {"DutySet"} <= {event.name for event in sink.events}
    assert follower.poll().events == 0
    registered.append(register(chain, contracts, 3))
    another = Follower(chain.rpc, contracts.deployment, sink, Finality(0))  # after a restart
    assert another.poll().events == 1
    assert operators(sink) == registered


def test_events_read_before_a_fault_are_stored(chain: Chain, contracts: Contracts) -> None:
    """Otherwise a node could not catch up over an unreliable connection."""

    class Flaky(HttpEndpoint):
        remaining = 0

        def request(self, method: str, params: list[Any], timeout: float) -> Any:
            if method == "eth_getLogs":
                self.remaining -= 1
                if self.remaining < 0:
                    raise EndpointFault(f"{method}: broke off")
            return super().request(method, params, timeout)

    sink, registered = MemorySink(), []
    Follower(chain.rpc, contracts.deployment, sink, Finality(0)).poll()
    start = sink.kept[-1].block
    for number in range(1, 9):
        registered.append(register(chain, contracts, number))
    endpoint = Flaky(chain.url)
    follower = Follower(Rpc([], CHAIN_ID, endpoints=[endpoint]), contracts.deployment, sink, Finality(0))
    for poll in (1, 2):
        endpoint.remaining = 3
        with pytest.raises(Unreachable, match="broke off"):
            follower.poll()
        assert sink.kept[-1].block == start + 3 * poll
        assert operators(sink) == registered[: 3 * poll]
    endpoint.remaining = 3
    assert follower.poll().caught_up
    assert operators(sink) == registered


def test_events_wait_for_confirmations(chain: Chain, contracts: Contracts) -> None:
    sink = MemorySink()
    follower = Follower(chain.rpc, contracts.deployment, sink, Finality(2))
    registered = register(chain, contracts, 1)
    follower.poll()
    assert operators(sink) == []
    chain.mine(2)
    follower.poll()
    assert operators(sink) == [registered]


def test_event_removed_by_a_reorg_is_deleted(chain: Chain, contracts: Contracts) -> None:
    sink = MemorySink()
    follower = Follower(chain.rpc, contracts.deployment, sink, Finality(0))
    first = register(chain, contracts, 1)
    follower.poll()
    snapshot = chain.ask("evm_snapshot")
    register(chain, contracts, 2)
    follower.poll()
    assert len(operators(sink)) == 2
    chain.ask("evm_revert", snapshot)
    third = register(chain, contracts, 3)
    progress = follower.poll()
    assert progress.rewound_to is not None
    assert operators(sink) == [first, third]
    assert follower.poll().rewound_to is None


def test_chain_without_a_common_ancestor_is_read_from_the_start(chain: Chain, contracts: Contracts) -> None:
    sink = MemorySink()
    registered = register(chain, contracts, 1)
    sink.kept = [Checkpoint(contracts.deployment.start_block + 1, "0x" + "00" * 32)]
    Follower(chain.rpc, contracts.deployment, sink, Finality(0)).poll()
    assert operators(sink) == [registered]


def test_lagging_endpoint_is_not_a_reorg(chain: Chain, contracts: Contracts) -> None:
    sink = MemorySink()
    sink.kept = [Checkpoint(chain.rpc.block_number() + 50, "0x" + "00" * 32)]
    with pytest.raises(Unreachable, match="head is behind"):
        Follower(chain.rpc, contracts.deployment, sink, Finality(0)).poll()
    assert sink.kept


class Limited(HttpEndpoint):
    """The real chain behind a provider with a limit on blocks per query."""

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


def test_ranges_shrink_to_the_limit_and_grow_back(chain: Chain, contracts: Contracts) -> None:
    register(chain, contracts, 1)
    chain.ask("anvil_mine", hex(600))
    too_many = RpcResponseError("eth_getLogs", -32005, "query returned more than 10000 results")
    endpoint = Limited(chain.url, 40, too_many)
    sink = MemorySink()
    follower = Follower(
        Rpc([], CHAIN_ID, endpoints=[endpoint]), contracts.deployment, sink, Finality(0), first_range=256
    )
    while not follower.poll(max_ranges=4).caught_up:
        pass
    assert len(operators(sink)) == 1
    accepted = [blocks for blocks in endpoint.ranges if blocks <= 40]
    assert sum(accepted) == chain.rpc.block_number() - UNFINAL_BLOCKS - contracts.deployment.start_block + 1
    endpoint.limit = 1_000
    chain.ask("anvil_mine", hex(1_500))
    while not follower.poll(max_ranges=4).caught_up:
        pass
    assert max(blocks for blocks in endpoint.ranges if blocks <= 1_000) > 64


def test_slow_provider_gets_a_smaller_range_in_the_next_poll(chain: Chain, contracts: Contracts) -> None:
    chain.ask("anvil_mine", hex(100 + UNFINAL_BLOCKS))
    endpoint = Limited(chain.url, 16, EndpointFault("eth_getLogs: no answer in time", slow=True))
    rpc = Rpc([], CHAIN_ID, endpoints=[endpoint])
    sink = MemorySink()
    follower = Follower(rpc, contracts.deployment, sink, Finality(0), first_range=64)
    for _ in range(2):
        with pytest.raises(Unreachable):
            follower.poll()
    follower.poll(max_ranges=1)
    assert endpoint.ranges[:3] == [64, 32, 16]
    assert len(sink.kept) == 1


def test_single_block_above_the_limit_is_reported(chain: Chain, contracts: Contracts) -> None:
    endpoint = Limited(chain.url, 0, RpcResponseError("eth_getLogs", -32005, "query returned more than 10000 results"))
    with pytest.raises(Unreachable, match="more than 10000"):
        Follower(Rpc([], endpoints=[endpoint]), contracts.deployment, MemorySink(), Finality(0)).poll()


class Shuffled(HttpEndpoint):
    """Returns logs in reverse order."""

    def request(self, method: str, params: list[Any], timeout: float) -> Any:
        result = super().request(method, params, timeout)
        return result[::-1] if method == "eth_getLogs" else result


def test_logs_out_of_order_are_rejected(chain: Chain, contracts: Contracts) -> None:
    register(chain, contracts, 1)
    sink = MemorySink()
    follower = Follower(Rpc([], endpoints=[Shuffled(chain.url)]), contracts.deployment, sink, Finality(0))
    with pytest.raises(Unreachable, match="out of order"):
        follower.poll()
    assert sink.events == []


def test_chain_below_the_deployment_has_no_events(chain: Chain, contracts: Contracts, deployer: LocalSigner) -> None:
    sink = MemorySink()
    progress = Follower(chain.rpc, contracts.deployment, sink, Finality(10_000)).poll()
    assert progress.target.number == 0
    assert sink.events == []
    assert sink.kept == []
