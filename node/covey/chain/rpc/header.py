"""Encodes a block header as RLP, which proves the block's randomness to the contracts.

A header is a list of fields in a fixed order, to which forks have appended (EIP-1559, EIP-4895, EIP-4844, EIP-4788,
EIP-7685, EIP-7928). The fields present in the node's JSON determine its length; the block's hash verifies the result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eth_hash.auto import keccak

from covey.chain.errors import Unreachable

if TYPE_CHECKING:
    from covey.chain.rpc.client import Rpc

_BYTES = "bytes"
_NUMBER = "number"
_FIELDS = (
    ("parentHash", _BYTES),
    ("sha3Uncles", _BYTES),
    ("miner", _BYTES),
    ("stateRoot", _BYTES),
    ("transactionsRoot", _BYTES),
    ("receiptsRoot", _BYTES),
    ("logsBloom", _BYTES),
    ("difficulty", _NUMBER),
    ("number", _NUMBER),
    ("gasLimit", _NUMBER),
    ("gasUsed", _NUMBER),
    ("timestamp", _NUMBER),
    ("extraData", _BYTES),
    ("mixHash", _BYTES),
    ("nonce", _BYTES),
    ("baseFeePerGas", _NUMBER),
    ("withdrawalsRoot", _BYTES),
    ("blobGasUsed", _NUMBER),
    ("excessBlobGas", _NUMBER),
    ("parentBeaconBlockRoot", _BYTES),
    ("requestsHash", _BYTES),
    ("blockAccessListHash", _BYTES),
)


def header_rlp(block: dict[str, Any]) -> bytes:
    """Encode the header of a block in the JSON form of ``eth_getBlockByNumber``.

    Raises:
        Unreachable: a field is missing or malformed, or the encoding does not hash to the block's hash.
    """
    import rlp  # type: ignore[import-untyped]

    try:
        fields = [
            bytes.fromhex(block[name][2:]) if kind == _BYTES else _minimal(int(block[name], 16))
            for name, kind in _FIELDS
            if block.get(name) is not None
        ]
        encoded = bytes(rlp.encode(fields))
        if "0x" + keccak(encoded).hex() == block["hash"].lower():
            return encoded
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unreachable(f"a node returned a block header with an unusable field: {error}") from None
    raise Unreachable(f"the header of block {block.get('number')} does not hash to the block's hash")


def header_proof(rpc: Rpc, number: int) -> bytes:
    """The header of block ``number`` as RLP, the argument of `Scoring.fixSeed`."""
    return header_rlp(rpc.block_json(number))


def _minimal(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
