"""Signed attempts: signed, checked, on disk, broadcast, in this order; and what a node's refusal of one means."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from covey.chain.errors import ContractReverted, RpcResponseError, SigningFailed
from covey.chain.gas import TRANSFER_GAS
from covey.chain.tx.fees import Fees
from covey.chain.tx.records import TxAttempt, TxRequest, TxStore

if TYPE_CHECKING:
    from covey.chain.rpc.client import Rpc
    from covey.chain.signing.keystore import Signer

_LONGEST_PAUSE = 60.0  # seconds between two tries of a signer that fails

_NONCE_TOO_LOW = re.compile(r"nonce (is )?too low|nonce.*already (been )?used|invalid nonce|old nonce", re.IGNORECASE)
_REPLACEMENT = re.compile(r"replacement", re.IGNORECASE)
_UNDERPRICED = re.compile(
    r"underpriced|less than block base fee|fee (cap )?too low|gas price (too low|below)", re.IGNORECASE
)
_NO_FUNDS = re.compile(r"insufficient funds|insufficient balance|upfront cost exceeds", re.IGNORECASE)
_NEVER = re.compile(
    r"oversized|size (limit )?exceed|exceeds block gas limit|gas limit.*(too high|reached|cap)|initcode", re.IGNORECASE
)


class Verdict(StrEnum):
    """What a node made of an attempt."""

    TAKEN = "taken"
    """It has it now."""
    TOO_CHEAP = "too cheap"
    """Offer more at the same nonce."""
    NONCE_TAKEN = "nonce taken"
    """Another transaction waits at its nonce and would have to be outbid."""
    NONCE_USED = "nonce used"
    """Something at its nonce was mined; the receipts say what."""
    NO_FUNDS = "no funds"
    REJECTED = "never"
    """No node will ever take it."""
    OTHER = "other"
    """Refused for a reason that may pass."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A node's verdict in its own words."""

    verdict: Verdict
    message: str = ""


def lacks_funds(error: RpcResponseError) -> bool:
    """True when a node refused for want of money."""
    return bool(_NO_FUNDS.search(error.message))


def verdict_of(message: str) -> Verdict:
    """What a node's refusal means."""
    if _REPLACEMENT.search(message):
        return Verdict.NONCE_TAKEN
    for pattern, verdict in (
        (_UNDERPRICED, Verdict.TOO_CHEAP),
        (_NO_FUNDS, Verdict.NO_FUNDS),
        (_NEVER, Verdict.REJECTED),
        (_NONCE_TOO_LOW, Verdict.NONCE_USED),
    ):
        if pattern.search(message):
            return verdict
    return Verdict.OTHER


class Attempts:
    """Makes attempts and hands them to the network. A signer that fails is left alone for a growing while."""

    def __init__(self, rpc: Rpc, signer: Signer, store: TxStore) -> None:
        self._rpc = rpc
        self._signer = signer
        self._store = store
        self._sent_at: dict[str, int] = {}  # attempt hash -> head when it was last sent
        self._failures = 0
        self._sign_at = 0.0
        self._fault = ""

    def make(self, request: TxRequest, nonce: int, gas: int, fees: Fees, head: int, *, cancels: bool) -> TxAttempt:
        """A signed attempt, on disk.

        Raises:
            SigningFailed: there is no signature, or not yet again; nothing was kept.
        """
        if time.monotonic() < self._sign_at:
            raise SigningFailed(self._fault)
        call = request.call
        fields: dict[str, Any] = {
            "type": 2,
            "chainId": self._rpc.chain_id,
            "nonce": nonce,
            "data": b"" if cancels else call.data,
            "value": 0 if cancels else call.value,
            "gas": gas,
            "maxFeePerGas": fees.max_fee,
            "maxPriorityFeePerGas": fees.priority_fee,
        }
        to = self._signer.address if cancels else call.to
        if to is not None:
            fields["to"] = to
        try:
            signed = self._signer.sign_transaction(fields)
        except SigningFailed as error:
            self._failures += 1
            self._fault = f"{call.describe}: {error}"
            self._sign_at = time.monotonic() + min(_LONGEST_PAUSE, 2.0**self._failures)
            raise SigningFailed(self._fault) from None
        self._failures = 0
        attempt = TxAttempt(
            hash=signed.hash,
            request=request.id,
            sender=self._signer.address,
            nonce=nonce,
            raw=signed.raw,
            gas=gas,
            max_fee=fees.max_fee,
            priority_fee=fees.priority_fee,
            block=head,
            cancels=cancels,
            value=fields["value"],
        )
        self._store.add_attempt(attempt)
        return attempt

    def cancel_gas(self) -> int:
        """Gas of a transfer of nothing to oneself; some networks ask for more than Ethereum does."""
        address = self._signer.address
        try:
            return max(TRANSFER_GAS, self._rpc.estimate_gas(address, b"", sender=address))
        except (RpcResponseError, ContractReverted):
            return TRANSFER_GAS

    def sent_at(self, attempt: TxAttempt, head: int) -> bool:
        """True when it was sent at this head already."""
        return self._sent_at.get(attempt.hash) == head

    def last_sent(self, attempt: TxAttempt) -> int:
        """The head at which this process sent it last; -1 if it has not."""
        return self._sent_at.get(attempt.hash, -1)

    def sent_before(self, attempt: TxAttempt) -> bool:
        """True when this process has sent it."""
        return attempt.hash in self._sent_at

    def broadcast(self, attempt: TxAttempt, head: int) -> Reply:
        """Send an attempt.

        Raises:
            Unreachable: nobody answered; it stays on disk.
        """
        self._sent_at[attempt.hash] = head
        try:
            self._rpc.send_raw(attempt.raw)
        except RpcResponseError as error:
            return Reply(verdict_of(error.message), error.message)
        except ContractReverted as error:  # some nodes run it first
            return Reply(Verdict.OTHER, str(error.reason))
        return Reply(Verdict.TAKEN)

    def forget(self, attempts: list[TxAttempt]) -> None:
        """They are over; nothing more about them is needed."""
        for attempt in attempts:
            self._sent_at.pop(attempt.hash, None)
