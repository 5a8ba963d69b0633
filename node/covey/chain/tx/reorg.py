"""Detects reorgs that remove settled transactions, and makes those transactions pending again.

With a confirmation count as finality, a deeper reorg can remove transactions that were reported as done. The tracker
then handles each of them like any other signed request: its attempts are on disk, it keeps its nonce, and it is sent
again unless the new chain includes it too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from covey.chain.errors import FatalError
from covey.chain.tx.records import TxRequest, TxStatus, TxStore

if TYPE_CHECKING:
    from covey.chain.rpc.client import Rpc
    from covey.chain.rpc.finality import Finality
    from covey.chain.rpc.responses import Block

REORGED = "a reorg removed its block"
"""Outcome of a request that was mined and is pending again."""


class SettledReorgMonitor:
    """Remembers a head above all settled transactions: while that block is on the chain, so are they."""

    def __init__(self, rpc: Rpc, store: TxStore, finality: Finality) -> None:
        self._rpc = rpc
        self._store = store
        self._depth = finality.reorg_depth
        self._head: Block | None = None

    def check(self) -> int:
        """Make settled requests pending again that the chain no longer has as recorded; return how many.

        Makes no RPC call once all settled requests are too deep for a reorg.
        """
        newest = self._store.newest_settled_block() if self._depth else None
        if newest is None:
            return 0
        known = self._head
        covered = known is not None and newest <= known.number
        if covered and known is not None and known.number - newest > self._depth:
            return 0
        head = self._rpc.block("latest")
        if head.number < max(newest, 0 if known is None else known.number):
            return 0  # the endpoint lags, or the new chain is shorter: wait until it has grown
        if covered and known is not None:
            found = head if head.number == known.number else self._rpc.find_block(known.number)
            if found is not None and found.hash == known.hash:
                self._head = head
                return 0
        removed = [request for request in self._store.settled_within(self._depth) if not self._is_unchanged(request)]
        for request in removed:
            self._store.update(request.id, TxStatus.PENDING, outcome=REORGED)
        self._head = head
        return len(removed)

    def _is_unchanged(self, request: TxRequest) -> bool:
        """True if the chain has the request's transaction in the recorded block with the recorded result."""
        if request.tx_hash is None:
            raise FatalError(f"transaction {request.id} is {request.status} without a hash: the database is damaged")
        receipt = self._rpc.receipt(request.tx_hash)
        if receipt is None or receipt.block != request.block:
            return False
        return receipt.succeeded == (request.status != TxStatus.REVERTED)
