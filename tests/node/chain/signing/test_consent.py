"""The consent of a signer: what is signed, by whom, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.chain.anvil import CHAIN_ID
from tests.support.chain.web3signer import Web3SignerServer

from covey.chain.contracts.consent import Consent
from covey.chain.errors import SigningFailed
from covey.chain.signing.consent import recover_consent, sign_consent
from covey.chain.signing.keystore import LocalSigner
from covey.chain.signing.remote import open_remote

KEY = LocalSigner.from_key(b"\x41" * 32)
CONSENT = Consent(CHAIN_ID, "0x" + "11" * 20, "0x" + "22" * 20, 3)


def test_consent_is_recovered_for_its_own_terms_only() -> None:
    signature = sign_consent(KEY, CONSENT)
    assert len(signature) == 65
    assert recover_consent(CONSENT, signature) == KEY.address
    changes = ({"chain_id": 1}, {"staking": "0x" + "12" * 20}, {"operator": "0x" + "23" * 20}, {"nonce": 4})
    for change in changes:
        assert recover_consent(replace(CONSENT, **change), signature) != KEY.address  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [b"", b"\1" * 64, b"\1" * 66, b"\0" * 65, b"\xff" * 64 + b"\x1b", b"\1" * 64 + b"\0"])
def test_bytes_that_are_no_signature_have_no_signer(bad: bytes) -> None:
    assert recover_consent(CONSENT, bad) is None


@pytest.mark.daemon
def test_remote_signer_signs_the_same_bytes() -> None:
    with Web3SignerServer([KEY.key], CHAIN_ID) as server:
        remote = open_remote(f"web3signer:{server.url}", None)
        assert sign_consent(remote, CONSENT) == sign_consent(KEY, CONSENT)
        server.answer = "0x" + sign_consent(LocalSigner.from_key(b"\x42" * 32), CONSENT).hex()
        with pytest.raises(SigningFailed, match="is not its consent"):
            sign_consent(remote, CONSENT)
        server.answer = "0x12"
        with pytest.raises(SigningFailed, match="instead of a signature"):
            sign_consent(remote, CONSENT)
