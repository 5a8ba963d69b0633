"""Registers operators with the consent of their signers."""

from __future__ import annotations

from covey.chain.contracts import Call, Contracts
from covey.chain.signing.consent import sign_consent
from covey.chain.signing.keystore import LocalSigner


def registration(
    contracts: Contracts, operator: str, signer: LocalSigner, commission_bps: int = 0, reward_address: str | None = None
) -> Call:
    """The call by which `operator` opens a pool with `signer` as its hot key."""
    consent = sign_consent(signer, contracts.staking.consent_of(operator))
    return contracts.staking.register_operator(signer.address, reward_address or operator, commission_bps, consent)


def signer_change(contracts: Contracts, operator: str, signer: LocalSigner) -> Call:
    """The call by which `operator` replaces its hot key by `signer`."""
    return contracts.staking.set_signer(signer.address, sign_consent(signer, contracts.staking.consent_of(operator)))
