"""Signs attempts, stores them, broadcasts them, and interprets a node's refusal.

The order is fixed: sign, verify, store on disk, broadcast. `covey.chain.tx.retry` decides what follows a refusal.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from covey.chain.errors import ContractReverted, RpcResponseError, SigningFailed
from covey.chain.gas import TRANSFER_GAS
from covey.chain.rpc.refusals import spaced
from covey.chain.tx.fees import Fees
from covey.chain.tx.records import TxAttempt, TxRequest, TxStore

if TYPE_CHECKING:
    from covey.chain.rpc.client import Rpc
    from covey.chain.signing.keystore import TransactionSigner

_MAX_SIGNER_BACKOFF_S = 60.0

# Refusals of geth, Nethermind, Besu, Erigon, Reth and OpenEthereum; see `covey.chain.rpc.refusals.spaced`.
_OCCUPIED = re.compile(r"\breplac|same nonce")
_NO_FUNDS = re.compile(
    r"insufficient (funds|balance|ether)|not enough (funds|balance|ether)|up-?front cost|"
    r"exceeds? (the )?(account )?balance|"
    r"account balance (is )?too low"
)
_NONCE_USED = re.compile(
    r"nonce.{0,40}(too low|below|less than|lower than|already (been )?used|already taken)|invalid nonce|old nonce"
)
_UNDERPRICED = re.compile(
    r"underpriced|too low to compete|insufficient (fee|priority fee|tip)|below (the )?(configured )?min|"
    r"(fee|price|tip|cap)\b.{0,40}\b(too low|below|less than|lower than|under)|(increas|rais)\w* the (fee|gas price)"
)
_INVALID = re.compile(
    r"oversized|size (limit )?exceed|exceeds (the )?block gas limit|gas limit.*(too high|reached|cap|bigger|exceed)|"
    r"init ?code|intrinsic gas|type not supported|not an eoa|sender is contract"
)


class Verdict(StrEnum):
    """How a node answered a broadcast."""

    ACCEPTED = "accepted"
    """The node has the transaction."""
    UNDERPRICED = "underpriced"
    """The fee is too low; a replacement at the same nonce can offer more."""
    NONCE_OCCUPIED = "nonce occupied"
    """Another transaction waits at the nonce; only a higher fee would replace it."""
    NONCE_USED = "nonce used"
    """A transaction at the nonce was mined; the receipts show which."""
    NO_FUNDS = "no funds"
    """The account cannot pay for it."""
    REJECTED = "rejected"
    """No node will ever accept it."""
    OTHER = "other"
    """Refused for a reason that may pass."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A node's verdict on a broadcast, and its message."""

    verdict: Verdict
    message: str = ""


def lacks_funds(error: RpcResponseError) -> bool:
    """True if a node refused because the account cannot pay."""
    return bool(_NO_FUNDS.search(spaced(error.message)))


def verdict_of(message: str) -> Verdict:
    """Classify a node's refusal by its message."""
    text = spaced(message)
    for pattern, verdict in (
        (_OCCUPIED, Verdict.NONCE_OCCUPIED),
        (_NO_FUNDS, Verdict.NO_FUNDS),
        (_NONCE_USED, Verdict.NONCE_USED),
        (_UNDERPRICED, Verdict.UNDERPRICED),
        (_INVALID, Verdict.REJECTED),
    ):
        if pattern.search(text):
            return verdict
    return Verdict.OTHER


class Attempts:
    """Signs and broadcasts attempts. After a failure of the signer it backs off exponentially, up to a minute."""

    def __init__(self, rpc: Rpc, signer: TransactionSigner, store: TxStore) -> None:
        self._rpc = rpc
        self._signer = signer
        self._store = store
        self._sent_at: dict[str, int] = {}  # attempt hash -> head at the last broadcast
        self._failures = 0
        self._sign_at = 0.0
        self._fault = ""

    def sign(self, request: TxRequest, nonce: int, gas: int, fees: Fees, head: int, *, cancels: bool) -> TxAttempt:
        """Sign an attempt and store it on disk.

        Raises:
            SigningFailed: the signer gave no signature, or its back-off is not over; nothing was stored.
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
            self._sign_at = time.monotonic() + min(_MAX_SIGNER_BACKOFF_S, 2.0**self._failures)
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
        """Gas limit of an empty self-transfer; some networks charge more than Ethereum does."""
        address = self._signer.address
        try:
            return max(TRANSFER_GAS, self._rpc.estimate_gas(address, b"", sender=address))
        except (RpcResponseError, ContractReverted):
            return TRANSFER_GAS

    def was_sent_at(self, attempt: TxAttempt, head: int) -> bool:
        """True if this process has broadcast it at this head."""
        return self._sent_at.get(attempt.hash) == head

    def last_sent(self, attempt: TxAttempt) -> int:
        """The head at which this process last broadcast it; -1 if never."""
        return self._sent_at.get(attempt.hash, -1)

    def was_sent(self, attempt: TxAttempt) -> bool:
        """True if this process has broadcast it."""
        return attempt.hash in self._sent_at

    def broadcast(self, attempt: TxAttempt, head: int) -> Reply:
        """Send an attempt to the network.

        Raises:
            Unreachable: no endpoint answered; the attempt stays on disk.
        """
        self._sent_at[attempt.hash] = head
        try:
            self._rpc.send_raw(attempt.raw)
        except RpcResponseError as error:
            return Reply(verdict_of(error.message), error.message)
        except ContractReverted as error:  # some nodes execute it first
            return Reply(Verdict.OTHER, str(error.reason))
        return Reply(Verdict.ACCEPTED)

    def forget(self, attempts: list[TxAttempt]) -> None:
        """Drop what is remembered of attempts whose nonce is settled."""
        for attempt in attempts:
            self._sent_at.pop(attempt.hash, None)
