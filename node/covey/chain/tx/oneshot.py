"""Sending one call and waiting for it: what a command does that has no daemon behind it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from covey.chain.errors import ChainError, ContractReverted, RevertReason, Timeout
from covey.chain.rpc.finality import Finality
from covey.chain.tx.fees import FeePolicy
from covey.chain.tx.sender import Sender
from covey.chain.tx.store import SqliteTxStore, TxStatus

if TYPE_CHECKING:
    from covey.chain.contracts.base import Call
    from covey.chain.rpc.client import Rpc
    from covey.chain.rpc.responses import Receipt
    from covey.chain.signing.keystore import Signer


def send(
    rpc: Rpc,
    signer: Signer,
    call: Call,
    *,
    fees: FeePolicy | None = None,
    confirmations: int = 0,
    timeout: float = 120.0,
) -> Receipt:
    """Send ``call`` and return its receipt once it is ``confirmations`` blocks deep.

    Raises:
        Reverted: it would revert, or it did; nothing was changed.
        Timeout: not mined in ``timeout`` seconds; the message has the hashes to look for.
        ChainError: it could not be sent, and why.
    """
    return send_all(rpc, signer, [call], fees=fees, confirmations=confirmations, timeout=timeout)[0]


def send_all(
    rpc: Rpc,
    signer: Signer,
    calls: Sequence[Call],
    *,
    fees: FeePolicy | None = None,
    confirmations: int = 0,
    timeout: float = 120.0,
) -> list[Receipt]:
    """Send calls one after the other; each may rely on those before it. Errors as `send`."""
    store = SqliteTxStore(sqlite3.connect(":memory:", isolation_level=None))
    sender = Sender(rpc, signer, store, fees=fees, finality=Finality(confirmations))
    return [_one(rpc, sender, store, f"{i}", call, timeout) for i, call in enumerate(calls)]


def _one(rpc: Rpc, sender: Sender, store: SqliteTxStore, key: str, call: Call, timeout: float) -> Receipt:
    try:
        rpc.estimate_gas(call.to, call.data, sender=sender.status.address, value=call.value)
    except ContractReverted as error:
        raise ContractReverted(error.reason, call.describe) from None
    end = time.monotonic() + timeout
    pause = 0.02
    request = sender.submit(key, call)
    while True:
        status = sender.tick()
        request = sender.request(key) or request
        if request.status.over:
            break
        if time.monotonic() > end:
            hashes = ", ".join(attempt.hash for attempt in store.attempts(request.id)) or "nothing was broadcast"
            raise Timeout(f"{call.describe}: not mined in {timeout:g} s; {status.blocked or status.foreign or hashes}")
        if status.blocked and request.status == TxStatus.QUEUED:
            raise ChainError(status.blocked)
        time.sleep(pause)
        pause = min(1.0, pause * 1.5)
    if request.status == TxStatus.DONE and request.tx_hash is not None:
        receipt = rpc.receipt(request.tx_hash)
        if receipt is not None:
            return receipt
    if request.status == TxStatus.REVERTED:
        raise ContractReverted(RevertReason("", text=request.outcome), call.describe)
    raise ChainError(f"{call.describe}: {request.outcome or 'its receipt has gone missing'}")
