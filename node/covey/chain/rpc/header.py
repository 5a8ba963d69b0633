"""The RLP of a block header, which proves the block's randomness to the contracts.

The header is a list of fields in a fixed order that grew with each fork (EIP-1559, EIP-4895, EIP-4844, EIP-4788,
EIP-7685, EIP-7928); the fields present in the node's JSON say how long it is, and the hash says whether it is right.
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
    """RLP bytes of the header of a block as ``eth_getBlockByNumber`` gives it.

    Raises:
        Unreachable: a field is missing or damaged, or the bytes do not hash to the block's hash.
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
        raise Unreachable(f"a node answered a block header without a usable {error}") from None
    raise Unreachable(f"the header of block {block.get('number')} does not hash to the block's hash")


def header_proof(rpc: Rpc, number: int) -> bytes:
    """The header of block ``number``, as `Scoring.fixSeed` wants it."""
    return header_rlp(rpc.block_json(number))


def _minimal(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
