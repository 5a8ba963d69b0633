"""What the sender remembers: requests, their signed attempts, and what others did with the same key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from covey.chain.contracts.base import Call


class TxStatus(StrEnum):
    """How far a request has come."""

    QUEUED = "queued"
    """No nonce yet: nothing was ever signed for it, or all that was can no longer be mined."""
    PENDING = "pending"
    """A signed attempt is on disk and perhaps with the network."""
    MINED = "mined"
    """In a block that may still be undone."""
    DONE = "done"
    """Succeeded in a settled block."""
    REVERTED = "reverted"
    """Mined and failed in a settled block; ``outcome`` says why."""
    FAILED = "failed"
    """Never sent, and sending it could not help; ``outcome`` says why."""
    CANCELLED = "cancelled"
    """Given up on the operator's wish: never signed, or a transfer of nothing took its nonce in a settled block."""

    @property
    def over(self) -> bool:
        """True when nothing more will happen."""
        return self in (TxStatus.DONE, TxStatus.REVERTED, TxStatus.FAILED, TxStatus.CANCELLED)


class TxAction(StrEnum):
    """What an operator asked to be done with a request; the sender does it in its next tick."""

    BUMP = "bump"
    """Offer more for it now."""
    CANCEL = "cancel"
    """Take its nonce for a transfer of nothing to oneself."""


@dataclass(frozen=True, slots=True)
class TxRequest:
    """One thing to be sent once. ``outcome`` explains a failure or a wait in one line."""

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
    wish: TxAction | None = None


@dataclass(frozen=True, slots=True)
class TxAttempt:
    """One signed transaction of a request. Fees are wei a unit of gas; ``block`` is the head when it was signed."""

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
    """True for a transfer of nothing to oneself that takes the nonce instead of the call."""
    value: int = 0
    """Native coin that it sends, wei."""

    @property
    def cost(self) -> int:
        """The most that it can take from the sender, wei."""
        return self.gas * self.max_fee + self.value


@dataclass(frozen=True, slots=True)
class ForeignUse:
    """A nonce of our key that somebody else used. ``tx_hash`` and ``block`` where they could be found."""

    sender: str
    nonce: int
    tx_hash: str | None
    block: int | None
    noticed: int
    """Chain time."""


class TxStore(Protocol):
    """What the sender needs to remember."""

    def add(self, key: str, sender: str, call: Call, not_after: int | None) -> TxRequest:
        """A new request, or the one that already has this key."""

    def requeue(self, request: int, sender: str, call: Call, not_after: int | None) -> None:
        """Queue a request anew, for this sender and with this call; its attempts so far can have no effect."""

    def get(self, key: str) -> TxRequest | None:
        """The request with this key."""

    def open_requests(self, sender: str) -> Sequence[TxRequest]:
        """Requests of ``sender`` that are not over, oldest first."""

    def signed_by_others(self, sender: str) -> Sequence[TxRequest]:
        """Requests that keys other than ``sender``'s signed and that are not over, oldest first."""

    def newest_settled(self) -> int | None:
        """The newest block in which a request of any key came to its end."""

    def settled_last(self, blocks: int) -> Sequence[TxRequest]:
        """Requests of all keys that came to their end in that block or one of as many as ``blocks`` below it."""

    def attempts(self, request: int) -> Sequence[TxAttempt]:
        """All attempts of a request, by nonce and then by offer."""

    def add_attempt(self, attempt: TxAttempt) -> None:
        """Keep an attempt, make its request pending at its nonce and drop its wish; on disk when this returns."""

    def update(
        self, request: int, status: TxStatus, *, tx_hash: str | None = None, block: int | None = None, outcome: str = ""
    ) -> None:
        """How far a request has come. ``QUEUED`` takes its nonce away; what is over has no wish left."""

    def wish(self, request: int, wish: TxAction | None) -> None:
        """Ask for something to be done with a request, or drop the wish."""

    def nonces(self, sender: str) -> set[int]:
        """The nonces of requests that are pending or mined."""

    def expected_nonce(self, sender: str, seen: int) -> int:
        """The nonce that comes after all known ones of ``sender``; ``seen``, and remembered, the first time."""

    def add_foreign(self, use: ForeignUse) -> None:
        """Remember that somebody else used a nonce; what is known of it already stays."""

    def last_foreign(self, sender: str) -> ForeignUse | None:
        """The highest nonce that somebody else used."""
