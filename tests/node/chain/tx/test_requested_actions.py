"""Bumps and cancellations that another process requests through the database; low funds and failing signers."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from tests.support.chain.anvil import Chain
from tests.support.chain.registration import registration
from tests.support.chain.sending import HOT, TO, finish, new_sender, open_store, plain, status_of

from covey.chain.contracts import Contracts
from covey.chain.errors import SignerUnreachable, SigningFailed
from covey.chain.signing.keystore import LocalSigner, SignedTransaction
from covey.chain.tx.fees import FeePolicy
from covey.chain.tx.store import SqliteTxStore, TxAction, TxStatus

pytestmark = pytest.mark.daemon


def test_bump_raises_fees_by_an_eighth_at_the_same_nonce(chain: Chain, tmp_path: Path) -> None:
    chain.hold()
    store = open_store(tmp_path / "tx.db")
    sender = new_sender(chain.rpc, chain.account(1), store)
    sender.submit("a", plain())
    sender.tick()
    open_store(tmp_path / "tx.db").request_action(1, TxAction.BUMP)  # like another process
    sender.tick()
    sender.tick()
    old, new = store.attempts(1)
    assert old.nonce == new.nonce == 0
    assert new.max_fee * 8 >= old.max_fee * 9
    assert new.priority_fee * 8 >= old.priority_fee * 9
    assert sender.request("a").action is None  # type: ignore[union-attr]
    chain.mine()
    sender.tick()
    assert status_of(sender, "a") == TxStatus.DONE
    assert sender.request("a").tx_hash == new.hash  # type: ignore[union-attr]


def test_cancel_replaces_the_call_with_an_empty_transfer(chain: Chain) -> None:
    chain.hold()
    signer = chain.account(1)
    store = open_store()
    sender = new_sender(chain.rpc, signer, store)
    sender.submit("a", plain())
    sender.tick()
    store.request_action(1, TxAction.CANCEL)
    sender.tick()
    _, cancel = store.attempts(1)
    waiting = chain.rpc.transaction(cancel.hash)
    assert waiting is not None
    assert waiting["to"] == waiting["from"] == signer.address.lower()
    assert (waiting["value"], waiting["input"], waiting["nonce"]) == ("0x0", "0x", "0x0")
    assert cancel.max_fee * 8 >= store.attempts(1)[0].max_fee * 9
    chain.mine()
    sender.tick()
    assert status_of(sender, "a") == TxStatus.CANCELLED
    assert chain.rpc.balance(TO) == 0
    assert chain.rpc.nonce(signer.address) == 1
    sender.submit("a", plain(), retry=True)  # a cancellation is final
    assert status_of(sender, "a") == TxStatus.CANCELLED


def test_pending_cancel_is_raised_as_a_cancel(chain: Chain) -> None:
    chain.hold()
    store = open_store()
    sender = new_sender(chain.rpc, chain.account(1), store)
    sender.submit("a", plain())
    sender.tick()
    store.request_action(1, TxAction.CANCEL)
    sender.tick()
    room = chain.rpc.block().gas_limit
    chain.ask("evm_setBlockGasLimit", hex(20_000))
    try:
        for _ in range(4):
            chain.mine()
            sender.tick()
    finally:
        chain.ask("evm_setBlockGasLimit", hex(room))
    assert [attempt.cancels for attempt in store.attempts(1)] == [False, True, True]
    chain.mine()
    sender.tick()
    assert status_of(sender, "a") == TxStatus.CANCELLED


def test_late_cancel_is_reported(chain: Chain) -> None:
    chain.hold()
    store = open_store()
    sender = new_sender(chain.rpc, chain.account(1), store, confirmations=2)
    sender.submit("a", plain())
    sender.tick()
    (attempt,) = store.attempts(1)
    store.request_action(1, TxAction.CANCEL)
    sender.tick()
    _, cancel = store.attempts(1)
    chain.ask("anvil_dropTransaction", cancel.hash)
    chain.rpc.send_raw(attempt.raw)
    chain.mine(4)
    sender.tick()
    request = sender.request("a")
    assert request is not None
    assert (request.status, request.outcome) == (TxStatus.DONE, "mined before it could be cancelled")
    assert chain.rpc.balance(TO) == 5


def test_unsigned_request_is_cancelled_without_a_transaction(chain: Chain) -> None:
    signer = chain.account(1, ether=0)
    store = open_store()
    sender = new_sender(chain.rpc, signer, store)
    sender.submit("a", plain())
    sender.submit("b", plain())
    sender.tick()
    store.request_action(2, TxAction.CANCEL)
    sender.tick()
    assert status_of(sender, "b") == TxStatus.CANCELLED
    assert status_of(sender, "a") == TxStatus.QUEUED
    assert store.attempts(2) == []


def test_bump_above_the_fee_cap_is_refused(chain: Chain) -> None:
    chain.hold()
    store = open_store()
    cap = chain.rpc.block().base_fee * 2 + 10**9
    sender = new_sender(chain.rpc, chain.account(1), store, fees=FeePolicy(cap=cap))
    sender.submit("a", plain())
    sender.tick()
    store.request_action(1, TxAction.BUMP)
    sender.tick()
    request = sender.request("a")
    assert request is not None
    assert request.action is None
    assert "cannot bump: a higher offer would be above the fee cap" in request.outcome
    assert len(store.attempts(1)) == 1


# ---------------------------------------------------------------------- reserved funds


def test_funds_of_pending_transactions_are_reserved(chain: Chain) -> None:
    """With funds for one of two transactions, the second waits until the cost of the first is known."""
    chain.hold()
    signer = chain.account(1)
    store = open_store()
    sender = new_sender(chain.rpc, signer, store)
    sender.submit("a", plain(10**18))
    sender.submit("b", plain(10**18))
    chain.ask("anvil_setBalance", signer.address, hex(19 * 10**17))
    status = sender.tick()
    assert (status.pending, status.queued) == (1, 1)
    assert "add funds" in status.blocked
    chain.ask("anvil_setBalance", signer.address, hex(3 * 10**18))
    chain.mine()
    sender.tick()
    chain.mine()
    assert sender.tick().blocked == ""
    assert status_of(sender, "a") == status_of(sender, "b") == TxStatus.DONE


def test_low_funds_are_checked_once_per_block(chain: Chain) -> None:
    signer = chain.account(1, ether=0)
    sender = new_sender(chain.rpc, signer)
    methods: list[str] = []
    original = chain.rpc.request

    def count(method: str, params: list[Any], *args: Any, **named: Any) -> Any:
        methods.append(method)
        return original(method, params, *args, **named)

    chain.rpc.request = count  # type: ignore[method-assign]
    sender.submit("a", plain())
    for _ in range(5):
        assert "add funds" in sender.tick().blocked
    assert methods.count("eth_estimateGas") == methods.count("eth_getBalance") == 1
    chain.ask("evm_mine")
    sender.tick()
    assert methods.count("eth_estimateGas") == 2


# ---------------------------------------------------------------------- failing signers, older databases


class UnreliableSigner:
    """A signer that can fail."""

    def __init__(self, inner: LocalSigner) -> None:
        self.inner = inner
        self.fault: SigningFailed | None = SignerUnreachable("the remote signer does not answer")
        self.calls = 0

    @property
    def address(self) -> str:
        return self.inner.address

    def sign_transaction(self, fields: dict[str, Any]) -> SignedTransaction:
        self.calls += 1
        if self.fault is not None:
            raise self.fault
        return self.inner.sign_transaction(fields)

    def sign_typed_data(self, document: dict[str, Any]) -> bytes:
        raise NotImplementedError


def test_failing_signer_blocks_the_queue_and_is_retried_later(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("covey.chain.tx.attempts.time.monotonic", lambda: clock[0])
    signer = UnreliableSigner(chain.account(1))
    store = open_store()
    sender = new_sender(chain.rpc, signer, store)
    sender.submit("a", plain())
    for _ in range(5):
        assert sender.tick().blocked == "send 5 wei: the remote signer does not answer"
    assert signer.calls == 1
    assert store.attempts(1) == []
    clock[0] += 61
    sender.tick()
    assert signer.calls == 2
    signer.fault = None
    clock[0] += 61
    assert sender.tick().blocked == ""
    finish(sender, "a")
    assert status_of(sender, "a") == TxStatus.DONE
    assert chain.rpc.nonce(signer.address) == 1


def test_out_of_gas_is_reported(chain: Chain, contracts: Contracts) -> None:
    chain.hold()
    signer = chain.account(1)
    sender = new_sender(chain.rpc, signer)
    original = chain.rpc.estimate_gas
    chain.rpc.estimate_gas = lambda *a, **k: original(*a, **k) * 2 // 3  # type: ignore[method-assign]
    sender.submit("a", registration(contracts, signer.address, HOT))
    sender.tick()
    chain.mine(2)
    sender.tick()
    request = sender.request("a")
    assert request is not None
    assert request.status == TxStatus.REVERTED
    assert request.outcome.startswith("ran out of gas in block")


def test_database_of_an_earlier_version_is_migrated(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "old.db", isolation_level=None)
    db.execute(
        "CREATE TABLE tx_request (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, sender TEXT NOT NULL, target TEXT,"
        " data BLOB NOT NULL, value TEXT NOT NULL, describe TEXT NOT NULL, not_after INTEGER, status TEXT NOT NULL,"
        " nonce INTEGER, tx_hash TEXT, block INTEGER, outcome TEXT NOT NULL DEFAULT '')"
    )
    db.execute(
        "CREATE TABLE tx_attempt (hash TEXT PRIMARY KEY, request INTEGER NOT NULL, nonce INTEGER NOT NULL,"
        " raw BLOB NOT NULL, gas INTEGER NOT NULL, max_fee TEXT NOT NULL, priority_fee TEXT NOT NULL,"
        " block INTEGER NOT NULL) WITHOUT ROWID"
    )
    db.execute("INSERT INTO tx_request VALUES (1,'a','0xA','0xB',x'',0,'send',NULL,'pending',4,NULL,NULL,'')")
    db.execute("INSERT INTO tx_attempt VALUES ('0x1', 1, 4, x'02', 21000, '7', '1', 9)")
    store = SqliteTxStore(db)
    (attempt,) = store.attempts(1)
    assert (attempt.sender, attempt.cancels, attempt.value) == ("0xA", False, 0)
    assert store.get("a").action is None  # type: ignore[union-attr]
    assert store.expected_nonce("0xA", 0) == 5
    assert SqliteTxStore(db).attempts(1) == [attempt]
