"""Checking what a signer that is not ours gave back: exactly what was asked for, signed by the right key."""

from __future__ import annotations

from typing import Any

from eth_hash.auto import keccak

from covey.chain.errors import SigningFailed
from covey.chain.signing.keystore import SignedTransaction

_HALF_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141 // 2
"""Half of secp256k1's order: networks refuse a signature whose s is above it (EIP-2)."""
_FIELDS = ("chainId", "nonce", "maxPriorityFeePerGas", "maxFeePerGas", "gas", "to", "value", "data", "accessList")


def checked(raw: bytes, fields: dict[str, Any], address: str) -> SignedTransaction:
    """A raw EIP-1559 transaction that may be broadcast.

    Args:
        raw: what the signer gave: 0x02 and the RLP of the nine fields, y parity, r and s.
        fields: what it was asked to sign; see `Signer.sign_transaction`.
        address: who it must be signed by.

    Raises:
        SigningFailed: it is something else, or somebody else's; the message says what differs.
    """
    import rlp  # type: ignore[import-untyped]
    from eth_account import Account
    from rlp.exceptions import RLPException  # type: ignore[import-untyped]

    if raw[:1] != b"\x02":
        raise SigningFailed("the signer gave no EIP-1559 transaction")
    try:
        items = rlp.decode(raw[1:])
    except RLPException:
        raise SigningFailed("the signer gave no RLP of a transaction") from None
    if not isinstance(items, list) or len(items) != len(_FIELDS) + 3:
        raise SigningFailed("the signer gave a transaction with other fields than EIP-1559's")
    for name, item, wanted in zip(_FIELDS, items, _wanted(fields), strict=False):
        if item != wanted:
            raise SigningFailed(f"the signer changed {name}: {_shown(item)} instead of {_shown(wanted)}")
    parity, r, s = items[-3:]
    in_range = isinstance(s, bytes) and 0 < int.from_bytes(s, "big") <= _HALF_ORDER
    if parity not in (b"", b"\x01") or not isinstance(r, bytes) or not in_range:
        raise SigningFailed("the signer gave a signature that networks refuse")
    try:
        signed_by = str(Account.recover_transaction(raw))
    except Exception as error:  # every layer below has errors of its own for a broken signature
        raise SigningFailed(f"the signer gave a broken signature: {type(error).__name__}") from None
    if signed_by.lower() != address.lower():
        raise SigningFailed(f"the signer signed for {signed_by}, not for {address}")
    return SignedTransaction(raw, "0x" + keccak(raw).hex())


def _wanted(fields: dict[str, Any]) -> list[Any]:
    """The unsigned fields as RLP holds them."""
    numbers = {name: _minimal(fields[name]) for name in _FIELDS if name not in ("to", "data", "accessList")}
    others = {"to": bytes.fromhex(fields.get("to", "0x")[2:]), "data": bytes(fields["data"]), "accessList": []}
    return [{**numbers, **others}[name] for name in _FIELDS]


def _minimal(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _shown(item: Any) -> str:
    text = "0x" + item.hex() if isinstance(item, bytes) else str(item)
    return text if len(text) <= 42 else f"{text[:42]}…"
