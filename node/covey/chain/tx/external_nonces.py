"""Noticing that somebody else signs with our key: a second daemon, a restored copy, a wallet, a thief."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from covey.chain.errors import RpcResponseError, TransientError
from covey.chain.tx.records import ForeignUse, TxStore

if TYPE_CHECKING:
    from covey.chain.rpc.client import Rpc
    from covey.chain.rpc.responses import Block

NOTICE_SECONDS = 3600
"""Chain time for which a foreign use of the key is told."""
LOOK_BACK = 120
"""Blocks back to which the foreign transaction is looked for; most nodes keep the state of 128."""
IDLE_SECONDS = 60.0
"""Pause between two looks at the key while nothing is sent."""


class ExternalNonceMonitor:
    """Compares the nonces that the chain has used with those that this node gave out."""

    def __init__(self, rpc: Rpc, store: TxStore, address: str) -> None:
        self._rpc = rpc
        self._store = store
        self._address = address
        self._now = 0
        self._first = True
        self._looked = -IDLE_SECONDS
        self._waiting = ""

    def tick(self, nonce: int, head: Block) -> None:
        """Note nonces below ``nonce``, the chain's at ``head``, that no attempt of ours has."""
        self._now = head.timestamp
        self._looked = time.monotonic()
        self._waiting = ""
        if self._first:  # with a new journal, what waits may be our own: the old one is lost
            self._first = False
            self._store.expected_nonce(self._address, max(nonce, self._rpc.nonce(self._address, "pending")))
        expected = self._store.expected_nonce(self._address, nonce)
        if nonce > expected:
            self.used(self._address, nonce - 1, head)

    def idle(self) -> None:
        """As `tick`, once in a while, when nothing is to be sent."""
        if time.monotonic() - self._looked >= IDLE_SECONDS:
            head = self._rpc.block("latest")
            self.tick(self._rpc.nonce(self._address, "latest"), head)

    def used(self, sender: str, nonce: int, head: Block, found: tuple[str, int] | None = None) -> None:
        """Somebody else used ``nonce``, by the transaction ``found`` (hash and block) if that is known."""
        found = found or find_transaction(self._rpc, sender, nonce, head.number)
        tx_hash, block = found if found is not None else (None, None)
        self._store.add_foreign(ForeignUse(sender, nonce, tx_hash, block, head.timestamp))

    def waits(self, sender: str, nonce: int) -> None:
        """A transaction of somebody else waits at ``nonce``."""
        self._waiting = f"a transaction that this node did not send waits at nonce {nonce} of {sender}"

    def suspects(self, sender: str, nonce: int) -> None:
        """``nonce`` was used, and no transaction of ours at it has a receipt so far."""
        self._waiting = f"nonce {nonce} of {sender} was used by a transaction that this node did not send"

    def told(self) -> str:
        """What was noticed, in one line that says what to do; empty when nothing was, or long ago."""
        use = self._store.last_foreign(self._address)
        recent = use is not None and self._now - use.noticed <= NOTICE_SECONDS
        if not self._waiting and not recent:
            return ""
        what = self._waiting
        if use is not None and recent:
            which = f"by {use.tx_hash} in block {use.block}" if use.tx_hash else "by a transaction"
            what = what or f"nonce {use.nonce} of {self._address} was used {which} that this node did not send"
        return f"{what}: another program signs with this key; stop it, or give this node a key of its own"


def find_transaction(rpc: Rpc, sender: str, nonce: int, head: int) -> tuple[str, int] | None:
    """Hash and block of the transaction that used ``nonce``, by bisection over recent blocks; None if not found."""
    low, high = max(0, head - LOOK_BACK), head
    try:
        if rpc.nonce(sender, low) > nonce:
            return None
        while high - low > 1:
            middle = (low + high) // 2
            if rpc.nonce(sender, middle) > nonce:
                high = middle
            else:
                low = middle
        block = rpc.request("eth_getBlockByNumber", [hex(high), True])
        for transaction in block["transactions"]:
            if transaction["from"].lower() == sender.lower() and int(transaction["nonce"], 16) == nonce:
                return str(transaction["hash"]), high
    except (TransientError, RpcResponseError, KeyError, TypeError, ValueError, AttributeError):
        pass  # the node does not keep that state: what it is called is only a help
    return None
