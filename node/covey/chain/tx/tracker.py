"""Follows signed requests until a settled block decides them: done, reverted, cancelled, or nonce used by another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covey.chain.errors import ContractReverted, RpcResponseError
from covey.chain.rpc.responses import Receipt
from covey.chain.tx.attempts import Attempts
from covey.chain.tx.chain_view import ChainView
from covey.chain.tx.external_nonces import ExternalNonceMonitor, find_transaction
from covey.chain.tx.fees import FeePolicy
from covey.chain.tx.records import TxAttempt, TxRequest, TxStatus, TxStore
from covey.chain.tx.reorg import REORGED
from covey.chain.tx.retry import Retrier
from covey.chain.tx.revert_reason import find_revert_reason

if TYPE_CHECKING:
    from covey.chain.rpc.client import Rpc


class Tracker:
    """Reads receipts and settles requests; leaves those that are not mined to a `Retrier`."""

    def __init__(
        self,
        rpc: Rpc,
        store: TxStore,
        attempts: Attempts,
        external: ExternalNonceMonitor,
        retrier: Retrier,
        fees: FeePolicy,
    ) -> None:
        self._rpc = rpc
        self._store = store
        self._attempts = attempts
        self._external = external
        self._retrier = retrier
        self._fees = fees
        self._missing_since: dict[int, int] = {}  # request -> head at which its nonce was first used by no attempt
        self.accepted_block: int | None = None

    def advance(self, request: TxRequest, view: ChainView) -> None:
        """Advance a request that this key signed."""
        attempts = self._open_attempts(request, view)
        if attempts:
            view.in_flight += 1
            view.reserved += attempts[-1].cost
            self._retrier.advance(request, attempts, view)

    def advance_former(self, request: TxRequest, view: ChainView) -> None:
        """Advance a request signed by a key that this node no longer holds: signed attempts can still be broadcast."""
        attempts = self._open_attempts(request, view)
        if not attempts:
            return
        call = request.call
        try:
            self._rpc.estimate_gas(call.to, call.data, sender=request.sender, value=call.value)
        except ContractReverted as error:  # as after `setSigner`: the contracts no longer accept that key
            outcome = f"signed by the former signer {request.sender}, for whom it would revert: {error.reason}"
            self._store.update(request.id, TxStatus.FAILED, outcome=outcome)
            return
        except RpcResponseError:
            pass
        self._retrier.rebroadcast_if_dropped(request, attempts, view)

    def _open_attempts(self, request: TxRequest, view: ChainView) -> list[TxAttempt]:
        """The attempts that can still be mined, cheapest first; none once a transaction at their nonce was mined."""
        nonce = request.signed_nonce()
        attempts = [
            attempt
            for attempt in self._store.attempts(request.id)
            if (attempt.nonce, attempt.sender) == (nonce, request.sender)
        ]
        for attempt in reversed(attempts):
            receipt = self._rpc.receipt(attempt.hash)
            if receipt is not None:
                self._record_mined(request, attempts, attempt, receipt, view)
                return []
        if request.status == TxStatus.MINED:
            self._store.update(request.id, TxStatus.PENDING, outcome=REORGED)
        if view.nonce > nonce:
            self._handle_used_nonce(request, nonce, attempts, view)
            return []
        self._missing_since.pop(request.id, None)
        return attempts

    def _record_mined(
        self, request: TxRequest, attempts: list[TxAttempt], mined: TxAttempt, receipt: Receipt, view: ChainView
    ) -> None:
        """Record the block of a mined attempt, and the request's final status once that block is settled."""
        self._missing_since.pop(request.id, None)
        if receipt.succeeded and not mined.cancels:
            self.accepted_block = max(self.accepted_block or 0, receipt.block)
        if receipt.block > view.settled.number:
            if (request.status, request.tx_hash, request.block) != (TxStatus.MINED, receipt.tx_hash, receipt.block):
                self._store.update(request.id, TxStatus.MINED, tx_hash=receipt.tx_hash, block=receipt.block)
            return
        if self._rpc.block(receipt.block).hash != receipt.block_hash:
            return  # the receipt is from another fork; the next tick asks again
        self._forget(request, attempts)
        status, outcome = TxStatus.DONE, ""
        if not receipt.succeeded:
            status, outcome = TxStatus.REVERTED, find_revert_reason(self._rpc, request, mined, receipt)
        elif mined.cancels:
            status, outcome = TxStatus.CANCELLED, "cancelled: an empty self-transfer took its nonce"
        elif any(attempt.cancels for attempt in attempts):
            outcome = "mined before it could be cancelled"
        self._store.update(request.id, status, tx_hash=receipt.tx_hash, block=receipt.block, outcome=outcome)

    def _handle_used_nonce(self, request: TxRequest, nonce: int, attempts: list[TxAttempt], view: ChainView) -> None:
        """Queue a request again whose nonce another transaction used, once a settled block shows it.

        Until then the nonce counts as in flight: the receipt of one of our attempts may only be late.
        """
        view.in_flight += 1
        self._external.note_used(request.sender, nonce)
        settled = self._rpc.nonce(request.sender, view.settled.number) > nonce
        since = self._missing_since.setdefault(request.id, view.head.number)
        if not settled or view.head.number - since < self._fees.patience:
            return
        found = find_transaction(self._rpc, request.sender, nonce, view.head.number)
        if found is not None and found[0] in {attempt.hash for attempt in attempts}:
            return  # ours; the node does not have its receipt yet
        self._forget(request, attempts)
        view.in_flight -= 1
        self._external.record_use(request.sender, nonce, view.head, found)
        which = found[0] if found is not None else "a transaction"
        outcome = f"replaced: nonce {nonce} was used by {which}, which this node did not send"
        self._store.update(request.id, TxStatus.QUEUED, outcome=outcome)

    def _forget(self, request: TxRequest, attempts: list[TxAttempt]) -> None:
        """Drop what was noted about a request whose nonce is settled."""
        self._missing_since.pop(request.id, None)
        self._retrier.forget(request)
        self._attempts.forget(attempts)
