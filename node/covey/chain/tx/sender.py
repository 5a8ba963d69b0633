"""Sending transactions: each request once, whatever happens to the process, the endpoints or the network.

A request gets a nonce with its first signed attempt, and every attempt is on disk before it is broadcast. From then on
only attempts at that nonce are made, so at most one of them can ever be mined. A request leaves its nonce only when a
settled block shows that another transaction of the key used it up. "Nonce too low" is therefore never a reason to try
the next one: it says that something was mined, and the receipts say what.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from covey.chain.contracts.base import Call
from covey.chain.errors import ContractReverted, RpcResponseError, SigningFailed
from covey.chain.gas import MAX_GAS, TRANSFER_GAS
from covey.chain.rpc.finality import Finality
from covey.chain.tx.attempts import Attempts, Verdict, lacks_funds
from covey.chain.tx.external_nonces import ExternalNonceMonitor
from covey.chain.tx.fees import FeePolicy
from covey.chain.tx.records import TxAction, TxRequest, TxStatus, TxStore
from covey.chain.tx.reorg import SettledReorgMonitor
from covey.chain.tx.tracker import Tracker, View

if TYPE_CHECKING:
    from covey.chain.rpc.client import Rpc
    from covey.chain.signing.keystore import Signer


@dataclass(slots=True)
class SenderStatus:
    """What the sender is doing."""

    address: str
    queued: int = 0
    pending: int = 0
    mined: int = 0
    blocked: str = ""
    """Why nothing moves and what to do about it, in one line; empty while all is well."""
    waits: str = ""
    """What the queue waits for without anything being wrong."""
    foreign: str = ""
    """Signs of somebody else using this key."""
    accepted_block: int | None = None
    """The newest block that holds a successful transaction of ours, since the start."""


@dataclass(slots=True)
class _Stall:
    """A request that could not be sent at a head, and why; the next head may change it."""

    head: int = -1
    request: int = -1
    told: str = ""


class Sender:
    """One queue for one key. Not thread-safe: call it from the daemon's loop.

    Args:
        store: where requests and attempts are kept; see `TxStore`.
        finality: when a mined transaction counts as done.
        max_in_flight: transactions that may wait in the network at once.
    """

    def __init__(
        self,
        rpc: Rpc,
        signer: Signer,
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
        self._watch = ExternalNonceMonitor(rpc, store, self._address)
        self._tracker = Tracker(rpc, store, self._attempts, self._watch, self._fees)
        self._undone = SettledReorgMonitor(rpc, store, self._finality)
        self._hole: tuple[int, int] | None = None  # a nonce that nobody uses below ours, and the head when it was seen
        self._stall = _Stall()
        self.status = SenderStatus(self._address)

    # ------------------------------------------------------------------ asking

    def submit(self, key: str, call: Call, *, not_after: int | None = None, again: bool = False) -> TxRequest:
        """Ask for ``call`` to be sent once.

        Args:
            key: names the request for ever; a second submit with it changes nothing, unless it waits for another
                signer, which it then leaves: nothing was signed for it yet.
            not_after: chain time after which sending it first would be pointless.
            again: queue it once more if it failed or reverted, with this call. Safe: it has had no effect. What was
                cancelled stays cancelled: somebody wanted that.
        """
        request = self._store.add(key, self._address, call, not_after)
        rotated = request.sender != self._address and request.status == TxStatus.QUEUED
        if rotated or (again and request.status in (TxStatus.FAILED, TxStatus.REVERTED)):
            self._store.requeue(request.id, self._address, call, not_after)
            request = self._store.get(key) or request
        return request

    def request(self, key: str) -> TxRequest | None:
        """How far a request has come."""
        return self._store.get(key)

    # ------------------------------------------------------------------ working

    def tick(self, *, launch: bool = True) -> SenderStatus:
        """Look after everything that is open: receipts, rebroadcasts, replacements, wishes, then the queue.

        Call it every few seconds. What an endpoint or the signer fails to answer is tried again in a later tick.

        Args:
            launch: False leaves the queue alone; only what was signed before is looked after.

        Raises:
            Unreachable: no endpoint answered; nothing was lost.
            WrongChain: an endpoint serves another chain.
        """
        status = self.status = SenderStatus(self._address, accepted_block=self.status.accepted_block)
        self._undone.tick()
        others = self._store.signed_by_others(self._address)
        if not others and not self._store.open_requests(self._address):
            self._watch.idle()
            status.foreign = self._watch.told()
            return status
        view = self._view(self._address)
        self._watch.tick(view.nonce, view.head)
        for request in others:
            self._tracker.look_after_former(request, self._view(request.sender))
        self._track(view)
        launched = self._work_queue(view) if launch else []
        if launched:  # networks that mine at once have the receipt by now
            self._track(self._view(self._address), only=launched)
        for request in self._store.open_requests(self._address):
            counter = request.status.value
            setattr(status, counter, getattr(status, counter) + 1)
        status.foreign = self._watch.told()
        status.accepted_block = max(
            (block for block in (status.accepted_block, self._tracker.accepted_block) if block is not None),
            default=None,
        )
        return status

    def _view(self, sender: str) -> View:
        return View(
            head=self._rpc.block("latest"),
            final=self._finality.block(self._rpc),
            nonce=self._rpc.nonce(sender, "latest"),
            priority=self._rpc.priority_fee(),
        )

    def _track(self, view: View, only: list[int] | None = None) -> None:
        for request in self._store.open_requests(self._address):
            if request.status != TxStatus.QUEUED and (only is None or request.id in only):
                self._tracker.look_after(request, view)
        self.status.blocked = self.status.blocked or view.blocked

    # ------------------------------------------------------------------ the queue

    def _work_queue(self, view: View) -> list[int]:
        """Send what waits, in order; the requests that were sent."""
        launched: list[int] = []
        self._fill_hole(view, launched)
        waiting = [one for one in self._store.open_requests(self._address) if one.status == TxStatus.QUEUED]
        for request in waiting:
            if request.wish == TxAction.CANCEL:
                self._store.update(request.id, TxStatus.CANCELLED, outcome="cancelled before anything was signed")
        for request in waiting:
            if request.wish == TxAction.CANCEL:
                continue
            if view.in_flight >= self._max_in_flight or not self._launch(request, view, launched):
                break
        return launched

    def _launch(self, request: TxRequest, view: View, launched: list[int]) -> bool:
        """Send a request for the first time; False when the queue has to wait."""
        call = request.call
        if request.not_after is not None and view.head.timestamp > request.not_after:
            self._store.update(request.id, TxStatus.FAILED, outcome="too late: its window is over")
            return True
        if (self._stall.head, self._stall.request) == (view.head.number, request.id):
            self.status.blocked = self._stall.told
            return False
        try:
            gas = self._rpc.estimate_gas(call.to, call.data, sender=request.sender, value=call.value)
        except ContractReverted as error:
            if view.in_flight:  # perhaps it needs what is still on its way
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

    def _sign_first(self, request: TxRequest, gas: int, view: View, launched: list[int]) -> bool:
        call, status = request.call, self.status
        if not self._fees.affordable(view.head.base_fee):
            status.blocked = f"the base fee is above the cap of {self._fees.cap} wei a unit of gas"
            return False
        fees = self._fees.first(view.head.base_fee, view.priority)
        balance = self._rpc.balance(request.sender)
        wanted = view.reserved + gas * fees.max_fee + call.value
        if balance < wanted:
            status.blocked = f"{request.sender} holds {balance} wei; {call.describe} needs up to {wanted}: add funds"
            self._stall = _Stall(view.head.number, request.id, status.blocked)
            return False
        nonce = self._next_nonce(view)
        if nonce is None:
            status.waits = f"{call.describe}: waits until the transaction of somebody else is mined"
            return False
        try:
            attempt = self._attempts.make(request, nonce, gas, fees, view.head.number, cancels=False)
        except SigningFailed as error:
            status.blocked = str(error)
            return False
        view.in_flight += 1
        view.reserved += attempt.cost
        launched.append(request.id)
        reply = self._attempts.broadcast(attempt, view.head.number)
        if reply.verdict == Verdict.REJECTED:  # it never left this machine, so its nonce is free again
            self._store.update(request.id, TxStatus.FAILED, outcome=reply.message)
            view.in_flight -= 1
            return True
        if reply.verdict != Verdict.TAKEN:
            self._tracker.handle_reply(request, [attempt], reply, view)
        status.blocked = status.blocked or view.blocked
        return True

    def _fill_hole(self, view: View, launched: list[int]) -> None:
        """Use up a nonce that holds up ours above it, once it has done so for a while.

        A reorganisation leaves one where a transaction that had failed is undone and its request has a later nonce.
        """
        ours = self._store.nonces(self._address)
        if view.nonce in ours or not any(nonce > view.nonce for nonce in ours):
            self._hole = None
            return
        nonce, since = self._hole or (view.nonce, view.head.number)
        if nonce != view.nonce:
            since = view.head.number
        self._hole = (view.nonce, since)
        if view.head.number - since < self._fees.patience or self._rpc.nonce(self._address, "pending") > view.nonce:
            return
        call = Call(self._address, b"", f"use up nonce {view.nonce}, which was left free below others")
        request = self.submit(f"use-nonce/0/{self._address}/{view.nonce}", call, again=True)
        if request.status == TxStatus.QUEUED:
            self._launch(request, view, launched)

    def _next_nonce(self, view: View) -> int | None:
        """The lowest nonce that neither the chain nor a request has used; gaps would hold up everything above them.

        None while somebody else's transaction waits there: going past it would mix two queues of one key.
        """
        nonce = view.nonce
        ours = self._store.nonces(self._address)
        while nonce in ours:
            nonce += 1
        if self._rpc.nonce(self._address, "pending") > nonce:
            self._watch.waits(self._address, nonce)
            return None
        return nonce
