"""Sending transactions: each request once, whatever happens to the process, the endpoints or the network.

A request gets a nonce with its first signed attempt, and every attempt is on disk before it is broadcast. From then on
only attempts at that nonce are made, so at most one of them can ever be mined. A request leaves its nonce only when a
settled block shows that another transaction of the key used it up. "Nonce too low" is therefore never a reason to try
the next one: it says that something was mined, and the receipts say what.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from covey.chain.answers import Block, Receipt
from covey.chain.errors import Recoverable, Refused, Reverted
from covey.chain.fees import FeePolicy, Fees
from covey.chain.follower import Finality
from covey.chain.tx_store import TxAttempt, TxRequest, TxStatus, TxStore

if TYPE_CHECKING:
    from covey.chain.contracts.base import Call
    from covey.chain.keys import Signer
    from covey.chain.rpc import Rpc

MAX_GAS = 1 << 24
"""Most gas of one transaction (EIP-7825)."""

_NONCE_TOO_LOW = re.compile(r"nonce (is )?too low|nonce.*already (been )?used|invalid nonce|old nonce", re.IGNORECASE)
_UNDERPRICED = re.compile(r"underpriced|less than block base fee|fee (cap )?too low|gas price too low", re.IGNORECASE)
_NO_FUNDS = re.compile(r"insufficient funds|insufficient balance", re.IGNORECASE)
_NEVER = re.compile(
    r"oversized|size (limit )?exceed|exceeds block gas limit|gas limit.*(too high|reached|cap)|initcode", re.IGNORECASE
)


@dataclass(slots=True)
class SenderStatus:
    """What the sender is doing; ``blocked`` says in one line why nothing moves, empty while all is well."""

    address: str
    queued: int = 0
    pending: int = 0
    mined: int = 0
    blocked: str = ""
    foreign: str = ""
    """Signs of somebody else using this key."""
    accepted_block: int | None = None
    """The newest block that holds a successful transaction of ours, since the start."""


@dataclass(slots=True)
class _View:
    """The chain during one tick."""

    head: Block
    final: Block
    nonce: int
    """As of the head."""
    priority: int
    in_flight: int = 0
    launched: list[int] = field(default_factory=list)


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
        self._signer = signer
        self._store = store
        self._fees = fees or FeePolicy()
        self._finality = finality or Finality()
        self._max_in_flight = max_in_flight
        self._broadcast_at: dict[str, int] = {}  # attempt hash -> head when it was last sent
        self._raise: set[int] = set()  # requests whose newest attempt a node found too cheap
        self._missing_since: dict[int, int] = {}  # request -> head when its nonce was first seen used by no attempt
        self.status = SenderStatus(signer.address)

    # ------------------------------------------------------------------ asking

    def submit(self, key: str, call: Call, *, not_after: int | None = None, again: bool = False) -> TxRequest:
        """Ask for ``call`` to be sent once.

        Args:
            key: names the request for ever; a second submit with it changes nothing, unless it waits for another
                signer, which it then leaves: nothing was signed for it yet.
            not_after: chain time after which sending it first would be pointless.
            again: queue it once more if it is over without success, with this call. Safe: it has had no effect.
        """
        request = self._store.add(key, self._signer.address, call, not_after)
        rotated = request.sender != self._signer.address and request.status == TxStatus.QUEUED
        if rotated or (again and request.status in (TxStatus.FAILED, TxStatus.REVERTED)):
            self._store.requeue(request.id, self._signer.address, call, not_after)
            request = self._store.get(key) or request
        return request

    def request(self, key: str) -> TxRequest | None:
        """How far a request has come."""
        return self._store.get(key)

    # ------------------------------------------------------------------ working

    def tick(self) -> SenderStatus:
        """Look after everything that is open: receipts, rebroadcasts, replacements, then the queue.

        Call it every few seconds. What an endpoint fails to answer is tried again in the next tick.

        Raises:
            Unreachable: no endpoint answered; nothing was lost.
            WrongChain: an endpoint serves another chain.
        """
        open_requests = self._store.open_requests(self._signer.address)
        status = self.status = SenderStatus(self._signer.address, accepted_block=self.status.accepted_block)
        if not open_requests:
            return status
        view = self._view()
        for request in open_requests:
            if request.status != TxStatus.QUEUED:
                self._track(request, view)
        for request in self._store.open_requests(self._signer.address):
            if request.status != TxStatus.QUEUED:
                continue
            if view.in_flight >= self._max_in_flight or not self._launch(request, view):
                break
        if view.launched:
            self._look_again(view)
        for request in self._store.open_requests(self._signer.address):
            counter = request.status.value
            setattr(status, counter, getattr(status, counter) + 1)
        return status

    def _view(self) -> _View:
        head = self._rpc.block("latest")
        return _View(
            head=head,
            final=self._finality.block(self._rpc),
            nonce=self._rpc.nonce(self._signer.address, "latest"),
            priority=self._rpc.priority_fee(),
        )

    def _look_again(self, view: _View) -> None:
        """Networks that mine at once have the receipt by now."""
        fresh = self._view()
        for request in self._store.open_requests(self._signer.address):
            if request.id in view.launched and request.status == TxStatus.PENDING:
                self._track(request, fresh)

    # ------------------------------------------------------------------ what is with the network

    def _track(self, request: TxRequest, view: _View) -> None:
        attempts = [a for a in self._store.attempts(request.id) if a.nonce == request.nonce]
        for attempt in reversed(attempts):
            receipt = self._rpc.receipt(attempt.hash)
            if receipt is not None:
                self._mined(request, receipt, view)
                return
        if request.status == TxStatus.MINED:  # its block was undone
            self._store.update(request.id, TxStatus.PENDING, outcome="its block was undone")
        assert request.nonce is not None
        if view.nonce > request.nonce:
            self._nonce_used(request, view)
            return
        self._missing_since.pop(request.id, None)
        view.in_flight += 1
        newest = attempts[-1]
        due = view.head.number - newest.block >= self._fees.patience and view.nonce == request.nonce
        if (due or request.id in self._raise) and self._replace(request, newest, view):
            return
        if self._broadcast_at.get(newest.hash) != view.head.number and self._rpc.transaction(newest.hash) is None:
            self._broadcast(request, newest, view)

    def _mined(self, request: TxRequest, receipt: Receipt, view: _View) -> None:
        self._missing_since.pop(request.id, None)
        self._raise.discard(request.id)
        if receipt.succeeded:
            self.status.accepted_block = max(self.status.accepted_block or 0, receipt.block)
        if receipt.block > view.final.number:
            if (request.status, request.tx_hash, request.block) != (TxStatus.MINED, receipt.tx_hash, receipt.block):
                self._store.update(request.id, TxStatus.MINED, tx_hash=receipt.tx_hash, block=receipt.block)
            return
        status = TxStatus.DONE if receipt.succeeded else TxStatus.REVERTED
        outcome = "" if receipt.succeeded else self._why_reverted(request, receipt)
        self._store.update(request.id, status, tx_hash=receipt.tx_hash, block=receipt.block, outcome=outcome)

    def _why_reverted(self, request: TxRequest, receipt: Receipt) -> str:
        """Best effort: the same call on the state before its block."""
        call = request.call
        try:
            self._rpc.call(call.to, call.data, sender=request.sender, value=call.value, block=receipt.block - 1)
        except Reverted as error:
            return str(error.reason)
        except (Recoverable, Refused):
            pass
        return f"reverted in block {receipt.block} after {receipt.gas_used} gas"

    def _nonce_used(self, request: TxRequest, view: _View) -> None:
        """Something used the nonce and none of our attempts has a receipt."""
        assert request.nonce is not None
        view.in_flight += 1
        self.status.foreign = f"nonce {request.nonce} was used by a transaction that this node did not send"
        settled = self._rpc.nonce(request.sender, view.final.number) > request.nonce
        since = self._missing_since.setdefault(request.id, view.head.number)
        if settled and view.head.number - since >= self._fees.patience:
            del self._missing_since[request.id]
            view.in_flight -= 1
            self._store.update(request.id, TxStatus.QUEUED, outcome=self.status.foreign)

    def _replace(self, request: TxRequest, newest: TxAttempt, view: _View) -> bool:
        old = Fees(newest.max_fee, newest.priority_fee)
        fees = self._fees.replacement(old, view.head.base_fee, view.priority)
        if fees is None:
            self.status.blocked = f"{request.call.describe}: waits, a higher offer would be above the fee cap"
            return False
        self._raise.discard(request.id)
        self._attempt(request, newest.nonce, newest.gas, fees, view)
        return True

    # ------------------------------------------------------------------ the queue

    def _launch(self, request: TxRequest, view: _View) -> bool:
        """Send a request for the first time; False when the queue has to wait."""
        call = request.call
        if request.not_after is not None and view.head.timestamp > request.not_after:
            self._store.update(request.id, TxStatus.FAILED, outcome="too late: its window is over")
            return True
        try:
            gas = self._rpc.estimate_gas(call.to, call.data, sender=request.sender, value=call.value)
        except Reverted as error:
            if view.in_flight:  # perhaps it needs what is still on its way
                self.status.blocked = f"{call.describe}: waits for earlier transactions ({error.reason})"
                return False
            self._store.update(request.id, TxStatus.FAILED, outcome=str(error.reason))
            return True
        except Refused as error:
            if not _NO_FUNDS.search(error.message):
                self._store.update(request.id, TxStatus.FAILED, outcome=error.message)
                return True
            gas = 21_000
        if not self._fees.affordable(view.head.base_fee):
            self.status.blocked = f"the base fee is above the cap of {self._fees.cap} wei a unit of gas"
            return False
        gas = max(gas, min(gas * 6 // 5, MAX_GAS))
        fees = self._fees.first(view.head.base_fee, view.priority)
        balance = self._rpc.balance(request.sender)
        if balance < gas * fees.max_fee + call.value:
            wanted = gas * fees.max_fee + call.value
            self.status.blocked = (
                f"{request.sender} holds {balance} wei; {call.describe} needs up to {wanted}: add funds"
            )
            return False
        self._attempt(request, self._next_nonce(view), gas, fees, view)
        view.in_flight += 1
        view.launched.append(request.id)
        return True

    def _next_nonce(self, view: _View) -> int:
        """The lowest nonce that neither the chain nor a request has used; gaps would hold up everything above them."""
        ours = self._store.nonces(self._signer.address)
        waiting = self._rpc.nonce(self._signer.address, "pending")
        nonce = _first_free(view.nonce, ours)
        if waiting > nonce:
            self.status.foreign = f"nonces up to {waiting - 1} are taken by transactions that this node did not send"
            nonce = _first_free(waiting, ours)
        return nonce

    # ------------------------------------------------------------------ attempts

    def _attempt(self, request: TxRequest, nonce: int, gas: int, fees: Fees, view: _View) -> None:
        fields: dict[str, Any] = {
            "type": 2,
            "chainId": self._rpc.chain_id,
            "nonce": nonce,
            "data": request.call.data,
            "value": request.call.value,
            "gas": gas,
            "maxFeePerGas": fees.max_fee,
            "maxPriorityFeePerGas": fees.priority_fee,
        }
        if request.call.to is not None:
            fields["to"] = request.call.to
        signed = self._signer.sign_transaction(fields)
        attempt = TxAttempt(
            signed.hash, request.id, nonce, signed.raw, gas, fees.max_fee, fees.priority_fee, view.head.number
        )
        self._store.add_attempt(attempt)
        self._broadcast(replace(request, nonce=nonce, status=TxStatus.PENDING), attempt, view)

    def _broadcast(self, request: TxRequest, attempt: TxAttempt, view: _View) -> None:
        """Send an attempt; every outcome but success leaves it on disk for the next tick to look after."""
        self._broadcast_at[attempt.hash] = view.head.number
        try:
            self._rpc.send_raw(attempt.raw)
        except Refused as error:
            self._refused(request, attempt, error)
        except Reverted as error:  # some nodes run it first
            self._store.update(request.id, TxStatus.PENDING, outcome=str(error.reason))

    def _refused(self, request: TxRequest, attempt: TxAttempt, error: Refused) -> None:
        message = error.message
        if _UNDERPRICED.search(message):
            self._raise.add(request.id)
        elif _NO_FUNDS.search(message):
            self.status.blocked = f"{request.sender} cannot pay for {request.call.describe}: add funds"
        elif _NEVER.search(message) and len(self._store.attempts(request.id)) == 1:
            # No node will ever take it, so its nonce is free again.
            self._store.update(request.id, TxStatus.FAILED, outcome=message)
            return
        elif not _NONCE_TOO_LOW.search(message):
            self.status.blocked = f"{request.call.describe}: {message}"
        self._store.update(request.id, TxStatus.PENDING, outcome=message)


def _first_free(start: int, taken: set[int]) -> int:
    while start in taken:
        start += 1
    return start
