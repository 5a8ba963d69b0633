"""The sender on a real chain: exactly once and in order, with stuck, dropped, replaced and reverted transactions."""

from __future__ import annotations

import sqlite3
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import rlp  # type: ignore[import-untyped]
from tests.support.chain.anvil import CHAIN_ID, Chain
from tests.support.chain.registration import registration
from tests.support.chain.sending import HOT, PATIENCE, TO, finish, new_sender, open_store, plain, status_of

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
    """The real endpoint with a fault before or after the effect of one method."""

    before: str | None = None
    after: str | None = None

    def request(self, method: str, params: list[Any], timeout: float) -> Any:
        if method == self.before:
            raise EndpointFault(f"{method}: cut off")
        result = super().request(method, params, timeout)
        if method == self.after:
            raise EndpointFault(f"{method}: answer lost")
        return result


# ---------------------------------------------------------------------- without faults


def test_request_is_sent_once_despite_repeated_submits(chain: Chain) -> None:
    signer = chain.account(1)
    sender = new_sender(chain.rpc, signer)
    for _ in range(3):
        sender.submit("a", plain())
        finish(sender, "a")
    assert status_of(sender, "a") == TxStatus.DONE
    assert chain.rpc.nonce(signer.address) == 1
    assert chain.rpc.balance(TO) == 5
    assert sender.status.accepted_block == chain.rpc.block_number()


def test_requests_take_nonces_in_order(chain: Chain) -> None:
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


def test_call_waits_for_an_earlier_one_that_it_needs(chain: Chain, contracts: Contracts, deployer: LocalSigner) -> None:
    chain.hold()
    sender = new_sender(chain.rpc, deployer)
    staking = contracts.staking
    sender.submit("register", registration(contracts, deployer.address, chain.account(2)))
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


def fee_increases(store: SqliteTxStore) -> list[bool]:
    """For each replacement, whether it offers at least an eighth more than its predecessor, at the same nonce."""
    attempts = store.attempts(1)
    return [
        new.nonce == old.nonce and new.max_fee * 8 >= old.max_fee * 9 and new.priority_fee * 8 >= old.priority_fee * 9
        for old, new in pairwise(attempts)
    ]


def test_transaction_left_out_of_blocks_is_replaced_at_its_nonce(chain: Chain) -> None:
    chain.hold()
    signer = chain.account(1)
    store = open_store()
    sender = new_sender(chain.rpc, signer, store)
    sender.submit("a", plain())
    sender.tick()
    gas_limit = chain.rpc.block().gas_limit
    chain.ask("evm_setBlockGasLimit", hex(20_000))  # no block has enough gas for it
    try:
        for block in range(1, 2 * PATIENCE + 1):
            chain.mine()
            sender.tick()
            assert len(store.attempts(1)) == 1 + block // PATIENCE
    finally:
        chain.ask("evm_setBlockGasLimit", hex(gas_limit))
    assert fee_increases(store) == [True, True]
    chain.mine()
    sender.tick()
    assert status_of(sender, "a") == TxStatus.DONE
    assert chain.rpc.nonce(signer.address) == 1
    assert chain.rpc.balance(TO) == 5


def test_underpriced_transaction_is_replaced_at_its_nonce(chain: Chain) -> None:
    chain.hold()
    signer = chain.account(1)
    store = open_store()
    sender = new_sender(chain.rpc, signer, store)
    sender.submit("a", plain())
    sender.tick()
    base_fee = 3 * store.attempts(1)[0].max_fee
    for _ in range(PATIENCE + 1):
        chain.mine(base_fee=base_fee)
        sender.tick()
    chain.mine(base_fee=base_fee)
    sender.tick()
    assert status_of(sender, "a") == TxStatus.DONE
    assert len(store.attempts(1)) > 1
    assert sender.request("a").tx_hash == store.attempts(1)[-1].hash  # type: ignore[union-attr]
    assert all(fee_increases(store))
    assert chain.rpc.nonce(signer.address) == 1
    assert chain.rpc.balance(TO) == 5


def test_fee_cap_ends_replacements_and_is_reported(chain: Chain) -> None:
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


def test_dropped_transaction_is_rebroadcast_unchanged(chain: Chain) -> None:
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


def test_nonce_used_by_another_program_is_abandoned_only_when_settled(chain: Chain) -> None:
    chain.hold()
    signer = chain.account(1)
    store = open_store()
    sender = new_sender(chain.rpc, signer, store, confirmations=2)
    sender.submit("a", plain())
    sender.tick()
    (attempt,) = store.attempts(1)
    chain.ask("anvil_dropTransaction", attempt.hash)
    external = signer.sign_transaction(
        {"type": 2, "chainId": CHAIN_ID, "nonce": 0, "to": "0x" + "55" * 20, "value": 1, "gas": 21_000, "data": b"",
         "maxFeePerGas": 10 * GWEI, "maxPriorityFeePerGas": GWEI}
    )  # fmt: skip
    chain.rpc.send_raw(external.raw)
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


def test_waiting_transaction_of_another_program_keeps_its_nonce(chain: Chain) -> None:
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
        assert (status.queued, status.pending) == (1, 0)  # the nonce is not skipped
    chain.mine()
    other.tick()
    ours.tick()
    chain.mine()
    ours.tick()
    assert status_of(other, "other") == status_of(ours, "a") == TxStatus.DONE
    assert [sender.request(key).nonce for sender, key in ((other, "other"), (ours, "a"))] == [0, 1]  # type: ignore[union-attr]


def test_transaction_of_a_reorged_block_is_pending_again(chain: Chain) -> None:
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


# ---------------------------------------------------------------------- restarts


@pytest.mark.parametrize("cut", ["before", "after"])
def test_signed_attempt_survives_a_restart(chain: Chain, tmp_path: Path, cut: str) -> None:
    """The broadcast fails before or after its effect and the process ends; the next process completes the request."""
    signer = chain.account(1)
    endpoint = Tampered(chain.url)
    setattr(endpoint, cut, "eth_sendRawTransaction")
    first = new_sender(Rpc([], CHAIN_ID, endpoints=[endpoint]), signer, open_store(tmp_path / "tx.db"))
    first.submit("a", plain())
    with pytest.raises(Unreachable):
        first.tick()
    nonce = 0 if cut == "before" else 1
    while chain.rpc.nonce(signer.address) < nonce:  # anvil mines right after its answer
        time.sleep(0.01)
    assert chain.rpc.nonce(signer.address) == nonce

    store = open_store(tmp_path / "tx.db")
    second = new_sender(chain.rpc, signer, store)
    second.submit("a", plain())
    assert status_of(second, "a") == TxStatus.PENDING
    finish(second, "a")
    assert status_of(second, "a") == TxStatus.DONE
    assert len(store.attempts(1)) == 1
    assert chain.rpc.nonce(signer.address) == 1
    assert chain.rpc.balance(TO) == 5


def test_attempt_is_on_disk_before_its_broadcast(chain: Chain, tmp_path: Path) -> None:
    path = tmp_path / "tx.db"
    seen: list[Any] = []

    class Recording(HttpEndpoint):
        def request(self, method: str, params: list[Any], timeout: float) -> Any:
            if method == "eth_sendRawTransaction":
                with sqlite3.connect(path) as other:
                    seen.extend(other.execute("SELECT raw FROM tx_attempt").fetchall())
                seen.append(params[0])
            return super().request(method, params, timeout)

    sender = new_sender(Rpc([], endpoints=[Recording(chain.url)]), chain.account(1), open_store(path))
    sender.submit("a", plain())
    finish(sender, "a")
    row, sent = seen
    assert "0x" + bytes(row[0]).hex() == sent


def test_request_joins_a_database_transaction_and_attempt_does_not(tmp_path: Path, chain: Chain) -> None:
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


# ---------------------------------------------------------------------- refusals, reverts, lack of funds


def test_call_that_would_revert_is_not_sent_and_can_be_retried(chain: Chain, contracts: Contracts) -> None:
    signer = chain.account(1)
    sender = new_sender(chain.rpc, signer)
    call = contracts.staking.register_operator("0x" + "00" * 20, signer.address, 0, b"")
    sender.submit("a", call)
    sender.tick()
    request = sender.request("a")
    assert request is not None
    assert request.status == TxStatus.FAILED
    assert request.outcome == "StakingZeroAddress()"
    assert chain.rpc.nonce(signer.address) == 0
    sender.submit("a", registration(contracts, signer.address, signer))
    assert status_of(sender, "a") == TxStatus.FAILED
    sender.submit("a", registration(contracts, signer.address, signer), retry=True)
    finish(sender, "a")
    assert status_of(sender, "a") == TxStatus.DONE


def test_revert_in_a_block_is_final_with_its_reason(chain: Chain, contracts: Contracts) -> None:
    chain.hold()
    slow, fast = chain.account(1), chain.account(2)
    sender = new_sender(chain.rpc, slow)
    sender.submit("a", registration(contracts, slow.address, HOT))
    sender.tick()
    rival = new_sender(chain.rpc, fast, fees=FeePolicy(min_priority=20 * GWEI))
    rival.submit("b", registration(contracts, fast.address, HOT))
    rival.tick()
    chain.mine()
    chain.mine()
    sender.tick()
    request = sender.request("a")
    assert request is not None
    assert request.status == TxStatus.REVERTED
    assert chain.rpc.nonce(slow.address) == 1
    assert "StakingSignerTaken(" in request.outcome  # the call would succeed on the state before the block


def test_lack_of_funds_blocks_the_queue_until_funded(chain: Chain) -> None:
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


def test_queued_request_moves_to_a_new_signer_and_signed_one_stays(chain: Chain) -> None:
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


def test_request_is_not_sent_after_its_window(chain: Chain) -> None:
    sender = new_sender(chain.rpc, chain.account(1))
    sender.submit("late", plain(), not_after=chain.rpc.block().timestamp - 1)
    sender.submit("timely", plain(), not_after=chain.rpc.block().timestamp + 1_000)
    finish(sender, "late", "timely")
    assert status_of(sender, "late") == TxStatus.FAILED
    assert "too late" in sender.request("late").outcome  # type: ignore[union-attr]
    assert status_of(sender, "timely") == TxStatus.DONE


def test_rejected_transaction_fails_and_frees_its_nonce(chain: Chain) -> None:
    class Strict(HttpEndpoint):
        """Refuses large transactions like geth; anvil accepts them."""

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


def test_send_all_sends_dependent_calls(chain: Chain, contracts: Contracts, deployer: LocalSigner) -> None:
    staking = contracts.staking
    calls = [
        registration(contracts, deployer.address, chain.account(2)),
        contracts.token.approve(staking.address, 10**20),
        staking.delegate(deployer.address, 10**20),
    ]
    assert all(receipt.succeeded for receipt in send_all(chain.rpc, deployer, calls))


def test_send_raises_with_the_reason(chain: Chain, contracts: Contracts) -> None:
    signer = chain.account(1)
    with pytest.raises(ContractReverted, match=r"set commission to 1%: StakingUnknownOperator") as caught:
        send(chain.rpc, signer, contracts.staking.set_commission(100))
    assert caught.value.name == "StakingUnknownOperator"
    with pytest.raises(ChainError, match="add funds"):
        send(chain.rpc, chain.account(9, ether=0), plain(0))
    chain.hold()
    with pytest.raises(Timeout, match=r"not mined in 0\.2 s; 0x"):
        send(chain.rpc, signer, plain(), timeout=0.2)


# ---------------------------------------------------------------------- fees


@pytest.mark.parametrize(
    ("old", "base_fee"), [(Fees(100, 10), 1), (Fees(9, 1), 4), (Fees(10**12, 10**9), 10**11), (Fees(1, 0), 0)]
)
def test_replacement_exceeds_the_minimum_increase_of_nodes(old: Fees, base_fee: int) -> None:
    new = FeePolicy(cap=10**15).replacement(old, base_fee, 1)
    assert new is not None
    assert new.max_fee * 10 >= old.max_fee * 11
    assert new.priority_fee * 10 >= old.priority_fee * 11
    assert new.priority_fee <= new.max_fee


def test_first_fees_stay_within_the_policy() -> None:
    policy = FeePolicy(cap=100, min_priority=3, max_priority=20)
    assert policy.first(40, 1) == Fees(83, 3)
    assert policy.first(40, 50) == Fees(100, 20)
    assert policy.first(0, 10) == Fees(10, 10)
    assert FeePolicy(cap=2, min_priority=3).first(1, 1) == Fees(2, 2)


# ---------------------------------------------------------------------- clients' wordings


class Refusing(HttpEndpoint):
    """The real endpoint, which refuses transactions below a fee, or all of them, in a client's words."""

    def __init__(self, url: str, words: str, *, below: int = 0, lacks_priority_fee: bool = False) -> None:
        super().__init__(url)
        self.words = words
        self.below = below
        self.lacks_priority_fee = lacks_priority_fee
        self.refused = 0

    def request(self, method: str, params: list[Any], timeout: float) -> Any:
        if method == "eth_maxPriorityFeePerGas" and self.lacks_priority_fee:
            raise RpcResponseError(method, -32601, "the method eth_maxPriorityFeePerGas does not exist")
        if method == "eth_sendRawTransaction":
            fields = rlp.decode(bytes.fromhex(params[0][4:]))
            if int.from_bytes(fields[3], "big") < self.below:
                self.refused += 1
                raise RpcResponseError(method, -32000, self.words)
        return super().request(method, params, timeout)


@pytest.mark.parametrize(
    "words",
    [
        "FeeTooLow, MaxFeePerGas too low. MaxFeePerGas: 1, BaseFee: 2",
        "GAS_PRICE_BELOW_CURRENT_BASE_FEE",
        "fee cap less than block base fee",
        "max fee per gas less than block base fee",
    ],
)
def test_fee_that_a_client_finds_too_low_is_raised(chain: Chain, words: str) -> None:
    signer, fees = chain.account(1), FeePolicy(patience=PATIENCE)
    first = fees.first(chain.rpc.block().base_fee, chain.rpc.priority_fee()).max_fee
    endpoint = Refusing(chain.url, words, below=first * 6 // 5)
    sender = new_sender(Rpc([], CHAIN_ID, endpoints=[endpoint]), signer)
    sender.submit("a", plain())
    finish(sender, "a")
    assert status_of(sender, "a") == TxStatus.DONE
    assert endpoint.refused >= 1


def test_transaction_is_sent_without_a_suggested_priority_fee(chain: Chain) -> None:
    endpoint = Refusing(chain.url, "", lacks_priority_fee=True)
    sender = new_sender(Rpc([], CHAIN_ID, endpoints=[endpoint]), chain.account(1))
    sender.submit("a", plain())
    finish(sender, "a")
    assert status_of(sender, "a") == TxStatus.DONE


@pytest.mark.parametrize("words", ["txpool is full", "PendingTxsLimit", "insufficient funds for gas * price + value"])
def test_refusal_by_every_endpoint_is_reported_until_the_transaction_moves(chain: Chain, words: str) -> None:
    endpoint = Refusing(chain.url, words, below=2**62)
    sender = new_sender(Rpc([], CHAIN_ID, endpoints=[endpoint, endpoint]), chain.account(1))
    sender.submit("a", plain())
    for _ in range(4):  # within one block, where nothing is broadcast again
        assert sender.tick().blocked
    chain.mine()
    assert sender.tick().blocked
    endpoint.below = 0
    chain.mine()
    finish(sender, "a")
    assert status_of(sender, "a") == TxStatus.DONE
    assert sender.tick().blocked == ""
