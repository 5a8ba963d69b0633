"""Quorum reads over endpoints that return wrong data, lag, fork, or do not answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eth_utils.address import to_checksum_address
from tests.support.chain.anvil import CHAIN_ID, Chain
from tests.support.chain.servers import Answer, Server, proxy

from covey.chain.contracts import Call, Contracts
from covey.chain.errors import ContractReverted, Disagreement, RpcResponseError, TransientError, Unreachable
from covey.chain.events.follower import Follower
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.finality import Finality
from covey.chain.rpc.http import HttpEndpoint
from covey.chain.rpc.quorum import quorum_read
from covey.chain.tx.oneshot import send
from covey.daemon.storage.journal import Journal

pytestmark = pytest.mark.daemon

Serve = Callable[[Answer], Server]
ALICE = "0x" + "a1" * 20


@pytest.fixture
def changing_proxy(chain: Chain, serve: Serve) -> Callable[[Callable[[str, list[Any], Any], Any]], str]:
    """Start a proxy of the real chain that changes its answers; return the URL."""

    def forward(method: str, params: list[Any]) -> Any:
        return HttpEndpoint(chain.url).request(method, params, 30)

    return lambda change: serve(proxy(forward, change)).url


def unchanged(method: str, params: list[Any], answer: Any) -> Any:
    return answer


def zero_calls(method: str, params: list[Any], answer: Any) -> Any:
    """Replace every result of a contract call by zeros."""
    return "0x" + "00" * ((len(answer) - 2) // 2) if method == "eth_call" else answer


def supply(contracts: Contracts) -> Callable[[Rpc], int]:
    return lambda pinned: Contracts(pinned, contracts.deployment).token.total_supply()


def test_two_correct_endpoints_agree(chain: Chain, contracts: Contracts, changing_proxy: Any) -> None:
    rpc = Rpc([chain.url, changing_proxy(unchanged)], CHAIN_ID, timeout=60)
    assert quorum_read(rpc, supply(contracts)) == contracts.token.total_supply() > 0
    assert [health.outvoted for health in rpc.health] == [0, 0]


@pytest.mark.parametrize("first", [True, False], ids=["wrong first", "wrong second"])
def test_one_wrong_endpoint_of_two_is_a_disagreement(
    chain: Chain, contracts: Contracts, changing_proxy: Any, first: bool
) -> None:
    urls = [chain.url, changing_proxy(zero_calls)]
    rpc = Rpc(urls[::-1] if first else urls, CHAIN_ID, timeout=60)
    with pytest.raises(Disagreement, match=r"2 must agree: http.*: 0; http|2 must agree: http.*; http.*: 0"):
        quorum_read(rpc, supply(contracts))
    assert isinstance(Disagreement(""), TransientError)


def test_one_wrong_endpoint_of_three_is_outvoted_and_cools_down(
    chain: Chain, contracts: Contracts, changing_proxy: Any
) -> None:
    rpc = Rpc([changing_proxy(zero_calls), chain.url, changing_proxy(unchanged)], CHAIN_ID, timeout=60)
    assert quorum_read(rpc, supply(contracts)) == contracts.token.total_supply()
    assert [health.outvoted for health in rpc.health] == [1, 0, 0]
    assert rpc.report()[0].last_fault == "was outvoted"
    with pytest.raises(Disagreement):
        quorum_read(rpc, supply(contracts), quorum=3)


def test_false_head_does_not_change_the_result(chain: Chain, contracts: Contracts, changing_proxy: Any) -> None:
    def ahead(method: str, params: list[Any], answer: Any) -> Any:
        return hex(int(answer, 16) + 1_000) if method == "eth_blockNumber" else answer

    rpc = Rpc([changing_proxy(ahead), chain.url], CHAIN_ID, timeout=60)
    assert quorum_read(rpc, supply(contracts)) == contracts.token.total_supply()


def test_read_is_as_of_the_newest_common_block(chain: Chain, changing_proxy: Any) -> None:
    """An endpoint without the newest blocks agrees: the read is at the newest block that both have."""
    bank = chain.account(0xBA27)
    send(chain.rpc, bank, Call(to_checksum_address(ALICE), b"", "pay", 5))
    old = chain.rpc.block_number()

    def lags(method: str, params: list[Any], answer: Any) -> Any:
        return hex(old) if method == "eth_blockNumber" else answer

    send(chain.rpc, bank, Call(to_checksum_address(ALICE), b"", "pay", 2))
    chain.mine(3)
    rpc = Rpc([chain.url, changing_proxy(lags)], CHAIN_ID, timeout=60)
    assert rpc.balance(ALICE) == 7
    assert quorum_read(rpc, lambda pinned: pinned.balance(ALICE)) == 5


def test_read_at_a_named_block_requires_its_hash(chain: Chain, changing_proxy: Any) -> None:
    bank = chain.account(0xBA28)
    send(chain.rpc, bank, Call(to_checksum_address(ALICE), b"", "pay", 5))
    then = chain.rpc.block()
    send(chain.rpc, bank, Call(to_checksum_address(ALICE), b"", "pay", 2))
    rpc = Rpc([chain.url, changing_proxy(unchanged)], CHAIN_ID, timeout=60)
    balance = quorum_read(rpc, lambda pinned: pinned.balance(ALICE))
    assert quorum_read(rpc, lambda pinned: pinned.balance(ALICE), at=(then.number, then.hash)) == balance - 2
    with pytest.raises(Unreachable, match="is not the requested one"):
        quorum_read(rpc, lambda pinned: pinned.balance(ALICE), at=(then.number, "0x" + "99" * 32))
    with pytest.raises(Unreachable, match="0 RPC endpoints answered, 2 must"):
        quorum_read(rpc, lambda pinned: pinned.balance(ALICE), at=(then.number + 1_000, then.hash))


def test_endpoint_on_another_fork_does_not_agree(chain: Chain, changing_proxy: Any) -> None:
    def forked(method: str, params: list[Any], answer: Any) -> Any:
        return answer | {"hash": "0x" + "99" * 32} if method == "eth_getBlockByNumber" else answer

    rpc = Rpc([chain.url, changing_proxy(forked)], CHAIN_ID, timeout=60)
    with pytest.raises(Disagreement):
        quorum_read(rpc, lambda pinned: pinned.balance(ALICE))


def test_agreed_revert_is_raised(chain: Chain, contracts: Contracts, changing_proxy: Any) -> None:
    rpc = Rpc([chain.url, chain.url], CHAIN_ID, timeout=60)
    call = contracts.staking.set_commission(100)  # the sender is no operator
    with pytest.raises(ContractReverted):
        quorum_read(rpc, lambda pinned: pinned.call(call.to, call.data, sender=ALICE))


def test_too_few_answers_are_reported_with_their_faults(chain: Chain, contracts: Contracts) -> None:
    rpc = Rpc([chain.url, "http://127.0.0.1:9"], CHAIN_ID, timeout=60)
    with pytest.raises(Unreachable, match=r"1 RPC endpoints answered, 2 must: .*cannot connect"):
        quorum_read(rpc, supply(contracts))
    assert quorum_read(rpc, supply(contracts), quorum=1) == contracts.token.total_supply()


def test_single_endpoint_is_a_quorum(chain: Chain, contracts: Contracts) -> None:
    assert quorum_read(Rpc(chain.url, CHAIN_ID, timeout=60), supply(contracts)) == contracts.token.total_supply()


def test_error_of_the_read_is_raised(chain: Chain) -> None:
    rpc = Rpc([chain.url, chain.url], CHAIN_ID, timeout=60)
    with pytest.raises(RpcResponseError):
        quorum_read(rpc, lambda pinned: pinned.request("no_such_method", []))


def test_follower_continues_past_an_endpoint_with_a_false_head(
    chain: Chain, contracts: Contracts, changing_proxy: Any, tmp_path: Path
) -> None:
    def ahead(method: str, params: list[Any], answer: Any) -> Any:
        return hex(int(answer, 16) + 1_000) if method == "eth_blockNumber" else answer

    chain.mine(5)
    rpc = Rpc([changing_proxy(ahead), chain.url], CHAIN_ID, timeout=60)
    journal = Journal(tmp_path / "journal.sqlite", None)
    follower = Follower(rpc, contracts.deployment, journal, Finality(2))
    with pytest.raises(Unreachable):
        follower.poll()
    assert follower.poll().checkpoint.block == chain.rpc.block_number() - 2
