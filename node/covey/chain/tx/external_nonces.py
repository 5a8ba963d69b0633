"""Detects that another program signs with our key: a second daemon, a restored copy, a wallet, a thief."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from covey.chain.errors import RpcResponseError, TransientError
from covey.chain.tx.records import ExternalUse, TxStore

if TYPE_CHECKING:
    from covey.chain.rpc.client import Rpc
    from covey.chain.rpc.responses import Block

NOTICE_SECONDS = 3600
"""Chain time for which an external use of the key is reported."""
LOOK_BACK = 120
"""Blocks that are searched for the external transaction; most nodes keep the state of 128."""
IDLE_SECONDS = 60.0
"""Interval of checks while nothing is sent."""


class ExternalNonceMonitor:
    """Compares the nonces that the chain has used with those that this node assigned."""

    def __init__(self, rpc: Rpc, store: TxStore, address: str) -> None:
        self._rpc = rpc
        self._store = store
        self._address = address
        self._now = 0
        self._first = True
        self._checked = -IDLE_SECONDS
        self._suspicion = ""

    def check(self, nonce: int, head: Block) -> None:
        """Record the newest nonce below ``nonce``, the chain's at ``head``, if no attempt of ours has it."""
        self._now = head.timestamp
        self._checked = time.monotonic()
        self._suspicion = ""
        if self._first:  # with a new database, waiting transactions may be our own: the old one was lost
            self._first = False
            self._store.expected_nonce(self._address, max(nonce, self._rpc.nonce(self._address, "pending")))
        expected = self._store.expected_nonce(self._address, nonce)
        if nonce > expected:
            self.record_use(self._address, nonce - 1, head)

    def check_when_idle(self) -> None:
        """Run `check` every `IDLE_SECONDS` while there is nothing to send."""
        if time.monotonic() - self._checked >= IDLE_SECONDS:
            head = self._rpc.block("latest")
            self.check(self._rpc.nonce(self._address, "latest"), head)

    def record_use(self, sender: str, nonce: int, head: Block, found: tuple[str, int] | None = None) -> None:
        """Record that another program used ``nonce``; ``found`` is the transaction's hash and block, if known."""
        found = found or find_transaction(self._rpc, sender, nonce, head.number)
        tx_hash, block = found if found is not None else (None, None)
        self._store.add_external_use(ExternalUse(sender, nonce, tx_hash, block, head.timestamp))

    def note_waiting(self, sender: str, nonce: int) -> None:
        """Note until the next check that another program's transaction waits at ``nonce``."""
        self._suspicion = f"a transaction that this node did not send waits at nonce {nonce} of {sender}"

    def note_used(self, sender: str, nonce: int) -> None:
        """Note until the next check that ``nonce`` was used and none of our attempts has a receipt for it."""
        self._suspicion = f"nonce {nonce} of {sender} was used by a transaction that this node did not send"

    def warning(self) -> str:
        """Describe the external use and the remedy in one line; empty if there was none in the last hour."""
        use = self._store.last_external_use(self._address)
        recent = use is not None and self._now - use.noticed <= NOTICE_SECONDS
        if not self._suspicion and not recent:
            return ""
        finding = self._suspicion
        if use is not None and recent:
            which = f"by {use.tx_hash} in block {use.block}" if use.tx_hash else "by a transaction"
            finding = finding or f"nonce {use.nonce} of {self._address} was used {which} that this node did not send"
        return f"{finding}: another program signs with this key; stop it, or give this node a key of its own"


def find_transaction(rpc: Rpc, sender: str, nonce: int, head: int) -> tuple[str, int] | None:
    """Find the transaction that used ``nonce`` by bisection over recent blocks: its hash and block, or None."""
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
        pass  # the node lacks that state; the hash only helps the operator
    return None
