"""Sends each transaction request exactly once, across crashes, endpoint failures and network faults.

A request gets a nonce with its first signed attempt, and every attempt is on disk before it is broadcast. From then on
all its attempts have that nonce, so at most one of them can ever be mined. A request leaves its nonce only when a
settled block shows that another transaction of the key used it. "Nonce too low" is therefore never a reason to try the
next nonce: it means that something was mined, and the receipts show what.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from covey.chain.contracts.base import Call
from covey.chain.errors import ContractReverted, RpcResponseError, SigningFailed
from covey.chain.gas import MAX_GAS, TRANSFER_GAS
from covey.chain.rpc.finality import Finality
from covey.chain.tx.attempts import Attempts, Verdict, lacks_funds
from covey.chain.tx.chain_view import ChainView
from covey.chain.tx.external_nonces import ExternalNonceMonitor
from covey.chain.tx.fees import FeePolicy
from covey.chain.tx.records import TxAction, TxRequest, TxStatus, TxStore
from covey.chain.tx.reorg import SettledReorgMonitor
from covey.chain.tx.retry import Retrier
from covey.chain.tx.tracker import Tracker

if TYPE_CHECKING:
    from covey.chain.rpc.client import Rpc
    from covey.chain.signing.keystore import TransactionSigner


@dataclass(slots=True)
class SenderStatus:
    """Summary of the sender's last tick."""

    address: str
    queued: int = 0
    pending: int = 0
    mined: int = 0
    blocked: str = ""
    """Why a request makes no progress and what to do about it, in one line; empty if none is stuck."""
    waits: str = ""
    """What the queue waits for, if nothing is wrong."""
    external: str = ""
    """Warning that another program uses this key; empty if none does."""
    accepted_block: int | None = None
    """The newest block with a successful transaction of ours since the process started."""


@dataclass(slots=True)
class _Stall:
    """A request that could not be sent at a head, and why; a new head may change that."""

    head: int = -1
    request: int = -1
    reason: str = ""


class Sender:
    """One queue for one key. Not thread-safe: call it from the daemon's loop.

    Args:
        store: keeps requests and attempts; see `TxStore`.
        finality: decides when a mined transaction is settled.
        max_in_flight: maximum number of transactions that wait in the network at once.
    """

    def __init__(
        self,
        rpc: Rpc,
        signer: TransactionSigner,
        store: TxStore,
        *,
        fees: FeePolicy | None = None,
        finality: Finality | None = None,
        max_in_flight: int = 8,
    ) -> None:
        self._rpc = rpc
        self._address = signer.address
        self._store = store
        self._fees = fees or FeePolicy()
        self._finality = finality or Finality()
        self._max_in_flight = max_in_flight
        self._attempts = Attempts(rpc, signer, store)
        self._external = ExternalNonceMonitor(rpc, store, self._address)
        self._retrier = Retrier(rpc, store, self._attempts, self._external, self._fees)
        self._tracker = Tracker(rpc, store, self._attempts, self._external, self._retrier, self._fees)
        self._reorgs = SettledReorgMonitor(rpc, store, self._finality)
        self._gap: tuple[int, int] | None = None  # an unused nonce below ours, and the head when it was first seen
        self._stall = _Stall()
        self.status = SenderStatus(self._address)

    # ------------------------------------------------------------------ requests

    def submit(self, key: str, call: Call, *, not_after: int | None = None, retry: bool = False) -> TxRequest:
        """Request that ``call`` be sent once.

        Args:
            key: identifies the request forever. A second submit with the same key changes nothing, except that a
                request queued for another signer moves to this one: nothing was signed for it yet.
            not_after: chain time after which a first attempt would be useless.
            retry: queue the request again, with this call, if it failed or reverted. This is safe: it had no effect.
                A cancelled request stays cancelled, because the operator cancelled it.
        """
        request = self._store.add(key, self._address, call, not_after)
        rotated = request.sender != self._address and request.status == TxStatus.QUEUED
        if rotated or (retry and request.status in (TxStatus.FAILED, TxStatus.REVERTED)):
            self._store.requeue(request.id, self._address, call, not_after)
            request = self._store.get(key) or request
        return request

    def request(self, key: str) -> TxRequest | None:
        """The request with this key."""
        return self._store.get(key)

    # ------------------------------------------------------------------ progress

    def tick(self, *, launch: bool = True) -> SenderStatus:
        """Advance all open requests: receipts, rebroadcasts, replacements, requested actions, then the queue.

        Call it every few seconds. A later tick repeats what failed at an endpoint or the signer.

        Args:
            launch: False leaves the queue alone and only advances requests that are signed.

        Raises:
            Unreachable: no endpoint answered; no state was lost.
            WrongChain: an endpoint serves another chain.
        """
        status = self.status = SenderStatus(self._address, accepted_block=self.status.accepted_block)
        self._reorgs.check()
        former = self._store.requests_of_former_signers(self._address)
        if not former and not self._store.open_requests(self._address):
            self._external.check_when_idle()
            status.external = self._external.warning()
            return status
        view = self._read_chain(self._address)
        self._external.check(view.nonce, view.head)
        for request in former:
            self._tracker.advance_former(request, self._read_chain(request.sender))
        self._track(view)
        launched = self._work_queue(view) if launch else []
        if launched:  # networks that mine at once have the receipt by now
            self._track(self._read_chain(self._address), only=launched)
        for request in self._store.open_requests(self._address):
            counter = request.status.value
            setattr(status, counter, getattr(status, counter) + 1)
        status.external = self._external.warning()
        status.accepted_block = max(
            (block for block in (status.accepted_block, self._tracker.accepted_block) if block is not None),
            default=None,
        )
        return status

    def _read_chain(self, sender: str) -> ChainView:
        return ChainView(
            head=self._rpc.block("latest"),
            settled=self._finality.block(self._rpc),
            nonce=self._rpc.nonce(sender, "latest"),
            priority=self._rpc.priority_fee(),
        )

    def _track(self, view: ChainView, only: list[int] | None = None) -> None:
        for request in self._store.open_requests(self._address):
            if request.status != TxStatus.QUEUED and (only is None or request.id in only):
                self._tracker.advance(request, view)
        self.status.blocked = self.status.blocked or view.blocked

    # ------------------------------------------------------------------ the queue

    def _work_queue(self, view: ChainView) -> list[int]:
        """Send queued requests in order; return the ids of those that were sent."""
        launched: list[int] = []
        self._fill_gap(view, launched)
        queued = [request for request in self._store.open_requests(self._address) if request.status == TxStatus.QUEUED]
        for request in queued:
            if request.action == TxAction.CANCEL:
                self._store.update(request.id, TxStatus.CANCELLED, outcome="cancelled before anything was signed")
        for request in queued:
            if request.action == TxAction.CANCEL:
                continue
            if view.in_flight >= self._max_in_flight or not self._launch(request, view, launched):
                break
        return launched

    def _launch(self, request: TxRequest, view: ChainView, launched: list[int]) -> bool:
        """Send a request for the first time; False if the queue has to wait."""
        call = request.call
        if request.not_after is not None and view.head.timestamp > request.not_after:
            self._store.update(request.id, TxStatus.FAILED, outcome="too late: its window is over")
            return True
        if (self._stall.head, self._stall.request) == (view.head.number, request.id):
            self.status.blocked = self._stall.reason
            return False
        try:
            gas = self._rpc.estimate_gas(call.to, call.data, sender=request.sender, value=call.value)
        except ContractReverted as error:
            if view.in_flight:  # it may depend on a transaction that is in flight
                self.status.waits = f"{call.describe}: waits for earlier transactions ({error.reason})"
                return False
            self._store.update(request.id, TxStatus.FAILED, outcome=str(error.reason))
            return True
        except RpcResponseError as error:
            if not lacks_funds(error):
                self._store.update(request.id, TxStatus.FAILED, outcome=error.message)
                return True
            gas = TRANSFER_GAS
        return self._sign_first(request, max(gas, min(gas * 6 // 5, MAX_GAS)), view, launched)

    def _sign_first(self, request: TxRequest, gas: int, view: ChainView, launched: list[int]) -> bool:
        """Sign and broadcast a request's first attempt; False if the queue has to wait."""
        call, status = request.call, self.status
        if not self._fees.affordable(view.head.base_fee):
            status.blocked = f"the base fee is above the cap of {self._fees.cap} wei per gas"
            return False
        fees = self._fees.first(view.head.base_fee, view.priority)
        balance = self._rpc.balance(request.sender)
        needed = view.reserved + gas * fees.max_fee + call.value
        if balance < needed:
            status.blocked = f"{request.sender} holds {balance} wei; {call.describe} needs up to {needed}: add funds"
            self._stall = _Stall(view.head.number, request.id, status.blocked)
            return False
        nonce = self._next_nonce(view)
        if nonce is None:
            status.waits = f"{call.describe}: waits until another program's transaction is mined"
            return False
        try:
            attempt = self._attempts.sign(request, nonce, gas, fees, view.head.number, cancels=False)
        except SigningFailed as error:
            status.blocked = str(error)
            return False
        view.in_flight += 1
        view.reserved += attempt.cost
        launched.append(request.id)
        reply = self._attempts.broadcast(attempt, view.head.number)
        if reply.verdict == Verdict.REJECTED:  # it never reached the network, so its nonce is free again
            self._store.update(request.id, TxStatus.FAILED, outcome=reply.message)
            view.in_flight -= 1
            return True
        if reply.verdict != Verdict.ACCEPTED:
            self._retrier.handle_reply(request, [attempt], reply, view)
        status.blocked = status.blocked or view.blocked
        return True

    def _fill_gap(self, view: ChainView, launched: list[int]) -> None:
        """Use a free nonce below ours with an empty self-transfer, after it held them up for `FeePolicy.patience`
        blocks.

        A reorg leaves such a gap if it removes a failed transaction whose request was sent again at a later nonce.
        """
        ours = self._store.nonces(self._address)
        if view.nonce in ours or not any(nonce > view.nonce for nonce in ours):
            self._gap = None
            return
        nonce, since = self._gap or (view.nonce, view.head.number)
        if nonce != view.nonce:
            since = view.head.number
        self._gap = (view.nonce, since)
        if view.head.number - since < self._fees.patience or self._rpc.nonce(self._address, "pending") > view.nonce:
            return
        call = Call(self._address, b"", f"use up nonce {view.nonce}, which a reorg left free below others")
        request = self.submit(f"use-nonce/0/{self._address}/{view.nonce}", call, retry=True)
        if request.status == TxStatus.QUEUED:
            self._launch(request, view, launched)

    def _next_nonce(self, view: ChainView) -> int | None:
        """The lowest nonce that neither the chain nor a request uses; a gap would hold up everything above it.

        None while another program's transaction waits there: skipping it would mix two queues of one key.
        """
        nonce = view.nonce
        ours = self._store.nonces(self._address)
        while nonce in ours:
            nonce += 1
        if self._rpc.nonce(self._address, "pending") > nonce:
            self._external.note_waiting(self._address, nonce)
            return None
        return nonce
