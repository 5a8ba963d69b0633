"""``abi.encode`` of static values: the preimage of every hash that the contracts compute.

Solidity encodes each static value as one 32-byte big-endian word (ABI specification, "Formal Specification of the
Encoding"), so a preimage is a concatenation of words and needs no general encoder.
"""

from __future__ import annotations

from eth_hash.auto import keccak

WORD_BYTES = 32
_ADDRESS_BYTES = 20


def address_bytes(address: str) -> bytes:
    """The 20 bytes of a 0x-prefixed hex address, in any letter case.

    Raises:
        ValueError: not an address.
    """
    if len(address) == 2 + 2 * _ADDRESS_BYTES and address[:2] in ("0x", "0X"):
        try:
            return bytes.fromhex(address[2:])
        except ValueError:
            pass
    raise ValueError(f"not an address (0x and 40 hex digits): {address!r}")


def address_int(address: str) -> int:
    """The address as ``uint256(uint160(address))``."""
    return int.from_bytes(address_bytes(address), "big")


def word(value: int | str | bytes) -> bytes:
    """One 32-byte word: an unsigned integer, a hex address, or a ``bytes32``.

    Raises:
        ValueError: an integer outside 0..2^256-1, a malformed address, or bytes of another length than 32.
    """
    if isinstance(value, int):
        if not 0 <= value < 1 << 256:
            raise ValueError(f"not a uint256: {value}")
        return value.to_bytes(WORD_BYTES, "big")
    if isinstance(value, str):
        return address_bytes(value).rjust(WORD_BYTES, b"\0")
    if len(value) != WORD_BYTES:
        raise ValueError(f"bytes32 must have 32 bytes, not {len(value)}")
    return value


def encode(*values: int | str | bytes) -> bytes:
    """``abi.encode`` of static values, in order."""
    return b"".join(map(word, values))


def hash_of(*values: int | str | bytes) -> bytes:
    """``keccak256(abi.encode(values))`` of static values."""
    return keccak(encode(*values))
