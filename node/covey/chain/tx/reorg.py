"""Noticing that blocks were undone which counted as settled, and taking up again what was done in them.

Where a number of confirmations stands for finality, a deeper reorganisation takes transactions back that were told to
be done. Each of them is then looked after like any other that is signed: it is on disk as it was sent, it keeps its
nonce, and it is sent again unless the new chain has it too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from covey.chain.rpc.finality import Finality
from covey.chain.tx.records import TxRequest, TxStatus, TxStore

if TYPE_CHECKING:
    from covey.chain.rpc.client import Rpc
    from covey.chain.rpc.responses import Block


class SettledReorgMonitor:
    """Remembers a head that lies on top of all settled transactions; while it is on the chain, so are they."""

    def __init__(self, rpc: Rpc, store: TxStore, finality: Finality) -> None:
        self._rpc = rpc
        self._store = store
        self._depth = finality.undoable
        self._head: Block | None = None

    def tick(self) -> int:
        """Make pending again what the chain no longer has as it was; how many requests those are.

        Costs nothing once all that was settled is too deep to be undone.
        """
        newest = self._store.newest_settled() if self._depth else None
        if newest is None:
            return 0
        known = self._head
        covered = known is not None and newest <= known.number
        if covered and known is not None and known.number - newest > self._depth:
            return 0
        head = self._rpc.block("latest")
        if head.number < max(newest, 0 if known is None else known.number):
            return 0  # an endpoint that lags, or a shorter chain: its growing tells which
        if covered and known is not None:
            found = head if head.number == known.number else self._rpc.find_block(known.number)
            if found is not None and found.hash == known.hash:
                self._head = head
                return 0
        gone = [one for one in self._store.settled_last(self._depth) if not self._is_as_it_was(one)]
        for request in gone:
            self._store.update(request.id, TxStatus.PENDING, outcome="its block was undone")
        self._head = head
        return len(gone)

    def _is_as_it_was(self, request: TxRequest) -> bool:
        assert request.tx_hash is not None, "what was mined has a hash"
        receipt = self._rpc.receipt(request.tx_hash)
        if receipt is None or receipt.block != request.block:
            return False
        return receipt.succeeded == (request.status != TxStatus.REVERTED)
