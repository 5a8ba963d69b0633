"""Parses JSON-RPC answers: quantities, bytes, blocks and receipts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from covey.chain.errors import Unreachable


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
