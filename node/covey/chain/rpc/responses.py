"""Reading JSON-RPC answers: quantities, blocks, receipts, and which errors mean what."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from covey.chain.errors import ChainError, ContractReverted, RevertReason, RpcResponseError, TooManyResults, Unreachable


@dataclass(frozen=True, slots=True)
class Block:
    """The head of a block."""

    number: int
    hash: str
    parent_hash: str
    timestamp: int
    base_fee: int
    gas_limit: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a mined transaction."""

    tx_hash: str
    block: int
    block_hash: str
    succeeded: bool
    gas_used: int
    gas_price: int
    contract_address: str | None
    logs: list[dict[str, Any]]


def quantity(value: Any) -> int:
    """A JSON-RPC quantity."""
    try:
        return int(value, 16)
    except (TypeError, ValueError):
        raise Unreachable(f"a node answered {value!r:.80} where a number was due") from None


def blob(value: Any) -> bytes:
    """JSON-RPC data."""
    try:
        return bytes.fromhex(value.removeprefix("0x"))
    except (AttributeError, ValueError):
        raise Unreachable(f"a node answered {value!r:.80} where bytes were due") from None


def block_id(block: int | str) -> str:
    """A block number or tag as JSON-RPC wants it."""
    return hex(block) if isinstance(block, int) else block


def block(fields: dict[str, Any]) -> Block:
    """A block's head from its JSON."""
    try:
        return Block(
            number=int(fields["number"], 16),
            hash=fields["hash"],
            parent_hash=fields["parentHash"],
            timestamp=int(fields["timestamp"], 16),
            base_fee=int(fields.get("baseFeePerGas") or "0x0", 16),
            gas_limit=int(fields["gasLimit"], 16),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Unreachable(f"a node answered a block without a usable {error}") from None


def receipt(fields: dict[str, Any]) -> Receipt:
    """A receipt from its JSON."""
    try:
        return Receipt(
            tx_hash=fields["transactionHash"],
            block=int(fields["blockNumber"], 16),
            block_hash=fields["blockHash"],
            succeeded=int(fields["status"], 16) == 1,
            gas_used=int(fields["gasUsed"], 16),
            gas_price=int(fields.get("effectiveGasPrice") or "0x0", 16),
            contract_address=fields.get("contractAddress"),
            logs=fields["logs"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Unreachable(f"a node answered a receipt without a usable {error}") from None


def call_fields(to: str | None, data: bytes, sender: str | None, value: int) -> dict[str, str]:
    """The transaction object of eth_call and eth_estimateGas."""
    fields = {"data": "0x" + data.hex()}
    if to is not None:
        fields["to"] = to
    if sender is not None:
        fields["from"] = sender
    if value:
        fields["value"] = hex(value)
    return fields


_TOO_MANY = re.compile(
    r"more than \d+ results|too many (results|logs)|block range|range (is )?too (large|wide)|query timeout|"
    r"response size|limited to|exceeds? (the )?(max|limit).*(range|block|result)|logs matched",
    re.IGNORECASE,
)
_LATE = re.compile(r"timed? ?out|deadline exceeded|took too long", re.IGNORECASE)
_BEHIND = re.compile(
    r"block ?out ?of ?range|beyond (the )?(current )?head|header not found|unknown block", re.IGNORECASE
)
"""Of a block that the node does not have (yet): anvil's words, geth's."""
_BUSY = re.compile(
    r"rate.?limit|too many requests|capacity|compute units|requests? (count|limit) exceeded", re.IGNORECASE
)
_OWN = re.compile(
    r"internal error|server error|timed? ?out|missing trie node|"
    r"not synced|syncing|indexing is in progress|unavailable|unauthori[sz]ed|forbidden|"
    r"method .*not (found|supported|available)",
    re.IGNORECASE,
)
NO_SUCH_METHOD = -32601
_OWN_CODES = (NO_SUCH_METHOD, -32603, -32005, -32097, 429)
"""Method not found, internal error, limit exceeded (EIP-1474)."""
_KNOWN = re.compile(
    r"already known|known transaction|already imported|already in mempool|already exists", re.IGNORECASE
)


def is_endpoints_own(error: RpcResponseError) -> bool:
    """True for an error that another endpoint may not give: limits, missing methods, missing state."""
    if is_revert(error) or is_too_many(error):
        return False
    return (
        error.code in _OWN_CODES or is_busy(error) or bool(_OWN.search(error.message) or _BEHIND.search(error.message))
    )


def is_busy(error: RpcResponseError) -> bool:
    """True when an endpoint only wants to be asked less often."""
    return error.code == 429 or bool(_BUSY.search(error.message))


def is_too_many(error: RpcResponseError) -> bool:
    """True when a log query was refused for its size, or took the node too long."""
    if error.method != "eth_getLogs" or is_busy(error) or _BEHIND.search(error.message):
        return False
    return error.code == -32005 or bool(_TOO_MANY.search(error.message) or _LATE.search(error.message))


def is_revert(error: RpcResponseError) -> bool:
    """True when a contract reverted: code 3 (geth, anvil), or a message that says so."""
    return error.code == 3 or "revert" in error.message.lower()


def is_known_transaction(error: RpcResponseError) -> bool:
    """True when the node already has the transaction."""
    return bool(_KNOWN.search(error.message))


def specific(error: RpcResponseError) -> ChainError:
    """The narrowest error for what a node answered."""
    if is_revert(error):
        from covey.chain.abi.reverts import decode_revert

        data = error.data.get("data") if isinstance(error.data, dict) else error.data
        if isinstance(data, str) and re.fullmatch(r"0x([0-9a-fA-F]{2})+", data):
            return ContractReverted(decode_revert(bytes.fromhex(data[2:])))
        return ContractReverted(RevertReason("", text=error.message))
    if is_too_many(error):
        return TooManyResults(error.message)
    return error
