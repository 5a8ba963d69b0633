"""What a real geth says to the sender's bumps, cancels and rivals, in its own words."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.support.chain.sending import open_store, plain, status_of
from tests.support.geth.daemon import Geth
from tests.support.geth.fixtures import new_geth

from covey.chain.rpc.finality import Finality
from covey.chain.tx.fees import FeePolicy, Fees
from covey.chain.tx.sender import Sender
from covey.chain.tx.store import TxAction, TxStatus

pytestmark = pytest.mark.daemon


class Stingy(FeePolicy):
    """Offers less than the 7 wei under which a base fee cannot fall: geth takes a transaction and never includes it."""

    def first(self, base_fee: int, suggested_priority: int) -> Fees:
        return Fees(4, 1)


@pytest.fixture(scope="module")
def geth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Geth]:
    with new_geth(tmp_path_factory.mktemp("geth")) as running:
        running.fund(running.account(1).address, running.account(2).address)
        yield running


def sender_of(geth: Geth, account: int, store: Any, fees: FeePolicy, kind: type[Sender] = Sender) -> Sender:
    return kind(geth.rpc, geth.account(account), store, fees=fees, finality=Finality(0))


def until(happened: Callable[[], bool], *senders: Sender) -> None:
    end = time.monotonic() + 180
    while not happened():
        assert time.monotonic() < end, [sender.status for sender in senders]
        for sender in senders:
            sender.tick()
        time.sleep(0.2)


def test_geth_takes_a_bump_and_a_cancel_in_the_place_of_what_it_has(geth: Geth) -> None:
    store = open_store()
    stingy = sender_of(geth, 1, store, Stingy(patience=1000))
    stingy.submit("a", plain())
    stingy.tick()
    store.request_action(1, TxAction.BUMP)
    stingy.tick()
    store.request_action(1, TxAction.CANCEL)
    stingy.tick()
    first, bumped, cancel = store.attempts(1)
    assert [one.max_fee for one in (first, bumped, cancel)] == [4, 5, 6]
    assert [geth.rpc.transaction(one.hash) is not None for one in (first, bumped, cancel)] == [False, False, True]
    assert stingy.status.blocked == stingy.status.external == ""
    store.request_action(1, TxAction.BUMP)
    generous = sender_of(geth, 1, store, FeePolicy())
    until(lambda: status_of(generous, "a").is_final, generous)
    assert status_of(generous, "a") == TxStatus.CANCELLED
    assert store.attempts(1)[-1].cancels


def test_geth_does_not_let_two_programs_with_one_key_in_each_others_place(geth: Geth) -> None:
    class Blind(Sender):
        def _next_nonce(self, view: Any) -> int | None:
            return int(view.nonce)

    stores = [open_store(), open_store(), open_store()]
    first = sender_of(geth, 2, stores[0], Stingy(patience=1000))
    first.submit("a", plain(1))
    first.tick()
    second = sender_of(geth, 2, stores[1], Stingy(patience=1000), Blind)
    second.submit("b", plain(2))
    second.tick()
    request = second.request("b")
    assert request is not None
    assert request.outcome == "replacement transaction underpriced"
    assert "waits at nonce 0 of" in second.status.external
    third = sender_of(geth, 2, stores[2], FeePolicy())
    third.submit("c", plain(3))
    assert "waits at nonce 0 of" in third.tick().external
    assert stores[2].attempts(1) == []

    stores[0].request_action(1, TxAction.BUMP)
    generous = [sender_of(geth, 2, store, FeePolicy()) for store in stores]
    keys = ("a", "b", "c")
    until(lambda: all(status_of(s, k).is_final for s, k in zip(generous, keys, strict=True)), *generous)
    assert [status_of(s, k) for s, k in zip(generous, keys, strict=True)] == [TxStatus.DONE] * 3
    assert geth.rpc.nonce(geth.account(2).address) == 3
