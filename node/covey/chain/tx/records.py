"""Transaction requests, their signed attempts, and nonces that another program used; the store that keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from covey.chain.contracts.base import Call
from covey.chain.errors import FatalError


class TxStatus(StrEnum):
    """Progress of a request."""

    QUEUED = "queued"
    """It has no nonce: nothing was signed for it yet, or none of its attempts can still be mined."""
    PENDING = "pending"
    """A signed attempt is on disk and may be in the network."""
    MINED = "mined"
    """Included in a block that a reorg may still remove."""
    DONE = "done"
    """Succeeded in a settled block."""
    REVERTED = "reverted"
    """Failed in a settled block; ``outcome`` gives the reason."""
    FAILED = "failed"
    """Never sent, because sending it could not succeed; ``outcome`` gives the reason."""
    CANCELLED = "cancelled"
    """Given up at the operator's request: never signed, or an empty self-transfer took its nonce in a settled block."""

    @property
    def is_final(self) -> bool:
        """True when the sender takes no further step; a reorg deeper than expected may still change it."""
        return self in (TxStatus.DONE, TxStatus.REVERTED, TxStatus.FAILED, TxStatus.CANCELLED)


class TxAction(StrEnum):
    """An operator's instruction for a request; the sender carries it out in its next tick."""

    BUMP = "bump"
    """Replace it now with a higher fee."""
    CANCEL = "cancel"
    """Take its nonce for an empty transfer to oneself."""


@dataclass(frozen=True, slots=True)
class TxRequest:
    """A call to be sent exactly once. ``outcome`` explains a failure or a wait in one line."""

    id: int
    key: str
    sender: str
    call: Call
    not_after: int | None
    status: TxStatus
    nonce: int | None
    tx_hash: str | None
    block: int | None
    outcome: str
    action: TxAction | None = None

    def signed_nonce(self) -> int:
        """The nonce of a pending or mined request.

        Raises:
            FatalError: it has none; the transaction database is damaged.
        """
        if self.nonce is None:
            raise FatalError(f"transaction {self.id} is {self.status} without a nonce: the database is damaged")
        return self.nonce


@dataclass(frozen=True, slots=True)
class TxAttempt:
    """One signed transaction of a request. Fees are wei per gas; ``block`` is the head when it was signed."""

    hash: str
    request: int
    sender: str
    nonce: int
    raw: bytes
    gas: int
    max_fee: int
    priority_fee: int
    block: int
    cancels: bool = False
    """True for an empty self-transfer that takes the nonce instead of the call."""
    value: int = 0
    """Native coin sent along, wei."""

    @property
    def cost(self) -> int:
        """The maximum that it can take from the sender, wei."""
        return self.gas * self.max_fee + self.value


@dataclass(frozen=True, slots=True)
class ExternalUse:
    """A nonce of our key that another program used; ``tx_hash`` and ``block`` are None if they were not found."""

    sender: str
    nonce: int
    tx_hash: str | None
    block: int | None
    noticed: int
    """Chain time."""


class TxStore(Protocol):
    """Persistent state of the sender."""

    def add(self, key: str, sender: str, call: Call, not_after: int | None) -> TxRequest:
        """Add a request, or return the one that already has this key."""

    def requeue(self, request: int, sender: str, call: Call, not_after: int | None) -> None:
        """Queue a request again with this sender and call. None of its earlier attempts may still have an effect."""

    def get(self, key: str) -> TxRequest | None:
        """The request with this key."""

    def open_requests(self, sender: str) -> Sequence[TxRequest]:
        """``sender``'s requests that are not final, oldest first."""

    def requests_of_former_signers(self, sender: str) -> Sequence[TxRequest]:
        """Signed requests of keys other than ``sender`` that are not final, oldest first."""

    def newest_settled_block(self) -> int | None:
        """The newest block that settled a request of any key."""

    def settled_within(self, blocks: int) -> Sequence[TxRequest]:
        """Requests of all keys that settled in `newest_settled_block` or at most ``blocks`` below it."""

    def attempts(self, request: int) -> Sequence[TxAttempt]:
        """All attempts of a request, by nonce, then by maximum fee."""

    def add_attempt(self, attempt: TxAttempt) -> None:
        """Store an attempt, make its request pending at its nonce and clear its action; durable on return."""

    def update(
        self, request: int, status: TxStatus, *, tx_hash: str | None = None, block: int | None = None, outcome: str = ""
    ) -> None:
        """Set a request's progress. ``QUEUED`` clears its nonce; a final status clears its action."""

    def request_action(self, request: int, action: TxAction | None) -> None:
        """Set the action that the sender shall carry out for a request; None clears it."""

    def nonces(self, sender: str) -> set[int]:
        """Nonces of ``sender``'s pending and mined requests."""

    def expected_nonce(self, sender: str, seen: int) -> int:
        """The nonce after all known ones of ``sender``. The first call for a sender stores ``seen`` and returns it."""

    def add_external_use(self, use: ExternalUse) -> None:
        """Record that another program used a nonce. A record that already exists for the nonce stays."""

    def last_external_use(self, sender: str) -> ExternalUse | None:
        """The highest nonce of ``sender`` that another program used."""
