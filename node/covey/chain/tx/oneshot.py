"""Sends a call and waits for its receipt, for programs without a daemon."""

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
    from covey.chain.signing.keystore import TransactionSigner


def send(
    rpc: Rpc,
    signer: TransactionSigner,
    call: Call,
    *,
    fees: FeePolicy | None = None,
    confirmations: int = 0,
    timeout: float = 120.0,
) -> Receipt:
    """Send ``call`` and return its receipt once it is ``confirmations`` blocks deep.

    Raises:
        ContractReverted: the call reverted, or would; it had no effect.
        Timeout: not mined within ``timeout`` seconds; the message lists the hashes of the attempts.
        ChainError: the call could not be sent; the message gives the reason.
    """
    return send_all(rpc, signer, [call], fees=fees, confirmations=confirmations, timeout=timeout)[0]


def send_all(
    rpc: Rpc,
    signer: TransactionSigner,
    calls: Sequence[Call],
    *,
    fees: FeePolicy | None = None,
    confirmations: int = 0,
    timeout: float = 120.0,
) -> list[Receipt]:
    """Send calls one after the other; each may depend on the ones before it. Raises as `send`."""
    store = SqliteTxStore(sqlite3.connect(":memory:", isolation_level=None))
    sender = Sender(rpc, signer, store, fees=fees, finality=Finality(confirmations))
    return [_send_and_wait(rpc, sender, store, f"{i}", call, timeout) for i, call in enumerate(calls)]


def _send_and_wait(rpc: Rpc, sender: Sender, store: SqliteTxStore, key: str, call: Call, timeout: float) -> Receipt:
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
        if request.status.is_final:
            break
        if time.monotonic() > end:
            hashes = ", ".join(attempt.hash for attempt in store.attempts(request.id)) or "nothing was broadcast"
            raise Timeout(f"{call.describe}: not mined in {timeout:g} s; {status.blocked or status.external or hashes}")
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
    raise ChainError(f"{call.describe}: {request.outcome or 'the node lost its receipt'}")
