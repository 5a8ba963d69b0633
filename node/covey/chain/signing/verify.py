"""Verifies a remote signer's result: exactly the requested transaction, signed by the right key."""

from __future__ import annotations

from typing import Any

from eth_hash.auto import keccak

from covey.chain.errors import SigningFailed
from covey.chain.signing.keystore import SignedTransaction

_HALF_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141 // 2
"""Half of secp256k1's order; networks refuse a signature with a larger s (EIP-2)."""
_FIELDS = ("chainId", "nonce", "maxPriorityFeePerGas", "maxFeePerGas", "gas", "to", "value", "data", "accessList")


def verify_signed(raw: bytes, fields: dict[str, Any], address: str) -> SignedTransaction:
    """Verify a signed EIP-1559 transaction and return it with its hash.

    Args:
        raw: the signer's result: 0x02 and the RLP of the nine fields, y parity, r and s.
        fields: the requested transaction; see `Signer.sign_transaction`.
        address: the address that must have signed it.

    Raises:
        SigningFailed: a field or the signature differs; the message names it.
    """
    import rlp  # type: ignore[import-untyped]
    from eth_account import Account
    from rlp.exceptions import RLPException  # type: ignore[import-untyped]

    if raw[:1] != b"\x02":
        raise SigningFailed("the signer returned no EIP-1559 transaction")
    try:
        items = rlp.decode(raw[1:])
    except RLPException:
        raise SigningFailed("the signer returned malformed RLP") from None
    if not isinstance(items, list) or len(items) != len(_FIELDS) + 3:
        raise SigningFailed("the signer returned a transaction with fields other than EIP-1559's")
    for name, item, expected in zip(_FIELDS, items, _rlp_items(fields), strict=False):
        if item != expected:
            raise SigningFailed(f"the signer changed {name}: {_for_display(item)} instead of {_for_display(expected)}")
    parity, r, s = items[-3:]
    in_range = isinstance(s, bytes) and 0 < int.from_bytes(s, "big") <= _HALF_ORDER
    if parity not in (b"", b"\x01") or not isinstance(r, bytes) or not in_range:
        raise SigningFailed("the signer returned a signature that networks refuse")
    try:
        signed_by = str(Account.recover_transaction(raw))
    except Exception as error:  # each library below raises its own errors
        raise SigningFailed(f"the signer returned an invalid signature: {type(error).__name__}") from None
    if signed_by.lower() != address.lower():
        raise SigningFailed(f"the signer signed for {signed_by}, not for {address}")
    return SignedTransaction(raw, "0x" + keccak(raw).hex())


def _rlp_items(fields: dict[str, Any]) -> list[Any]:
    """The unsigned fields as RLP encodes them."""
    numbers = {name: _minimal(fields[name]) for name in _FIELDS if name not in ("to", "data", "accessList")}
    others = {"to": bytes.fromhex(fields.get("to", "0x")[2:]), "data": bytes(fields["data"]), "accessList": []}
    return [{**numbers, **others}[name] for name in _FIELDS]


def _minimal(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _for_display(item: Any) -> str:
    text = "0x" + item.hex() if isinstance(item, bytes) else str(item)
    return text if len(text) <= 42 else f"{text[:42]}…"
