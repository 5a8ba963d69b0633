"""Two programs with one key detect each other; neither outbids the other or skips its nonce."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.chain.anvil import CHAIN_ID, Chain
from tests.support.chain.registration import registration
from tests.support.chain.sending import HOT, PATIENCE, TO, finish, new_sender, open_store, plain, status_of

from covey.chain.contracts import Contracts
from covey.chain.rpc.finality import Finality
from covey.chain.signing.keystore import LocalSigner
from covey.chain.tx.external_nonces import NOTICE_SECONDS, find_transaction
from covey.chain.tx.fees import GWEI, FeePolicy
from covey.chain.tx.sender import Sender
from covey.chain.tx.store import SqliteTxStore, TxStatus

pytestmark = pytest.mark.daemon

ELSEWHERE = "0x" + "55" * 20


class StaleSender(Sender):
    """A second daemon that read the nonce before the first one sent."""

    def _next_nonce(self, view: Any) -> int | None:
        return int(view.nonce)


def send_external(chain: Chain, signer: LocalSigner, nonce: int, max_fee: int = 10 * GWEI) -> str:
    """Send a transaction like a wallet with the same key; return its hash."""
    signed = signer.sign_transaction(
        {"type": 2, "chainId": CHAIN_ID, "nonce": nonce, "to": ELSEWHERE, "value": 1, "gas": 21_000, "data": b"",
         "maxFeePerGas": max_fee, "maxPriorityFeePerGas": GWEI}
    )  # fmt: skip
    chain.rpc.send_raw(signed.raw)
    return signed.hash


def attempts_of(store: SqliteTxStore) -> list[tuple[int, int]]:
    return [(attempt.nonce, attempt.max_fee) for attempt in store.attempts(1)]


def test_two_programs_at_one_nonce_do_not_outbid_each_other(chain: Chain) -> None:
    chain.hold()
    signer = chain.account(1)
    stores = [open_store(), open_store()]
    first = new_sender(chain.rpc, signer, stores[0])
    second = StaleSender(chain.rpc, signer, stores[1], fees=FeePolicy(patience=PATIENCE), finality=Finality(0))
    first.submit("a", plain(1, ELSEWHERE))
    first.tick()
    second.submit("b", plain(5))
    second.tick()
    warning = second.status.external
    assert f"waits at nonce 0 of {signer.address}" in warning
    assert "another program signs with this key" in warning
    base_fee = 3 * stores[0].attempts(1)[0].max_fee  # above both offers, so nothing is mined
    for _ in range(2 * PATIENCE):
        chain.mine(base_fee=base_fee)
        assert second.tick().external == warning
    assert len(attempts_of(stores[1])) == 1  # no bidding war: no further offer and no other nonce
    chain.mine(base_fee=GWEI // 10)
    for _ in range(2 * PATIENCE + 4):
        chain.mine(base_fee=GWEI // 10)
        first.tick()
        second.tick()
    assert status_of(first, "a") == status_of(second, "b") == TxStatus.DONE
    assert chain.rpc.nonce(signer.address) == 2
    assert chain.rpc.balance(TO) == 5
    assert [nonce for nonce, _ in attempts_of(stores[1])] == [0, 1]


def test_transaction_that_replaced_ours_is_named_once_settled(chain: Chain) -> None:
    chain.hold()
    signer = chain.account(1)
    store = open_store()
    sender = new_sender(chain.rpc, signer, store, confirmations=2)
    chain.mine(base_fee=GWEI)
    sender.submit("a", plain())
    sender.tick()
    other = send_external(chain, signer, 0, max_fee=100 * GWEI)
    chain.mine()
    outcomes = set()
    for _ in range(PATIENCE + 6):
        sender.tick()
        request = sender.request("a")
        assert request is not None
        outcomes.add(request.outcome)
        chain.mine()
    assert f"replaced: nonce 0 was used by {other}, which this node did not send" in outcomes
    assert status_of(sender, "a") == TxStatus.DONE
    use = store.last_external_use(signer.address)
    assert use is not None
    assert (use.nonce, use.tx_hash) == (0, other)
    assert other in sender.tick().external


def test_external_use_is_reported_for_a_limited_time(chain: Chain, tmp_path: Path) -> None:
    signer = chain.account(1)
    store = open_store(tmp_path / "tx.db")
    sender = new_sender(chain.rpc, signer, store)
    sender.submit("a", plain())
    finish(sender, "a")
    assert sender.tick().external == ""
    other = send_external(chain, signer, 1)
    while chain.rpc.nonce(signer.address) < 2:
        pass
    chain.ask("evm_mine")
    again = new_sender(chain.rpc, signer, open_store(tmp_path / "tx.db"))  # idle: nothing to send
    warning = again.tick().external
    assert f"nonce 1 of {signer.address} was used by {other}" in warning
    assert "give this node a key of its own" in warning
    chain.jump(chain.rpc.block().timestamp + NOTICE_SECONDS + 1)
    later = new_sender(chain.rpc, signer, open_store(tmp_path / "tx.db"))
    assert later.tick().external == ""
    later.submit("b", plain())
    finish(later, "b")
    assert later.status.external == ""


def test_lost_database_is_not_reported_as_external_use(chain: Chain) -> None:
    signer = chain.account(1)
    sender = new_sender(chain.rpc, signer)
    sender.submit("a", plain())
    finish(sender, "a")
    fresh = new_sender(chain.rpc, signer)
    assert fresh.tick().external == ""
    fresh.submit("b", plain())
    finish(fresh, "b")
    assert fresh.status.external == ""


def test_transactions_pending_at_the_loss_of_a_database_are_awaited(chain: Chain) -> None:
    chain.hold()
    signer = chain.account(1)
    sender = new_sender(chain.rpc, signer)
    sender.submit("a", plain(1))
    sender.tick()
    fresh = new_sender(chain.rpc, signer)
    fresh.submit("b", plain(2))
    assert "waits at nonce 0 of" in fresh.tick().external
    chain.mine()
    fresh.tick()
    chain.mine()
    assert fresh.tick().external == ""
    assert status_of(fresh, "b") == TxStatus.DONE
    assert [request.nonce for request in (fresh.request("b"),) if request is not None] == [1]


def test_find_transaction_finds_the_user_of_a_nonce(chain: Chain) -> None:
    signer = chain.account(1)
    hashes = []
    for nonce in range(3):
        hashes.append(send_external(chain, signer, nonce))
        while chain.rpc.nonce(signer.address) <= nonce:
            pass
        chain.mine(7)
    head = chain.rpc.block_number()
    for nonce, tx_hash in enumerate(hashes):
        found = find_transaction(chain.rpc, signer.address, nonce, head)
        assert found is not None
        assert found[0] == tx_hash
        assert chain.rpc.receipt(tx_hash).block == found[1]  # type: ignore[union-attr]


def test_transaction_of_a_former_key_is_completed_without_the_key(chain: Chain) -> None:
    chain.hold()
    old, new = chain.account(1), chain.account(2)
    store = open_store()
    before = new_sender(chain.rpc, old, store)
    before.submit("a", plain())
    before.tick()
    (attempt,) = store.attempts(1)
    chain.ask("anvil_dropTransaction", attempt.hash)
    chain.ask("evm_mine")
    after = new_sender(chain.rpc, new, store)
    after.tick()  # rebroadcasts the attempt of the former key
    assert chain.rpc.transaction(attempt.hash) is not None
    chain.mine()
    after.tick()
    assert status_of(after, "a") == TxStatus.DONE
    assert [chain.rpc.nonce(signer.address) for signer in (old, new)] == [1, 0]


def test_call_refused_from_a_former_key_is_sent_by_the_new_key(chain: Chain, contracts: Contracts) -> None:
    """After a change of signers the old key's transaction was dropped, and the contract would now refuse it."""
    old, new = chain.account(1), chain.account(2)
    chain.hold()
    store = open_store()
    before = new_sender(chain.rpc, old, store)
    before.submit("a", registration(contracts, old.address, HOT))
    before.tick()
    chain.ask("anvil_dropAllTransactions")
    rival = new_sender(chain.rpc, chain.account(3))
    rival.submit("b", registration(contracts, chain.account(3).address, HOT))
    rival.tick()
    chain.mine()
    after = new_sender(chain.rpc, new, store)
    after.tick()
    request = after.request("a")
    assert request is not None
    assert request.status == TxStatus.FAILED
    assert request.outcome.startswith(f"signed by the former signer {old.address}, for whom it would revert: ")
    assert "StakingSignerTaken(" in request.outcome
    after.submit("a", registration(contracts, new.address, new), retry=True)
    after.tick()
    chain.mine()
    after.tick()
    assert status_of(after, "a") == TxStatus.DONE
    assert contracts.staking.pool_of(new.address).signer == new.address
    assert [chain.rpc.nonce(signer.address) for signer in (old, new)] == [0, 1]
