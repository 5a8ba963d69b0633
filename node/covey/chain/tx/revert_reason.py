"""Finds out why a mined transaction failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covey.chain.errors import ContractReverted, RpcResponseError, TransientError
from covey.chain.tx.records import TxAttempt, TxRequest

if TYPE_CHECKING:
    from covey.chain.rpc.client import Rpc
    from covey.chain.rpc.responses import Receipt


def find_revert_reason(rpc: Rpc, request: TxRequest, attempt: TxAttempt, receipt: Receipt) -> str:
    """Describe the contract's error, as far as it can be found.

    A receipt does not contain it, so the call is repeated: first on the state after its block, which includes the
    transactions before it in that block, then on the state before the block. A transaction that used its whole gas
    limit ran out of gas.
    """
    if receipt.gas_used >= attempt.gas:
        return f"ran out of gas in block {receipt.block}: it used all {attempt.gas}"
    call = request.call
    for block in (receipt.block, receipt.block - 1):
        try:
            rpc.call(call.to, call.data, sender=request.sender, value=call.value, block=block)
        except ContractReverted as error:
            return str(error.reason)
        except (TransientError, RpcResponseError):
            continue
    return f"reverted in block {receipt.block} after {receipt.gas_used} gas"
