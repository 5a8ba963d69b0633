"""The sender on a real chain: once, in order, through stuck, dropped, replaced, reverted and unpaid transactions."""

from __future__ import annotations

import sqlite3
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.support.chain.anvil import CHAIN_ID, Chain
from tests.support.chain.sending import PATIENCE, TO, finish, new_sender, open_store, plain, status_of

from covey.chain.contracts import Call, Contracts
from covey.chain.errors import ChainError, ContractReverted, RpcResponseError, Timeout, Unreachable
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.endpoint import EndpointFault
from covey.chain.rpc.http import HttpEndpoint
from covey.chain.signing.keystore import LocalSigner
from covey.chain.tx.fees import GWEI, FeePolicy, Fees
from covey.chain.tx.oneshot import send, send_all
from covey.chain.tx.store import SqliteTxStore, TxStatus

pytestmark = pytest.mark.daemon


class Tampered(HttpEndpoint):
    """The real endpoint, but a method can be made to fail before or after it has its effect."""

    before: str | None = None
    after: str | None = None

    def request(self, method: str, params: list[Any], timeout: float) -> Any:
        if method == self.before:
            raise EndpointFault(f"{method}: cut off")
        result = super().request(method, params, timeout)
        if method == self.after:
            raise EndpointFault(f"{method}: answer lost")
        return result


# ---------------------------------------------------------------------- the straight path


def test_a_request_is_sent_once_however_often_it_is_asked_for(chain: Chain) -> None:
    signer = chain.account(1)
    sender = new_sender(chain.rpc, signer)
    for _ in range(3):
        sender.submit("a", plain())
        finish(sender, "a")
    assert status_of(sender, "a") == TxStatus.DONE
    assert chain.rpc.nonce(signer.address) == 1
    assert chain.rpc.balance(TO) == 5
    assert sender.status.accepted_block == chain.rpc.block_number()


def test_several_in_flight_take_nonces_in_order(chain: Chain) -> None:
    chain.hold()
    signer = chain.account(1)
    sender = new_sender(chain.rpc, signer, max_in_flight=3)
    for i in range(5):
        sender.submit(f"{i}", plain(i + 1))
    status = sender.tick()
    assert (status.pending, status.queued) == (3, 2)
    chain.mine()
    status = sender.tick()
    chain.mine()
    sender.tick()
    assert [status_of(sender, f"{i}") for i in range(5)] == [TxStatus.DONE] * 5
    assert [sender.request(f"{i}").nonce for i in range(5)] == [0, 1, 2, 3, 4]  # type: ignore[union-attr]
    assert chain.rpc.balance(TO) == 15


def test_a_call_that_needs_an_earlier_one_waits_for_it(
    chain: Chain, contracts: Contracts, deployer: LocalSigner
) -> None:
    chain.hold()
    sender = new_sender(chain.rpc, deployer)
    staking = contracts.staking
    sender.submit("register", staking.register_operator(chain.account(2).address, deployer.address, 0))
    sender.submit("approve", contracts.token.approve(staking.address, 10**20))
    sender.submit("bond", staking.delegate(deployer.address, 10**20))
    status = sender.tick()
    assert (status.pending, status.queued) == (2, 1)
    assert "waits for earlier transactions" in status.waits
    assert status.blocked == ""  # nothing is wrong
    chain.mine()
    sender.tick()
    chain.mine()
    assert sender.tick().waits == ""
    assert status_of(sender, "bond") == TxStatus.DONE
    assert staking.pool_of(deployer.address).self_bond == 10**20


# ---------------------------------------------------------------------- stuck, dropped, replaced


def raises_of(store: SqliteTxStore) -> list[bool]:
    """Whether each attempt offers an eighth more than the one before, at the same nonce."""
    attempts = store.attempts(1)
    return [
        new.nonce == old.nonce and new.max_fee * 8 >= old.max_fee * 9 and new.priority_fee * 8 >= old.priority_fee * 9
        for old, new in pairwise(attempts)
    ]


def test_a_transaction_left_out_for_long_is_replaced_at_its_nonce(chain: Chain) -> None:
    chain.hold()
    signer = chain.account(1)
    store = open_store()
    sender = new_sender(chain.rpc, signer, store)
    sender.submit("a", plain())
    sender.tick()
    room = chain.rpc.block().gas_limit
    chain.ask("evm_setBlockGasLimit", hex(20_000))  # no block has room for it
    try:
        for block in range(1, 2 * PATIENCE + 1):
            chain.mine()
            sender.tick()
            assert len(store.attempts(1)) == 1 + block // PATIENCE
    finally:
        chain.ask("evm_setBlockGasLimit", hex(room))
    assert raises_of(store) == [True, True]
    chain.mine()
    sender.tick()
    assert status_of(sender, "a") == TxStatus.DONE
    assert chain.rpc.nonce(signer.address) == 1
    assert chain.rpc.balance(TO) == 5


def test_a_transaction_that_became_too_cheap_is_replaced_at_its_nonce(chain: Chain) -> None:
    chain.hold()
    signer = chain.account(1)
    store = open_store()
    sender = new_sender(chain.rpc, signer, store)
    sender.submit("a", plain())
    sender.tick()
    dear = 3 * store.attempts(1)[0].max_fee
    for _ in range(PATIENCE + 1):
        chain.mine(base_fee=dear)
        sender.tick()
    chain.mine(base_fee=dear)
    sender.tick()
    assert status_of(sender, "a") == TxStatus.DONE
    assert len(store.attempts(1)) > 1
    assert sender.request("a").tx_hash == store.attempts(1)[-1].hash  # type: ignore[union-attr]
    assert all(raises_of(store))
    assert chain.rpc.nonce(signer.address) == 1
    assert chain.rpc.balance(TO) == 5


def test_the_cap_ends_replacements_and_says_so(chain: Chain) -> None:
    chain.hold()
    store = open_store()
    base_fee = chain.rpc.block().base_fee
    cap = 2 * base_fee + 2 * GWEI
    sender = new_sender(chain.rpc, chain.account(1), store, fees=FeePolicy(cap=cap, patience=1))
    sender.submit("a", plain())
    sender.tick()
    for _ in range(6):
        chain.mine(base_fee=cap * 2)
        status = sender.tick()
    assert "fee cap" in status.blocked
    assert all(attempt.max_fee <= cap for attempt in store.attempts(1))
    assert status_of(sender, "a") == TxStatus.PENDING


def test_nothing_is_signed_while_the_base_fee_is_above_the_cap(chain: Chain) -> None:
    chain.hold()
    store = open_store()
    sender = new_sender(chain.rpc, chain.account(1), store, fees=FeePolicy(cap=GWEI))
    chain.mine(base_fee=2 * GWEI)
    sender.submit("a", plain())
    assert "above the cap" in sender.tick().blocked
    assert store.attempts(1) == []
    chain.mine(base_fee=GWEI // 4)
    assert sender.tick().blocked == ""
    chain.mine(base_fee=GWEI // 4)
    sender.tick()
    assert status_of(sender, "a") == TxStatus.DONE


def test_a_dropped_transaction_is_broadcast_again_as_it_was(chain: Chain) -> None:
    chain.hold()
    store = open_store()
    sender = new_sender(chain.rpc, chain.account(1), store)
    sender.submit("a", plain())
    sender.tick()
    (attempt,) = store.attempts(1)
    chain.ask("anvil_dropTransaction", attempt.hash)
    assert chain.rpc.transaction(attempt.hash) is None
    chain.ask("evm_mine")
    sender.tick()
    assert chain.rpc.transaction(attempt.hash) is not None
    assert store.attempts(1) == [attempt]
    chain.mine()
    sender.tick()
    assert status_of(sender, "a") == TxStatus.DONE


def test_a_nonce_used_by_somebody_else_is_left_only_when_that_is_settled(chain: Chain) -> None:
    chain.hold()
    signer = chain.account(1)
    store = open_store()
    sender = new_sender(chain.rpc, signer, store, confirmations=2)
    sender.submit("a", plain())
    sender.tick()
    (attempt,) = store.attempts(1)
    chain.ask("anvil_dropTransaction", attempt.hash)
    foreign = signer.sign_transaction(
        {"type": 2, "chainId": CHAIN_ID, "nonce": 0, "to": "0x" + "55" * 20, "value": 1, "gas": 21_000, "data": b"",
         "maxFeePerGas": 10 * GWEI, "maxPriorityFeePerGas": GWEI}
    )  # fmt: skip
    chain.rpc.send_raw(foreign.raw)
    chain.mine()
    for _ in range(PATIENCE):
        status = sender.tick()
        assert "this node did not send" in status.external
        assert [a.nonce for a in store.attempts(1)] == [0]  # "nonce too low" is no reason to try the next
        chain.mine()
    for _ in range(4):
        sender.tick()
        chain.mine()
    assert status_of(sender, "a") == TxStatus.DONE
    assert chain.rpc.nonce(signer.address) == 2
    assert chain.rpc.balance(TO) == 5


def test_a_waiting_transaction_of_somebody_else_keeps_its_nonce(chain: Chain) -> None:
    chain.hold()
    signer = chain.account(1)
    other, ours = new_sender(chain.rpc, signer), new_sender(chain.rpc, signer)
    other.submit("other", plain(1, "0x" + "55" * 20))
    other.tick()
    ours.submit("a", plain())
    for _ in range(3):
        status = ours.tick()
        assert "waits at nonce 0 of" in status.external
        assert "another program signs with this key" in status.external
        assert (status.queued, status.pending) == (1, 0)  # it does not go past it
    chain.mine()
    other.tick()
    ours.tick()
    chain.mine()
    ours.tick()
    assert status_of(other, "other") == status_of(ours, "a") == TxStatus.DONE
    assert [sender.request(key).nonce for sender, key in ((other, "other"), (ours, "a"))] == [0, 1]  # type: ignore[union-attr]


def test_a_block_undone_puts_its_transactions_back(chain: Chain) -> None:
    chain.hold()
    signer = chain.account(1)
    store = open_store()
    sender = new_sender(chain.rpc, signer, store, confirmations=3)
    snapshot = chain.ask("evm_snapshot")
    sender.submit("a", plain())
    sender.tick()
    chain.mine()
    assert sender.tick().mined == 1
    chain.ask("evm_revert", snapshot)
    chain.ask("anvil_dropAllTransactions")
    assert sender.tick().pending == 1
    assert "reorg" in sender.request("a").outcome  # type: ignore[union-attr]
    for _ in range(5):
        chain.mine()
        sender.tick()
    assert status_of(sender, "a") == TxStatus.DONE
    assert len(store.attempts(1)) == 1
    assert chain.rpc.nonce(signer.address) == 1


# ---------------------------------------------------------------------- the process ends


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_signed_attempt_survives_the_process(chain: Chain, tmp_path: Path, cut: str) -> None:
    """The broadcast fails, before or after it had its effect; the process ends; the next one finishes the job."""
    signer = chain.account(1)
    endpoint = Tampered(chain.url)
    setattr(endpoint, cut, "eth_sendRawTransaction")
    first = new_sender(Rpc([], CHAIN_ID, endpoints=[endpoint]), signer, open_store(tmp_path / "tx.db"))
    first.submit("a", plain())
    with pytest.raises(Unreachable):
        first.tick()
    wanted = 0 if cut == "before" else 1
    while chain.rpc.nonce(signer.address) < wanted:  # anvil mines right after it answers
        time.sleep(0.01)
    assert chain.rpc.nonce(signer.address) == wanted

    store = open_store(tmp_path / "tx.db")
    second = new_sender(chain.rpc, signer, store)
    second.submit("a", plain())
    assert status_of(second, "a") == TxStatus.PENDING
    finish(second, "a")
    assert status_of(second, "a") == TxStatus.DONE
    assert len(store.attempts(1)) == 1
    assert chain.rpc.nonce(signer.address) == 1
    assert chain.rpc.balance(TO) == 5


def test_an_attempt_is_on_disk_before_it_is_broadcast(chain: Chain, tmp_path: Path) -> None:
    path = tmp_path / "tx.db"
    seen: list[Any] = []

    class Watching(HttpEndpoint):
        def request(self, method: str, params: list[Any], timeout: float) -> Any:
            if method == "eth_sendRawTransaction":
                with sqlite3.connect(path) as other:
                    seen.extend(other.execute("SELECT raw FROM tx_attempt").fetchall())
                seen.append(params[0])
            return super().request(method, params, timeout)

    sender = new_sender(Rpc([], endpoints=[Watching(chain.url)]), chain.account(1), open_store(path))
    sender.submit("a", plain())
    finish(sender, "a")
    row, sent = seen
    assert "0x" + bytes(row[0]).hex() == sent


def test_a_request_may_share_a_transaction_with_its_duty_and_an_attempt_may_not(tmp_path: Path, chain: Chain) -> None:
    db = sqlite3.connect(tmp_path / "tx.db", isolation_level=None)
    sender = new_sender(chain.rpc, chain.account(1), SqliteTxStore(db))
    db.execute("BEGIN")
    sender.submit("a", plain())
    db.execute("ROLLBACK")
    assert sender.request("a") is None
    db.execute("BEGIN")
    sender.submit("a", plain())
    with pytest.raises(RuntimeError, match="on disk before it is broadcast"):
        sender.tick()
    db.execute("COMMIT")
    assert chain.rpc.nonce(chain.account(1).address) == 0


# ---------------------------------------------------------------------- refused, reverted, unpaid


def test_a_call_that_would_revert_is_never_sent_and_says_why(chain: Chain, contracts: Contracts) -> None:
    signer = chain.account(1)
    sender = new_sender(chain.rpc, signer)
    call = contracts.staking.register_operator("0x" + "00" * 20, signer.address, 0)
    sender.submit("a", call)
    sender.tick()
    request = sender.request("a")
    assert request is not None
    assert request.status == TxStatus.FAILED
    assert request.outcome == "StakingZeroAddress()"
    assert chain.rpc.nonce(signer.address) == 0
    sender.submit("a", contracts.staking.register_operator(signer.address, signer.address, 0))
    assert status_of(sender, "a") == TxStatus.FAILED
    sender.submit("a", contracts.staking.register_operator(signer.address, signer.address, 0), retry=True)
    finish(sender, "a")
    assert status_of(sender, "a") == TxStatus.DONE


def test_a_transaction_that_reverts_in_its_block_is_told_from_one_that_was_lost(
    chain: Chain, contracts: Contracts
) -> None:
    chain.hold()
    slow, fast = chain.account(1), chain.account(2)
    sender = new_sender(chain.rpc, slow)
    sender.submit("a", contracts.staking.register_operator(TO, slow.address, 0))
    sender.tick()
    rival = new_sender(chain.rpc, fast, fees=FeePolicy(min_priority=20 * GWEI))
    rival.submit("b", contracts.staking.register_operator(TO, fast.address, 0))
    rival.tick()
    chain.mine()
    chain.mine()
    sender.tick()
    request = sender.request("a")
    assert request is not None
    assert request.status == TxStatus.REVERTED
    assert chain.rpc.nonce(slow.address) == 1
    assert "StakingSignerTaken(" in request.outcome  # on the state before the block it would have succeeded


def test_a_lack_of_funds_blocks_the_queue_until_they_come(chain: Chain) -> None:
    signer = chain.account(1, ether=0)
    store = open_store()
    sender = new_sender(chain.rpc, signer, store)
    sender.submit("a", plain())
    for _ in range(3):
        status = sender.tick()
        assert "add funds" in status.blocked
        assert status.queued == 1
    assert store.attempts(1) == []
    chain.account(1)
    chain.ask("evm_mine")
    assert sender.tick().blocked == ""
    finish(sender, "a")
    assert status_of(sender, "a") == TxStatus.DONE


def test_a_request_that_waits_moves_to_a_new_signer_and_a_signed_one_stays(chain: Chain) -> None:
    chain.hold()
    store = open_store()
    old, new = new_sender(chain.rpc, chain.account(1), store), new_sender(chain.rpc, chain.account(2), store)
    old.submit("signed", plain(1))
    old.tick()
    old.submit("waits", plain(2))
    assert new.submit("signed", plain(1)).sender == old.status.address
    assert new.submit("waits", plain(2)).sender == new.status.address
    new.tick()
    old.tick()
    chain.mine()
    old.tick()
    new.tick()
    assert status_of(old, "signed") == status_of(new, "waits") == TxStatus.DONE
    assert chain.rpc.balance(TO) == 3
    assert [chain.rpc.nonce(chain.account(n).address) for n in (1, 2)] == [1, 1]


def test_a_request_is_not_begun_after_its_window(chain: Chain) -> None:
    sender = new_sender(chain.rpc, chain.account(1))
    sender.submit("late", plain(), not_after=chain.rpc.block().timestamp - 1)
    sender.submit("timely", plain(), not_after=chain.rpc.block().timestamp + 1_000)
    finish(sender, "late", "timely")
    assert status_of(sender, "late") == TxStatus.FAILED
    assert "too late" in sender.request("late").outcome  # type: ignore[union-attr]
    assert status_of(sender, "timely") == TxStatus.DONE


def test_a_transaction_no_node_takes_fails_and_frees_its_nonce(chain: Chain) -> None:
    class Strict(HttpEndpoint):
        """Refuses large transactions, as geth does and anvil does not."""

        def request(self, method: str, params: list[Any], timeout: float) -> Any:
            if method == "eth_sendRawTransaction" and len(params[0]) > 2 * 131_072:
                raise RpcResponseError(method, -32000, "oversized data: transaction size 131200, limit 131072")
            return super().request(method, params, timeout)

    sender = new_sender(Rpc([], endpoints=[Strict(chain.url)]), chain.account(1))
    sender.submit("large", Call(TO, b"\1" * 131_072, "send too much"))
    sender.submit("small", plain())
    finish(sender, "large", "small")
    assert status_of(sender, "large") == TxStatus.FAILED
    assert status_of(sender, "small") == TxStatus.DONE


# ---------------------------------------------------------------------- one-off sending


def test_send_returns_the_receipt(chain: Chain) -> None:
    receipt = send(chain.rpc, chain.account(1), plain())
    assert receipt.succeeded
    assert receipt.gas_used == 21_000


def test_send_all_lets_each_rely_on_those_before(chain: Chain, contracts: Contracts, deployer: LocalSigner) -> None:
    staking = contracts.staking
    calls = [
        staking.register_operator(chain.account(2).address, deployer.address, 0),
        contracts.token.approve(staking.address, 10**20),
        staking.delegate(deployer.address, 10**20),
    ]
    assert all(receipt.succeeded for receipt in send_all(chain.rpc, deployer, calls))


def test_send_says_why_not(chain: Chain, contracts: Contracts) -> None:
    signer = chain.account(1)
    with pytest.raises(ContractReverted, match=r"set commission to 1%: StakingUnknownOperator") as caught:
        send(chain.rpc, signer, contracts.staking.set_commission(100))
    assert caught.value.name == "StakingUnknownOperator"
    with pytest.raises(ChainError, match="add funds"):
        send(chain.rpc, chain.account(9, ether=0), plain(0))
    chain.hold()
    with pytest.raises(Timeout, match=r"not mined in 0\.2 s; 0x"):
        send(chain.rpc, signer, plain(), timeout=0.2)


# ---------------------------------------------------------------------- prices


@pytest.mark.parametrize(
    ("old", "base_fee"), [(Fees(100, 10), 1), (Fees(9, 1), 4), (Fees(10**12, 10**9), 10**11), (Fees(1, 0), 0)]
)
def test_a_replacement_beats_what_nodes_ask_for(old: Fees, base_fee: int) -> None:
    new = FeePolicy(cap=10**15).replacement(old, base_fee, 1)
    assert new is not None
    assert new.max_fee * 10 >= old.max_fee * 11
    assert new.priority_fee * 10 >= old.priority_fee * 11
    assert new.priority_fee <= new.max_fee


def test_first_offers_stay_within_the_policy() -> None:
    policy = FeePolicy(cap=100, min_priority=3, max_priority=20)
    assert policy.first(40, 1) == Fees(83, 3)
    assert policy.first(40, 50) == Fees(100, 20)
    assert policy.first(0, 10) == Fees(10, 10)
    assert FeePolicy(cap=2, min_priority=3).first(1, 1) == Fees(2, 2)
