"""Parses JSON-RPC answers: quantities, bytes, blocks and receipts; classifies JSON-RPC errors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from covey.chain.abi.reverts import decode_revert
from covey.chain.errors import ChainError, ContractReverted, RevertReason, RpcResponseError, TooManyResults, Unreachable


@dataclass(frozen=True, slots=True)
class Block:
    """A block header."""

    number: int
    hash: str
    parent_hash: str
    timestamp: int
    base_fee: int
    gas_limit: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """The receipt of a mined transaction."""

    tx_hash: str
    block: int
    block_hash: str
    succeeded: bool
    gas_used: int
    gas_price: int
    contract_address: str | None
    logs: list[dict[str, Any]]


def parse_quantity(value: Any) -> int:
    """Parse a JSON-RPC quantity. Raises Unreachable if it is malformed."""
    try:
        return int(value, 16)
    except (TypeError, ValueError):
        raise Unreachable(f"a node returned {value!r:.80} instead of a number") from None


def parse_bytes(value: Any) -> bytes:
    """Parse JSON-RPC hex data. Raises Unreachable if it is malformed."""
    try:
        return bytes.fromhex(value.removeprefix("0x"))
    except (AttributeError, ValueError):
        raise Unreachable(f"a node returned {value!r:.80} instead of hex data") from None


def block_id(block: int | str) -> str:
    """Encode a block number or tag as a JSON-RPC parameter."""
    return hex(block) if isinstance(block, int) else block


def parse_block(fields: dict[str, Any]) -> Block:
    """Parse a block header. Raises Unreachable if a field is missing or malformed."""
    try:
        return Block(
            number=int(fields["number"], 16),
            hash=_string(fields["hash"]),
            parent_hash=_string(fields["parentHash"]),
            timestamp=int(fields["timestamp"], 16),
            base_fee=int(fields.get("baseFeePerGas") or "0x0", 16),
            gas_limit=int(fields["gasLimit"], 16),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Unreachable(f"a node returned a block with an unusable field: {error}") from None


def parse_receipt(fields: dict[str, Any]) -> Receipt:
    """Parse a receipt. Raises Unreachable if a field is missing or malformed."""
    try:
        return Receipt(
            tx_hash=_string(fields["transactionHash"]),
            block=int(fields["blockNumber"], 16),
            block_hash=_string(fields["blockHash"]),
            succeeded=int(fields["status"], 16) == 1,
            gas_used=int(fields["gasUsed"], 16),
            gas_price=int(fields.get("effectiveGasPrice") or "0x0", 16),
            contract_address=fields.get("contractAddress"),
            logs=_list(fields["logs"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise Unreachable(f"a node returned a receipt with an unusable field: {error}") from None


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.80} is not a string")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r:.80} is not a list")
    return value


def call_fields(to: str | None, data: bytes, sender: str | None, value: int) -> dict[str, str]:
    """Build the transaction object of eth_call and eth_estimateGas."""
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
_TIMED_OUT = re.compile(r"timed? ?out|deadline exceeded|took too long", re.IGNORECASE)
_BEHIND = re.compile(
    r"block ?out ?of ?range|beyond (the )?(current )?head|header not found|unknown block", re.IGNORECASE
)
"""Errors about a block that the node does not have (yet), from anvil and geth."""
_BUSY = re.compile(
    r"rate.?limit|too many requests|capacity|compute units|requests? (count|limit) exceeded", re.IGNORECASE
)
_ENDPOINT_SPECIFIC = re.compile(
    r"internal error|server error|timed? ?out|missing trie node|"
    r"not synced|syncing|indexing is in progress|unavailable|unauthori[sz]ed|forbidden|"
    r"method .*not (found|supported|available)",
    re.IGNORECASE,
)
NO_SUCH_METHOD = -32601
_ENDPOINT_SPECIFIC_CODES = (NO_SUCH_METHOD, -32603, -32005, -32097, 429)
"""Method not found, internal error, limit exceeded (EIP-1474)."""
_KNOWN_TRANSACTION = re.compile(
    r"already known|known transaction|already imported|already in mempool|already exists", re.IGNORECASE
)


def is_endpoint_specific(error: RpcResponseError) -> bool:
    """True for an error that another endpoint may not return: limits, missing methods, missing state."""
    if is_revert(error) or is_too_many(error):
        return False
    return (
        error.code in _ENDPOINT_SPECIFIC_CODES
        or is_busy(error)
        or bool(_ENDPOINT_SPECIFIC.search(error.message) or _BEHIND.search(error.message))
    )


def is_busy(error: RpcResponseError) -> bool:
    """True if the endpoint limits the rate of requests."""
    return error.code == 429 or bool(_BUSY.search(error.message))


def is_too_many(error: RpcResponseError) -> bool:
    """True if a log query was refused for its size, or took the node too long."""
    if error.method != "eth_getLogs" or is_busy(error) or _BEHIND.search(error.message):
        return False
    return error.code == -32005 or bool(_TOO_MANY.search(error.message) or _TIMED_OUT.search(error.message))


def is_revert(error: RpcResponseError) -> bool:
    """True if a contract reverted: code 3 (geth, anvil), or a message with "revert"."""
    return error.code == 3 or "revert" in error.message.lower()


def is_known_transaction(error: RpcResponseError) -> bool:
    """True if the node already has the transaction."""
    return bool(_KNOWN_TRANSACTION.search(error.message))


def narrow_error(error: RpcResponseError) -> ChainError:
    """Convert a node's error to the most specific error of this package."""
    if is_revert(error):
        data = error.data.get("data") if isinstance(error.data, dict) else error.data
        if isinstance(data, str) and re.fullmatch(r"0x([0-9a-fA-F]{2})+", data):
            return ContractReverted(decode_revert(bytes.fromhex(data[2:])))
        return ContractReverted(RevertReason("", text=error.message))
    if is_too_many(error):
        return TooManyResults(error.message)
    return error
