"""Parsing of blocks, receipts and quantities."""

from __future__ import annotations

from typing import Any

import pytest

from covey.chain.errors import Unreachable
from covey.chain.rpc.responses import (
    Block,
    parse_block,
    parse_bytes,
    parse_quantity,
    parse_receipt,
)

BLOCK = {"number": "0x7", "hash": "0xaa", "parentHash": "0xbb", "timestamp": "0x9", "gasLimit": "0x5"}
RECEIPT = {
    "transactionHash": "0x1", "blockNumber": "0x7", "blockHash": "0xaa", "status": "0x1", "gasUsed": "0x5", "logs": [],
}  # fmt: skip


def test_block_and_receipt_are_parsed() -> None:
    assert parse_block(BLOCK) == Block(7, "0xaa", "0xbb", 9, 0, 5)
    receipt = parse_receipt(RECEIPT)
    assert (receipt.tx_hash, receipt.block, receipt.succeeded, receipt.logs) == ("0x1", 7, True, [])


@pytest.mark.parametrize(
    "change", [{"number": None}, {"hash": None}, {"hash": 7}, {"parentHash": []}, {"gasLimit": "x"}]
)
def test_malformed_block_is_unreachable(change: dict[str, Any]) -> None:
    with pytest.raises(Unreachable, match="block with an unusable field"):
        parse_block(BLOCK | change)


@pytest.mark.parametrize("change", [{"logs": None}, {"logs": "[]"}, {"blockHash": None}, {"status": None}])
def test_malformed_receipt_is_unreachable(change: dict[str, Any]) -> None:
    with pytest.raises(Unreachable, match="receipt with an unusable field"):
        parse_receipt(RECEIPT | change)


@pytest.mark.parametrize("value", [None, 7, "soon", []])
def test_malformed_quantity_and_data_are_unreachable(value: Any) -> None:
    with pytest.raises(Unreachable, match="instead of a number"):
        parse_quantity(value)
    with pytest.raises(Unreachable, match="instead of hex data"):
        parse_bytes(value)
