"""Bumps, cancellations and rival transactions on a real geth, with its own error messages."""

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


class TooLow(FeePolicy):
    """Offers less than 7 wei, the minimum base fee: geth accepts such a transaction and never includes it."""

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


def test_geth_replaces_a_transaction_by_a_bump_and_a_cancellation(geth: Geth) -> None:
    store = open_store()
    low = sender_of(geth, 1, store, TooLow(patience=1000))
    low.submit("a", plain())
    low.tick()
    store.request_action(1, TxAction.BUMP)
    low.tick()
    store.request_action(1, TxAction.CANCEL)
    low.tick()
    first, bumped, cancel = store.attempts(1)
    assert [attempt.max_fee for attempt in (first, bumped, cancel)] == [4, 5, 6]
    assert [geth.rpc.transaction(attempt.hash) is not None for attempt in (first, bumped, cancel)] == [
        False,
        False,
        True,
    ]
    assert low.status.blocked == low.status.external == ""
    store.request_action(1, TxAction.BUMP)
    generous = sender_of(geth, 1, store, FeePolicy())
    until(lambda: status_of(generous, "a").is_final, generous)
    assert status_of(generous, "a") == TxStatus.CANCELLED
    assert store.attempts(1)[-1].cancels


def test_geth_refuses_a_rival_transaction_of_the_same_key(geth: Geth) -> None:
    class StaleSender(Sender):
        def _next_nonce(self, view: Any) -> int | None:
            return int(view.nonce)

    stores = [open_store(), open_store(), open_store()]
    first = sender_of(geth, 2, stores[0], TooLow(patience=1000))
    first.submit("a", plain(1))
    first.tick()
    second = sender_of(geth, 2, stores[1], TooLow(patience=1000), StaleSender)
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
