"""Why a mined transaction failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covey.chain.errors import ContractReverted, RpcResponseError, TransientError
from covey.chain.tx.records import TxAttempt, TxRequest

if TYPE_CHECKING:
    from covey.chain.rpc.client import Rpc
    from covey.chain.rpc.responses import Receipt


def why_reverted(rpc: Rpc, request: TxRequest, attempt: TxAttempt, receipt: Receipt) -> str:
    """The contracts' error in words, as far as it can be told.

    A receipt does not hold it. The same call is made again on the state after its block, which has whatever went before
    it in the block, and then on the state before the block. A transaction that used all its gas ran out of it.
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
