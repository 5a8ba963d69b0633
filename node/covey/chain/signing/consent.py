"""A signer's consent to act for an operator: EIP-712 typed data that Staking checks before it records the signer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from covey.chain.errors import SigningFailed

if TYPE_CHECKING:
    from covey.chain.signing.keystore import Signer

DOMAIN_NAME = "Covey Staking"
DOMAIN_VERSION = "1"
SIGNATURE_BYTES = 65


@dataclass(frozen=True, slots=True)
class Consent:
    """What a signer agrees to: to act for ``operator`` on one deployment, as its signer number ``nonce``."""

    chain_id: int
    staking: str
    operator: str
    nonce: int

    def document(self) -> dict[str, Any]:
        """The typed data as JSON, as wallets and remote signers take it."""
        return {
            "types": {
                "EIP712Domain": [
                    {"name": "name", "type": "string"},
                    {"name": "version", "type": "string"},
                    {"name": "chainId", "type": "uint256"},
                    {"name": "verifyingContract", "type": "address"},
                ],
                "Consent": [{"name": "operator", "type": "address"}, {"name": "nonce", "type": "uint256"}],
            },
            "primaryType": "Consent",
            "domain": {
                "name": DOMAIN_NAME,
                "version": DOMAIN_VERSION,
                "chainId": str(self.chain_id),
                "verifyingContract": self.staking,
            },
            "message": {"operator": self.operator, "nonce": str(self.nonce)},
        }


def sign_consent(signer: Signer, consent: Consent) -> bytes:
    """The signer's signature, 65 bytes r, s, v.

    Raises:
        SignerUnreachable: a remote signer does not answer.
        SigningFailed: it refused, or returned something else than its signature of this consent.
    """
    signature = signer.sign_typed_data(consent.document())
    if recover_consent(consent, signature) != signer.address:
        raise SigningFailed(f"the signature returned for {signer.address} is not its consent")
    return signature


def recover_consent(consent: Consent, signature: bytes) -> str | None:
    """The address that signed a consent; None: it is no signature."""
    from eth_account import Account
    from eth_account.messages import encode_typed_data
    from eth_keys.exceptions import BadSignature
    from eth_utils.exceptions import ValidationError

    if len(signature) != SIGNATURE_BYTES or signature[64] not in (27, 28):
        return None
    try:
        return str(Account.recover_message(encode_typed_data(full_message=consent.document()), signature=signature))
    except (BadSignature, ValidationError, ValueError):
        return None
