"""What each fault of the chaos tests' proxy of a chain does to a node's own client, against a real chain."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from eth_utils.address import to_checksum_address
from tests.support.chain.anvil import CHAIN_ID, Chain
from tests.support.chaos.rpc_proxy import FAULTS, FUTURE_BLOCKS, SENDING, STALE_BLOCKS, RpcProxy

from covey.chain.contracts import Call, Contracts
from covey.chain.errors import Disagreement, RpcResponseError, TooManyResults, Unreachable, WrongDeployment
from covey.chain.events.decoder import topic_of
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.endpoint import EndpointFault
from covey.chain.rpc.finality import newest_block
from covey.chain.rpc.http import HttpEndpoint
from covey.chain.tx.oneshot import send

pytestmark = pytest.mark.daemon


@pytest.fixture
def proxy(chain: Chain) -> Iterator[RpcProxy]:
    running = RpcProxy(chain.url)
    yield running
    running.close()


def head(rpc: Rpc) -> int:
    return rpc.block("latest").number


def test_without_a_fault_it_is_the_chain(proxy: RpcProxy, chain: Chain, contracts: Contracts) -> None:
    rpc = Rpc(proxy.url, CHAIN_ID)
    assert rpc.block_number() == chain.rpc.block_number()
    assert Contracts(rpc, contracts.deployment).token.total_supply() == contracts.token.total_supply()
    with pytest.raises(RpcResponseError, match="not found"):
        rpc.request("no_such_method", [])
    assert proxy.seen[None] >= 3
    assert not proxy.hits


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("429", "HTTP 429"),
        ("500", "HTTP 500"),
        ("503", "HTTP 503"),
        ("cut off", "IncompleteRead|broken|closed"),
        ("half JSON", "not JSON"),
        ("another call's", "another call"),
        ("hangs", "no answer in time"),
    ],
)
def test_no_answer(proxy: RpcProxy, fault: str, told: str) -> None:
    proxy.set(fault)
    with pytest.raises(EndpointFault, match=told):
        HttpEndpoint(proxy.url).request("eth_blockNumber", [], 2 if fault == "hangs" else 60)
    assert proxy.hits == {fault: 1}
    proxy.set(None)
    assert HttpEndpoint(proxy.url).request("eth_blockNumber", [], 60)


def test_garbage_is_nothing_that_a_client_believes(proxy: RpcProxy) -> None:
    rpc = Rpc(proxy.url, CHAIN_ID, timeout=30)
    rpc.check()
    proxy.set("garbage")
    for _ in range(30):
        rpc.health[0].checked = True
        with pytest.raises(Unreachable):
            rpc.block("latest")
    assert proxy.hits["garbage"] >= 30


def test_errors_of_a_node(proxy: RpcProxy) -> None:
    rpc = Rpc(proxy.url, CHAIN_ID, timeout=30)
    proxy.set("too many results")
    with pytest.raises(TooManyResults):
        rpc.logs([], 0, 1)
    assert head(rpc) >= 0, "asked for nothing but logs it answers"
    for fault in ("header not found", "internal error"):
        proxy.set(fault)
        with pytest.raises(Unreachable, match=fault):
            head(rpc)


def test_a_node_without_state_ends_nobodys_work(proxy: RpcProxy, chain: Chain, contracts: Contracts) -> None:
    """What it answers is no reason to take the contracts for others."""
    proxy.set("no state")
    deployment = contracts.deployment
    with pytest.raises(Unreachable, match="returned a malformed result of totalSupply"):
        Contracts(Rpc(proxy.url, CHAIN_ID), deployment).token.total_supply()
    with pytest.raises(WrongDeployment, match="no contract at"):
        deployment.verify(Rpc(proxy.url, CHAIN_ID))  # nobody says otherwise
    with pytest.raises(Disagreement):
        deployment.verify(Rpc([proxy.url, chain.url], CHAIN_ID, timeout=60))
    deployment.verify(Rpc([proxy.url, chain.url, chain.url], CHAIN_ID, timeout=60))
    proxy.set("garbage")
    rpc = Rpc(proxy.url, CHAIN_ID, timeout=30)
    for _ in range(30):
        rpc.health[0].checked = True
        with pytest.raises(Unreachable):
            Contracts(rpc, deployment).token.total_supply()


def test_a_stale_head_is_stale_in_every_answer(proxy: RpcProxy, chain: Chain) -> None:
    bank, alice = chain.account(0xBA27), to_checksum_address("0x" + "a1" * 20)
    send(chain.rpc, bank, Call(alice, b"", "pay", 5))
    chain.mine(STALE_BLOCKS)
    proxy.set("stale head")
    rpc, now = Rpc(proxy.url, CHAIN_ID), chain.rpc.block_number()
    assert rpc.block_number() == head(rpc) == rpc.block("finalized").number == now - STALE_BLOCKS
    assert rpc.find_block(now) is None
    assert rpc.balance(alice) == 5
    sent = send(chain.rpc, bank, Call(alice, b"", "pay", 2))
    assert (rpc.balance(alice), chain.rpc.balance(alice)) == (5, 7)
    assert rpc.receipt(sent.tx_hash) is None
    waiting = rpc.transaction(sent.tx_hash)
    assert waiting is not None
    assert waiting["blockNumber"] is None
    assert rpc.nonce(bank.address) == rpc.nonce(bank.address, "pending") == chain.rpc.nonce(bank.address) - 1
    with pytest.raises(Unreachable, match="header not found"):
        rpc.balance(alice, now + 1)
    with pytest.raises(Unreachable, match="beyond current head"):
        rpc.logs([], now, now + 1)
    with pytest.raises(Unreachable, match="unknown block"):
        rpc.logs_of([], sent.block_hash)


def test_a_wavering_head_goes_back_and_forth(proxy: RpcProxy, chain: Chain) -> None:
    chain.mine(STALE_BLOCKS)
    proxy.set("wavering head")
    rpc = Rpc(proxy.url, CHAIN_ID)
    assert len({rpc.block_number() for _ in range(40)}) > 2


def test_heads_that_do_not_exist(proxy: RpcProxy, chain: Chain) -> None:
    rpc, now = Rpc(proxy.url, CHAIN_ID), chain.rpc.block_number()
    proxy.set("future head")
    assert rpc.block_number() == head(rpc) == now + FUTURE_BLOCKS
    assert rpc.find_block(now + FUTURE_BLOCKS) is None
    proxy.set("wrong finalized")
    assert {rpc.block("finalized").number for _ in range(40)} == {0, now, now + FUTURE_BLOCKS}
    assert head(rpc) == now


def test_the_time_of_a_head_that_does_not_exist_is_not_believed(proxy: RpcProxy, chain: Chain) -> None:
    """In the last tenth of a window a node without scores abstains: a wrong time would cost it its pay."""
    rpc = Rpc([proxy.url, chain.url], CHAIN_ID, timeout=60)
    proxy.set("future head")
    with pytest.raises(Unreachable, match=r"has no block"):
        newest_block(rpc)
    assert "claimed block" in rpc.report()[0].last_fault
    assert newest_block(rpc) == chain.rpc.block("latest")  # the honest one is asked now


@pytest.mark.parametrize("fault", SENDING)
def test_transactions(proxy: RpcProxy, chain: Chain, fault: str) -> None:
    bank, alice = chain.account(0xBA27), to_checksum_address("0x" + "a2" * 20)
    proxy.set(fault)
    fields = {"type": 2, "chainId": CHAIN_ID, "to": alice, "value": 9, "gas": 21_000, "maxPriorityFeePerGas": 1}
    fields |= {"nonce": chain.rpc.nonce(bank.address), "maxFeePerGas": 10**10, "data": b""}
    signed = bank.sign_transaction(fields)
    if fault == "lost answer":
        with pytest.raises(EndpointFault, match="HTTP 502"):
            HttpEndpoint(proxy.url).request("eth_sendRawTransaction", ["0x" + signed.raw.hex()], 30)
        end = time.monotonic() + 60
        while chain.rpc.receipt(signed.hash) is None:  # anvil mines it after its answer
            assert time.monotonic() < end, "it did not arrive"
            time.sleep(0.05)
        assert chain.rpc.balance(alice) == 9
    else:
        Rpc(proxy.url, CHAIN_ID).send_raw(signed.raw)
        assert chain.rpc.transaction(signed.hash) is None
    assert proxy.hits == {fault: 1}


def test_events_can_be_hidden(proxy: RpcProxy, contracts: Contracts) -> None:
    rpc = Rpc(proxy.url, CHAIN_ID)
    staking = [contracts.staking.address]
    everything = rpc.logs(staking, 0, rpc.block_number())
    proxy.hide([topic_of("Staking", "DutySet")])
    shown = rpc.logs(staking, 0, rpc.block_number())
    assert len(shown) < len(everything)
    assert {log["topics"][0] for log in everything} - {log["topics"][0] for log in shown} == proxy.hidden
    assert proxy.hits["hidden"] == 1


def test_every_fault_is_named_and_can_follow_every_other(proxy: RpcProxy) -> None:
    for fault in FAULTS:
        proxy.set(fault)
    with pytest.raises(KeyError):
        proxy.set("no such fault")
    proxy.set(None)
    assert Rpc(proxy.url, CHAIN_ID).block_number() >= 0
