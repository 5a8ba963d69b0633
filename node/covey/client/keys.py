"""Signers: keystore files and remote signers."""

from __future__ import annotations

from pathlib import Path

from covey.chain.errors import ChainError
from covey.chain.signing.keystore import LocalSigner, keystore_address, load_keystore
from covey.chain.signing.remote import RemoteSigner
from covey.client.errors import InvalidInput, NetworkError


def open_keystore(path: Path | str, password: str) -> LocalSigner:
    """Decrypt a keystore file (Web3 Secret Storage, version 3).

    Raises:
        InvalidInput: no such file, not a keystore, or a wrong password.
    """
    file = Path(path)
    if not file.is_file():
        raise InvalidInput(f"{file}: no such keystore; `covey keys new` creates one")
    try:
        return load_keystore(file, password)
    except ChainError as error:
        raise InvalidInput(str(error)) from None


def read_keystore_address(path: Path | str) -> str:
    """The checksummed address of a keystore, without its password.

    Raises:
        InvalidInput: no such file, or not a keystore.
    """
    try:
        return keystore_address(Path(path))
    except ChainError as error:
        raise InvalidInput(str(error)) from None


def open_remote_signer(location: str, address: str | None = None) -> RemoteSigner:
    """Connect to a remote signer.

    Args:
        location: ``web3signer:URL``, ``clef:URL`` or ``clef:/path/of/clef.ipc``.
        address: the account to sign for; None takes the signer's only account.

    Raises:
        NetworkError: it does not answer, or does not hold the account.
    """
    from covey.chain.signing.remote import open_remote

    try:
        return open_remote(location, address)
    except ChainError as error:
        raise NetworkError(str(error)) from None
