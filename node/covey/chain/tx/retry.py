"""Tries a refused, dropped or stuck transaction again.

Every retry keeps the nonce of the request, so at most one of its attempts can ever be mined:

- No node has the transaction: broadcast the same bytes again.
- A node found the fee too low, or the transaction waited `FeePolicy.patience` blocks: sign a replacement that offers
  12.5% more, up to the fee cap.
- Another program's transaction occupies the nonce: wait. A higher offer would start a bidding war between two programs
  with one key.
- The account cannot pay, or a node refused for another reason: report it in `ChainView.blocked` and try again in the
  next tick.
- The operator requested a bump or a cancellation: replace the transaction at once.

`covey.chain.tx.attempts.verdict_of` classifies a node's refusal. A request that failed or reverted is final here;
`covey.chain.tx.sender.Sender.submit` queues it again with ``retry=True``, as the daemon does in
`covey.daemon.duties.transactions.send`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from covey.chain.errors import SigningFailed
from covey.chain.tx.attempts import Attempts, Reply, Verdict
from covey.chain.tx.chain_view import ChainView
from covey.chain.tx.external_nonces import ExternalNonceMonitor
from covey.chain.tx.fees import FeePolicy, Fees
from covey.chain.tx.records import TxAction, TxAttempt, TxRequest, TxStatus, TxStore

if TYPE_CHECKING:
    from covey.chain.rpc.client import Rpc

_RIVAL_BLOCKS = 32
"""Blocks for which another program's transaction is assumed to keep waiting at our nonce."""


class Retrier:
    """Keeps signed requests moving until one of their attempts is mined."""

    def __init__(
        self, rpc: Rpc, store: TxStore, attempts: Attempts, external: ExternalNonceMonitor, fees: FeePolicy
    ) -> None:
        self._rpc = rpc
        self._store = store
        self._attempts = attempts
        self._external = external
        self._fees = fees
        self._underpriced: set[int] = set()  # requests whose newest attempt a node found too cheap
        self._refusals: dict[int, str] = {}  # request -> why no node takes it, until one does
        self._rival_at: dict[int, int] = {}  # request -> head at which a node last had a rival at its nonce

    def advance(self, request: TxRequest, attempts: list[TxAttempt], view: ChainView) -> None:
        """Carry out a requested action, or rebroadcast or replace a request that does not get mined.

        Args:
            attempts: those that can still be mined, cheapest first; at least one.
        """
        if request.action is not None:
            self._carry_out_action(request, attempts, view)
            return
        newest = attempts[-1]
        in_network = self.rebroadcast_if_dropped(request, attempts, view)
        offered_at = max(newest.block, self._attempts.last_sent(newest))
        overdue = view.head.number - offered_at >= self._fees.patience and view.nonce == request.nonce
        underpriced = request.id in self._underpriced
        if underpriced and not in_network and self._has_rival(request, newest, view):
            self._external.note_waiting(request.sender, newest.nonce)  # a higher offer would replace the rival
        elif underpriced or (overdue and in_network):
            refusal = self._replace(request, attempts, view, cancels=newest.cancels)
            if refusal:
                view.blocked = f"{request.call.describe}: waits; {refusal}"

    def rebroadcast_if_dropped(self, request: TxRequest, attempts: list[TxAttempt], view: ChainView) -> bool:
        """Broadcast the newest attempt again, unchanged, if no node has any of them.

        Returns:
            True if a node has one of the attempts.
        """
        if self._is_known(attempts):
            self._refusals.pop(request.id, None)
            return True
        newest, head = attempts[-1], view.head.number
        if self._attempts.was_sent_at(newest, head):
            view.blocked = view.blocked or self._refusals.get(request.id, "")
            return False
        dropped = self._attempts.was_sent(newest)
        reply = self._attempts.broadcast(newest, head)
        if reply.verdict == Verdict.ACCEPTED and dropped:
            self._record_outcome(request, f"dropped by the network before block {head}, sent again as it was")
        else:
            self.handle_reply(request, attempts, reply, view)
        return reply.verdict == Verdict.ACCEPTED

    def handle_reply(self, request: TxRequest, attempts: list[TxAttempt], reply: Reply, view: ChainView) -> None:
        """Note what follows from a node's reply to the newest of ``attempts``; the next tick acts on it."""
        verdict = reply.verdict
        self._refusals.pop(request.id, None)
        if verdict == Verdict.NONCE_OCCUPIED and self._is_known(attempts[:-1]):
            verdict = Verdict.UNDERPRICED  # an earlier attempt of ours occupies the nonce
        if verdict == Verdict.UNDERPRICED:
            self._underpriced.add(request.id)
        elif verdict == Verdict.NONCE_OCCUPIED:
            self._external.note_waiting(request.sender, attempts[-1].nonce)
            self._rival_at[request.id] = view.head.number
        elif verdict == Verdict.NO_FUNDS:
            view.blocked = f"{request.sender} cannot pay for {request.call.describe}: add funds"
        elif verdict in (Verdict.OTHER, Verdict.REJECTED):
            view.blocked = f"{request.call.describe}: no endpoint takes it: {reply.message}"
        if verdict in (Verdict.NO_FUNDS, Verdict.OTHER, Verdict.REJECTED):
            self._refusals[request.id] = view.blocked
        self._record_outcome(request, reply.message)

    def forget(self, request: TxRequest) -> None:
        """Drop what was noted about a request whose nonce is settled, so that it cannot affect later attempts."""
        self._underpriced.discard(request.id)
        self._rival_at.pop(request.id, None)
        self._refusals.pop(request.id, None)

    def _carry_out_action(self, request: TxRequest, attempts: list[TxAttempt], view: ChainView) -> None:
        cancels = attempts[-1].cancels or request.action == TxAction.CANCEL
        refusal = self._replace(request, attempts, view, cancels=cancels)
        if refusal:
            self._store.request_action(request.id, None)
            self._record_outcome(request, f"cannot {request.action}: {refusal}")

    def _replace(self, request: TxRequest, attempts: list[TxAttempt], view: ChainView, *, cancels: bool) -> str:
        """Sign and broadcast a replacement at the same nonce; return why that is not possible, or an empty string."""
        newest = attempts[-1]
        fees = self._fees.replacement(Fees(newest.max_fee, newest.priority_fee), view.head.base_fee, view.priority)
        if fees is None:
            return f"a higher offer would be above the fee cap of {self._fees.cap} wei per gas"
        gas = newest.gas if cancels == newest.cancels else self._attempts.cancel_gas()
        needed = view.reserved - newest.cost + gas * fees.max_fee + (0 if cancels else request.call.value)
        balance = self._rpc.balance(request.sender)
        if balance < needed:
            return f"{request.sender} holds {balance} wei, a higher offer needs up to {needed}: add funds"
        try:
            attempt = self._attempts.sign(request, newest.nonce, gas, fees, view.head.number, cancels=cancels)
        except SigningFailed as error:
            view.blocked = str(error)
            return ""
        self._underpriced.discard(request.id)
        view.reserved += attempt.cost - newest.cost
        self.handle_reply(request, [*attempts, attempt], self._attempts.broadcast(attempt, view.head.number), view)
        return ""

    def _has_rival(self, request: TxRequest, newest: TxAttempt, view: ChainView) -> bool:
        """True if another program's transaction waits at the nonce, or did within the last `_RIVAL_BLOCKS`."""
        if view.head.number - self._rival_at.get(request.id, -_RIVAL_BLOCKS) < _RIVAL_BLOCKS:
            return True
        return self._rpc.nonce(request.sender, "pending") > newest.nonce

    def _is_known(self, attempts: Sequence[TxAttempt]) -> bool:
        """True if a node has one of the attempts."""
        return any(self._rpc.transaction(attempt.hash) is not None for attempt in reversed(attempts))

    def _record_outcome(self, request: TxRequest, outcome: str) -> None:
        if outcome != request.outcome:
            self._store.update(request.id, TxStatus.PENDING, outcome=outcome)
