"""Signs and recovers a signer's consent to act for an operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covey.chain.contracts.consent import Consent
from covey.chain.errors import SigningFailed

if TYPE_CHECKING:
    from covey.chain.signing.keystore import Signer

SIGNATURE_BYTES = 65


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
