"""Block headers as RLP."""

from __future__ import annotations

import pytest
from eth_hash.auto import keccak
from tests.support.chain.anvil import Chain

from covey.chain.errors import Unreachable
from covey.chain.rpc.header import header_proof, header_rlp

pytestmark = pytest.mark.daemon


def test_header_hashes_to_its_block(chain: Chain) -> None:
    chain.mine(3)
    for number in range(1, chain.rpc.block_number() + 1):
        assert "0x" + keccak(header_proof(chain.rpc, number)).hex() == chain.rpc.block(number).hash


def test_changed_header_is_rejected(chain: Chain) -> None:
    fields = chain.rpc.block_json("latest")
    assert header_rlp(fields)
    for change in ({"mixHash": "0x" + "00" * 31 + "01"}, {"gasUsed": "0x1"}, {"withdrawalsRoot": None}):
        with pytest.raises(Unreachable, match="does not hash"):
            header_rlp(fields | change)
    for change in ({"number": "x"}, {"parentHash": "0xzz"}, {"hash": None}):
        with pytest.raises(Unreachable, match="unusable field"):
            header_rlp(fields | change)


def test_missing_block_is_unreachable(chain: Chain) -> None:
    with pytest.raises(Unreachable, match="no block"):
        chain.rpc.block(chain.rpc.block_number() + 10)
