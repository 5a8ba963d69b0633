"""Transactions that counted as settled and were undone all the same: taken up again, once, as they were."""

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
    """A chain that mines when told to."""
    with new_anvil(tmp_path) as chain:
        chain.mine(5)
        chain.hold()
        yield chain


def funded(chain: Chain) -> LocalSigner:
    """A signer whose money is older than anything that is undone."""
    signer = chain.account(1)
    chain.mine(5)
    return signer


def mine(chain: Chain, *senders: Sender, blocks: int = 1) -> None:
    """Blocks, and a look of the senders after each."""
    for _ in range(blocks):
        chain.mine()
        for sender in senders:
            sender.tick()


def done(chain: Chain, sender: Sender, *keys: str) -> None:
    """Send a coin for each key."""
    for key in keys:
        sender.submit(key, plain())
    sender.tick()
    mine(chain, sender)
    assert [status_of(sender, key) for key in keys] == [TxStatus.DONE] * len(keys)


def undo(chain: Chain, depth: int) -> None:
    """Replace blocks by empty ones; their transactions are in no pool either."""
    chain.ask("anvil_reorg", depth, [])
    assert chain.ask("txpool_status") == {"pending": "0x0", "queued": "0x0"}


@pytest.mark.parametrize("restarts", [False, True], ids=["running", "restarted"])
def test_what_was_done_is_sent_again_as_it_was_when_its_block_is_undone(
    chain: Chain, tmp_path: Path, restarts: bool
) -> None:
    signer = funded(chain)
    store = open_store(tmp_path / "tx.db")
    sender = new_sender(chain.rpc, signer, store)
    done(chain, sender, "a", "b")
    mine(chain, sender, blocks=3)
    undo(chain, 6)
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


def test_only_what_was_undone_is_taken_up(chain: Chain) -> None:
    signer = funded(chain)
    store = open_store()
    sender = new_sender(chain.rpc, signer, store)
    done(chain, sender, "a")
    done(chain, sender, "b")
    undo(chain, 1)
    assert sender.tick().pending == 1
    assert [status_of(sender, key) for key in "ab"] == [TxStatus.DONE, TxStatus.PENDING]
    mine(chain, sender)
    assert status_of(sender, "b") == TxStatus.DONE


def test_a_shorter_chain_is_believed_when_it_has_grown(chain: Chain) -> None:
    """Until then it may be an endpoint that lags."""
    signer = funded(chain)
    sender = new_sender(chain.rpc, signer)
    done(chain, sender, "a")
    mine(chain, sender, blocks=2)
    chain.ask("anvil_rollback", 4)
    sender.tick()
    assert status_of(sender, "a") == TxStatus.DONE
    mine(chain, sender, blocks=4)
    assert status_of(sender, "a") != TxStatus.DONE
    mine(chain, sender)
    assert status_of(sender, "a") == TxStatus.DONE
    assert chain.rpc.nonce(signer.address) == 1


def test_what_another_chain_holds_elsewhere_is_not_sent_again(chain: Chain) -> None:
    signer = funded(chain)
    store = open_store()
    sender = new_sender(chain.rpc, signer, store)
    done(chain, sender, "a")
    was = sender.request("a")
    mine(chain, sender, blocks=3)
    chain.ask("anvil_reorg", 5, [["0x" + store.attempts(1)[0].raw.hex(), 3]])
    sender.tick()
    request = sender.request("a")
    assert was is not None and request is not None and was.block is not None
    assert (request.status, request.tx_hash) == (TxStatus.DONE, was.tx_hash)
    assert request.block is not None and request.block > was.block


def test_a_failure_that_is_undone_leaves_no_hole_below_what_came_after_it(chain: Chain) -> None:
    """A request failed in a block and was sent anew at the next nonce; then both blocks go."""
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
    undo(chain, 3)
    assert chain.rpc.nonce(signer.address) == 0
    sender.tick()
    assert status_of(sender, "a") == TxStatus.PENDING
    mine(chain, sender, blocks=PATIENCE + 2)
    assert status_of(sender, "a") == TxStatus.DONE
    assert chain.rpc.nonce(signer.address) == 2
    assert [attempt.nonce for attempt in store.attempts(1)] == [0, 1]
    assert not sender.status.external
    assert status_of(sender, f"use-nonce/0/{signer.address}/0") == TxStatus.DONE


def test_what_is_too_deep_to_be_undone_is_not_asked_about(chain: Chain) -> None:
    class Counting(HttpEndpoint):
        asked = 0

        def request(self, method: str, params: list[Any], timeout: float) -> Any:
            self.asked += 1
            return super().request(method, params, timeout)

    endpoint = Counting(chain.url)
    sender = new_sender(Rpc([], CHAIN_ID, endpoints=[endpoint]), funded(chain))
    done(chain, sender, "a")
    chain.ask("anvil_mine", hex(UNFINAL_BLOCKS + 1))
    sender.tick()
    before = endpoint.asked
    for _ in range(5):
        sender.tick()
    assert endpoint.asked == before
