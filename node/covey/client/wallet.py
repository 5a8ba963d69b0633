"""Sends single transactions of one key and waits for each.

For transactions that must survive a crash, the daemon has a persistent queue (`covey.chain.tx.sender`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from covey.chain.contracts.base import Call
from covey.chain.errors import ChainError
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.responses import Receipt
from covey.chain.signing.keystore import Signer
from covey.client.errors import TransactionFailed


@dataclass(frozen=True, slots=True)
class SentTransaction:
    """A mined transaction: its purpose in words, its 0x-prefixed hash, its block, and the gas it used."""

    purpose: str
    hash: str
    block: int
    gas_used: int


class Wallet:
    """Sends transactions of one key."""

    def __init__(self, rpc: Rpc, signer: Signer) -> None:
        self.rpc = rpc
        self.signer = signer

    @property
    def address(self) -> str:
        """The sender, a checksummed address."""
        return self.signer.address

    def send(self, call: Call) -> Receipt:
        """Send a call and wait until it is mined.

        Raises:
            TransactionFailed: it would revert, it was reverted, or it was not mined within two minutes.
        """
        from covey.chain.tx.oneshot import send

        try:
            return send(self.rpc, self.signer, call)
        except ChainError as error:
            raise failed(call, str(error)) from None

    def send_all(self, calls: Iterable[Call]) -> Iterator[SentTransaction]:
        """Send calls in order, each after the one before it succeeded. Yields each transaction as it is mined.

        Raises:
            TransactionFailed: see `send`; the transactions yielded before stay valid.
        """
        for call in calls:
            receipt = self.send(call)
            yield SentTransaction(call.describe, receipt.tx_hash, receipt.block, receipt.gas_used)


def failed(call: Call, reason: str) -> TransactionFailed:
    """The error for a call, beginning with the call's purpose."""
    return TransactionFailed(reason if reason.startswith(call.describe) else f"{call.describe}: {reason}")
