"""Looking after what was signed: mined, settled, dropped, replaced, reverted, or its nonce used by somebody else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from covey.chain.errors import ContractReverted, RpcResponseError, SigningFailed
from covey.chain.rpc.responses import Block, Receipt
from covey.chain.tx.attempts import Attempts, Reply, Verdict
from covey.chain.tx.external_nonces import ExternalNonceMonitor, find_transaction
from covey.chain.tx.fees import FeePolicy, Fees
from covey.chain.tx.records import TxAction, TxAttempt, TxRequest, TxStatus, TxStore
from covey.chain.tx.revert_reason import why_reverted

if TYPE_CHECKING:
    from covey.chain.rpc.client import Rpc


_RIVAL_BLOCKS = 32
"""Blocks for which a transaction of somebody else at our nonce is taken to wait still."""


@dataclass(slots=True)
class View:
    """The chain, and the transactions of one key, during one tick."""

    head: Block
    final: Block
    nonce: int
    """As of the head."""
    priority: int
    in_flight: int = 0
    reserved: int = 0
    """The most that what is in flight can cost, wei."""
    blocked: str = ""


class Tracker:
    """Brings signed requests to their end."""

    def __init__(
        self, rpc: Rpc, store: TxStore, attempts: Attempts, watch: ExternalNonceMonitor, fees: FeePolicy
    ) -> None:
        self._rpc = rpc
        self._store = store
        self._attempts = attempts
        self._watch = watch
        self._fees = fees
        self._raise: set[int] = set()  # requests whose newest attempt a node found too cheap
        self._rival_at: dict[int, int] = {}  # request -> head when a node last had somebody else's at its nonce
        self._missing_since: dict[int, int] = {}  # request -> head when its nonce was first seen used by no attempt
        self.accepted_block: int | None = None

    def look_after(self, request: TxRequest, view: View) -> None:
        """One request that this key signed."""
        attempts = self._open_attempts(request, view)
        if not attempts:
            return
        newest = attempts[-1]
        view.in_flight += 1
        view.reserved += newest.cost
        if request.wish is not None:
            self._grant(request, attempts, view)
            return
        known = self._in_network(request, attempts, view)
        offered = max(newest.block, self._attempts.last_sent(newest))
        overdue = view.head.number - offered >= self._fees.patience and view.nonce == request.nonce
        if request.id in self._raise and not known and self._has_rival(request, newest, view):
            self._watch.waits(request.sender, newest.nonce)  # a higher offer would outbid somebody else's
        elif request.id in self._raise or (overdue and known):
            refused = self._replace(request, attempts, view, cancels=newest.cancels)
            if refused:
                view.blocked = f"{request.call.describe}: waits; {refused}"

    def look_after_former(self, request: TxRequest, view: View) -> None:
        """One request that a key signed which this node no longer holds: what is signed can still be sent."""
        attempts = self._open_attempts(request, view)
        if not attempts:
            return
        call = request.call
        try:
            self._rpc.estimate_gas(call.to, call.data, sender=request.sender, value=call.value)
        except ContractReverted as error:  # as after `setSigner`: the contracts no longer listen to that key
            told = f"signed by the former signer {request.sender}, for whom it would revert: {error.reason}"
            self._store.update(request.id, TxStatus.FAILED, outcome=told)
            return
        except RpcResponseError:
            pass
        self._in_network(request, attempts, view)

    def _open_attempts(self, request: TxRequest, view: View) -> list[TxAttempt]:
        """The attempts that can still be mined, cheapest first; none when something at their nonce was."""
        kept = self._store.attempts(request.id)
        attempts = [one for one in kept if (one.nonce, one.sender) == (request.nonce, request.sender)]
        for attempt in reversed(attempts):
            receipt = self._rpc.receipt(attempt.hash)
            if receipt is not None:
                self._mined(request, attempts, attempt, receipt, view)
                return []
        if request.status == TxStatus.MINED:
            self._store.update(request.id, TxStatus.PENDING, outcome="its block was undone")
        assert request.nonce is not None
        if view.nonce > request.nonce:
            self._nonce_used(request, attempts, view)
            return []
        self._missing_since.pop(request.id, None)
        return attempts

    # ------------------------------------------------------------------ mined

    def _mined(
        self, request: TxRequest, attempts: list[TxAttempt], mined: TxAttempt, receipt: Receipt, view: View
    ) -> None:
        self._missing_since.pop(request.id, None)
        if receipt.succeeded and not mined.cancels:
            self.accepted_block = max(self.accepted_block or 0, receipt.block)
        if receipt.block > view.final.number:
            if (request.status, request.tx_hash, request.block) != (TxStatus.MINED, receipt.tx_hash, receipt.block):
                self._store.update(request.id, TxStatus.MINED, tx_hash=receipt.tx_hash, block=receipt.block)
            return
        if self._rpc.block(receipt.block).hash != receipt.block_hash:
            return  # a node on another fork; the next tick asks again
        self._forget(request, attempts)
        status, outcome = TxStatus.DONE, ""
        if not receipt.succeeded:
            status, outcome = TxStatus.REVERTED, why_reverted(self._rpc, request, mined, receipt)
        elif mined.cancels:
            status, outcome = TxStatus.CANCELLED, "cancelled: a transfer of nothing took its nonce"
        elif any(one.cancels for one in attempts):
            outcome = "mined before it could be cancelled"
        self._store.update(request.id, status, tx_hash=receipt.tx_hash, block=receipt.block, outcome=outcome)

    def _forget(self, request: TxRequest, attempts: list[TxAttempt]) -> None:
        """Its nonce is settled: what was noted about these attempts must not touch later ones."""
        self._missing_since.pop(request.id, None)
        self._raise.discard(request.id)
        self._rival_at.pop(request.id, None)
        self._attempts.forget(attempts)

    def _nonce_used(self, request: TxRequest, attempts: list[TxAttempt], view: View) -> None:
        """Something used the nonce and none of our attempts has a receipt: believed when it is settled."""
        assert request.nonce is not None
        view.in_flight += 1
        self._watch.suspects(request.sender, request.nonce)
        settled = self._rpc.nonce(request.sender, view.final.number) > request.nonce
        since = self._missing_since.setdefault(request.id, view.head.number)
        if not settled or view.head.number - since < self._fees.patience:
            return
        found = find_transaction(self._rpc, request.sender, request.nonce, view.head.number)
        if found is not None and found[0] in {one.hash for one in attempts}:
            return  # ours, whose receipt the node does not have yet
        self._forget(request, attempts)
        view.in_flight -= 1
        self._watch.used(request.sender, request.nonce, view.head, found)
        which = found[0] if found is not None else "a transaction"
        told = f"replaced: nonce {request.nonce} was used by {which}, which this node did not send"
        self._store.update(request.id, TxStatus.QUEUED, outcome=told)

    # ------------------------------------------------------------------ waiting in the network

    def _in_network(self, request: TxRequest, attempts: list[TxAttempt], view: View) -> bool:
        """Whether a node has one of the attempts; where none has, the newest is sent again as it was."""
        if self._known(attempts):
            return True
        newest, head = attempts[-1], view.head.number
        if self._attempts.sent_at(newest, head):
            return False
        dropped = self._attempts.sent_before(newest)
        reply = self._attempts.broadcast(newest, head)
        if reply.verdict == Verdict.TAKEN and dropped:
            self._note(request, f"dropped by the network before block {head}, sent again as it was")
        else:
            self.handle_reply(request, attempts, reply, view)
        return reply.verdict == Verdict.TAKEN

    def _has_rival(self, request: TxRequest, newest: TxAttempt, view: View) -> bool:
        """Whether somebody else's transaction waits at the nonce, or did a moment ago."""
        if view.head.number - self._rival_at.get(request.id, -_RIVAL_BLOCKS) < _RIVAL_BLOCKS:
            return True
        return self._rpc.nonce(request.sender, "pending") > newest.nonce

    def _known(self, attempts: Sequence[TxAttempt]) -> bool:
        return any(self._rpc.transaction(one.hash) is not None for one in reversed(attempts))

    def handle_reply(self, request: TxRequest, attempts: list[TxAttempt], reply: Reply, view: View) -> None:
        """Act on what a node said to the newest of ``attempts``; it stays on disk for the next tick."""
        verdict = reply.verdict
        if verdict == Verdict.NONCE_TAKEN and self._known(attempts[:-1]):
            verdict = Verdict.TOO_CHEAP  # an earlier attempt of ours is in the way
        if verdict == Verdict.TOO_CHEAP:
            self._raise.add(request.id)
        elif verdict == Verdict.NONCE_TAKEN:  # outbidding it would start a war between two programs with one key
            self._watch.waits(request.sender, attempts[-1].nonce)
            self._rival_at[request.id] = view.head.number
        elif verdict == Verdict.NO_FUNDS:
            view.blocked = f"{request.sender} cannot pay for {request.call.describe}: add funds"
        elif verdict in (Verdict.OTHER, Verdict.REJECTED):
            view.blocked = f"{request.call.describe}: {reply.message}"
        self._note(request, reply.message)

    def _note(self, request: TxRequest, outcome: str) -> None:
        if outcome != request.outcome:
            self._store.update(request.id, TxStatus.PENDING, outcome=outcome)

    # ------------------------------------------------------------------ replaced by ourselves

    def _grant(self, request: TxRequest, attempts: list[TxAttempt], view: View) -> None:
        """Do what the operator asked for."""
        cancels = attempts[-1].cancels or request.wish == TxAction.CANCEL
        refused = self._replace(request, attempts, view, cancels=cancels)
        if refused:
            self._store.wish(request.id, None)
            self._note(request, f"cannot {request.wish}: {refused}")

    def _replace(self, request: TxRequest, attempts: list[TxAttempt], view: View, *, cancels: bool) -> str:
        """Offer an eighth more at the same nonce; why not, if not."""
        newest = attempts[-1]
        fees = self._fees.replacement(Fees(newest.max_fee, newest.priority_fee), view.head.base_fee, view.priority)
        if fees is None:
            return f"a higher offer would be above the fee cap of {self._fees.cap} wei a unit of gas"
        gas = newest.gas if cancels == newest.cancels else self._attempts.cancel_gas()
        wanted = view.reserved - newest.cost + gas * fees.max_fee + (0 if cancels else request.call.value)
        balance = self._rpc.balance(request.sender)
        if balance < wanted:
            return f"{request.sender} holds {balance} wei, a higher offer needs up to {wanted}: add funds"
        try:
            attempt = self._attempts.make(request, newest.nonce, gas, fees, view.head.number, cancels=cancels)
        except SigningFailed as error:
            view.blocked = str(error)
            return ""
        self._raise.discard(request.id)
        view.reserved += attempt.cost - newest.cost
        self.handle_reply(request, [*attempts, attempt], self._attempts.broadcast(attempt, view.head.number), view)
        return ""
