"""Settled transactions that a reorg removed are sent again, once and unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_utils.address import to_checksum_address
from tests.support.chain.anvil import CHAIN_ID, Chain, new_anvil
from tests.support.chain.sending import PATIENCE, TO, new_sender, open_store, plain, status_of

from covey.chain.contracts import Call
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.finality import UNFINAL_BLOCKS
from covey.chain.rpc.http import HttpEndpoint
from covey.chain.signing.keystore import LocalSigner
from covey.chain.tx.sender import Sender
from covey.chain.tx.store import TxStatus

pytestmark = pytest.mark.daemon

SWITCH = to_checksum_address("0x" + "5a" * 20)
SWITCH_CODE = "0x5f54600657005b5f5ffd"
"""Reverts while its storage word 0 is set."""


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    """A chain that mines only on request."""
    with new_anvil(tmp_path) as chain:
        chain.mine(5)
        chain.hold()
        yield chain


def funded(chain: Chain) -> LocalSigner:
    """A signer whose coin is in a block below all reorgs."""
    signer = chain.account(1)
    chain.mine(5)
    return signer


def mine(chain: Chain, *senders: Sender, blocks: int = 1) -> None:
    """Mine blocks and tick the senders after each."""
    for _ in range(blocks):
        chain.mine()
        for sender in senders:
            sender.tick()


def send_and_settle(chain: Chain, sender: Sender, *keys: str) -> None:
    """Send one payment per key and wait until it is done."""
    for key in keys:
        sender.submit(key, plain())
    sender.tick()
    mine(chain, sender)
    assert [status_of(sender, key) for key in keys] == [TxStatus.DONE] * len(keys)


def reorg(chain: Chain, depth: int) -> None:
    """Replace blocks by empty ones and drop their transactions from the pool."""
    chain.ask("anvil_reorg", depth, [])
    assert chain.ask("txpool_status") == {"pending": "0x0", "queued": "0x0"}


@pytest.mark.parametrize("restarts", [False, True], ids=["running", "restarted"])
def test_removed_transaction_is_rebroadcast_unchanged(chain: Chain, tmp_path: Path, restarts: bool) -> None:
    signer = funded(chain)
    store = open_store(tmp_path / "tx.db")
    sender = new_sender(chain.rpc, signer, store)
    send_and_settle(chain, sender, "a", "b")
    mine(chain, sender, blocks=3)
    reorg(chain, 6)
    assert chain.rpc.nonce(signer.address) == 0
    if restarts:
        mine(chain, blocks=10)
        sender = new_sender(chain.rpc, signer, open_store(tmp_path / "tx.db"))
    assert sender.tick().pending == 2
    mine(chain, sender)
    assert status_of(sender, "a") == status_of(sender, "b") == TxStatus.DONE
    assert [len(store.attempts(number)) for number in (1, 2)] == [1, 1]
    assert chain.rpc.nonce(signer.address) == 2
    assert chain.rpc.balance(TO) == 10
    sender.submit("a", plain())
    assert status_of(sender, "a") == TxStatus.DONE


def test_only_removed_transactions_are_pending_again(chain: Chain) -> None:
    signer = funded(chain)
    store = open_store()
    sender = new_sender(chain.rpc, signer, store)
    send_and_settle(chain, sender, "a")
    send_and_settle(chain, sender, "b")
    reorg(chain, 1)
    assert sender.tick().pending == 1
    assert [status_of(sender, key) for key in "ab"] == [TxStatus.DONE, TxStatus.PENDING]
    mine(chain, sender)
    assert status_of(sender, "b") == TxStatus.DONE


def test_shorter_chain_is_accepted_once_it_has_grown(chain: Chain) -> None:
    """Until then the endpoint may only lag."""
    signer = funded(chain)
    sender = new_sender(chain.rpc, signer)
    send_and_settle(chain, sender, "a")
    mine(chain, sender, blocks=2)
    chain.ask("anvil_rollback", 4)
    sender.tick()
    assert status_of(sender, "a") == TxStatus.DONE
    mine(chain, sender, blocks=4)
    assert status_of(sender, "a") != TxStatus.DONE
    mine(chain, sender)
    assert status_of(sender, "a") == TxStatus.DONE
    assert chain.rpc.nonce(signer.address) == 1


def test_transaction_in_another_block_of_the_new_chain_is_not_resent(chain: Chain) -> None:
    signer = funded(chain)
    store = open_store()
    sender = new_sender(chain.rpc, signer, store)
    send_and_settle(chain, sender, "a")
    before = sender.request("a")
    mine(chain, sender, blocks=3)
    chain.ask("anvil_reorg", 5, [["0x" + store.attempts(1)[0].raw.hex(), 3]])
    sender.tick()
    request = sender.request("a")
    assert before is not None and request is not None and before.block is not None
    assert (request.status, request.tx_hash) == (TxStatus.DONE, before.tx_hash)
    assert request.block is not None and request.block > before.block


def test_nonce_gap_below_a_resent_request_is_filled(chain: Chain) -> None:
    """A request reverts and is sent again at the next nonce; then a reorg removes both blocks."""
    chain.ask("anvil_setCode", SWITCH, SWITCH_CODE)
    signer = funded(chain)
    store = open_store()
    sender = new_sender(chain.rpc, signer, store)
    call = Call(SWITCH, b"", "call the switch")
    sender.submit("a", call)
    sender.tick()
    chain.ask("anvil_setStorageAt", SWITCH, "0x0", "0x" + "01".zfill(64))
    mine(chain, sender)
    assert status_of(sender, "a") == TxStatus.REVERTED
    chain.ask("anvil_setStorageAt", SWITCH, "0x0", "0x" + "00".zfill(64))
    sender.submit("a", call, retry=True)
    sender.tick()
    mine(chain, sender)
    assert status_of(sender, "a") == TxStatus.DONE
    reorg(chain, 3)
    assert chain.rpc.nonce(signer.address) == 0
    sender.tick()
    assert status_of(sender, "a") == TxStatus.PENDING
    mine(chain, sender, blocks=PATIENCE + 2)
    assert status_of(sender, "a") == TxStatus.DONE
    assert chain.rpc.nonce(signer.address) == 2
    assert [attempt.nonce for attempt in store.attempts(1)] == [0, 1]
    assert not sender.status.external
    assert status_of(sender, f"use-nonce/0/{signer.address}/0") == TxStatus.DONE


def test_transactions_too_deep_for_a_reorg_cost_no_calls(chain: Chain) -> None:
    class Counting(HttpEndpoint):
        calls = 0

        def request(self, method: str, params: list[Any], timeout: float) -> Any:
            self.calls += 1
            return super().request(method, params, timeout)

    endpoint = Counting(chain.url)
    sender = new_sender(Rpc([], CHAIN_ID, endpoints=[endpoint]), funded(chain))
    send_and_settle(chain, sender, "a")
    chain.ask("anvil_mine", hex(UNFINAL_BLOCKS + 1))
    sender.tick()
    before = endpoint.calls
    for _ in range(5):
        sender.tick()
    assert endpoint.calls == before
