"""A signer's consent to act for an operator, as EIP-712 typed data that Staking checks before it records the signer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

DOMAIN_NAME = "Covey Staking"
DOMAIN_VERSION = "1"


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
