"""Signers with a local key, and keystore files.

A keystore is encrypted JSON (Web3 Secret Storage, version 3), as eth-account writes it and other wallets read it. It is
created with mode 0600, which is never loosened later.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from covey.chain.errors import FatalError

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """A signed transaction, ready to broadcast, and its hash."""

    raw: bytes
    hash: str
    """0x-prefixed."""


class Signer(Protocol):
    """Signs transactions for one address."""

    @property
    def address(self) -> str:
        """The checksummed address that it signs for."""

    def sign_transaction(self, fields: dict[str, Any]) -> SignedTransaction:
        """Sign an EIP-1559 transaction.

        Args:
            fields: chainId, nonce, to (absent: contract creation), data, value, gas, maxFeePerGas,
                maxPriorityFeePerGas, type (2).

        Raises:
            SigningFailed: there is no valid signature.
        """

    def sign_typed_data(self, document: dict[str, Any]) -> bytes:
        """Sign EIP-712 typed data, given as JSON with types, primaryType, domain and message.

        Returns:
            65 bytes r, s, v.

        Raises:
            SigningFailed: there is no signature.
        """


class LocalSigner:
    """Signs with a key in this process."""

    def __init__(self, account: LocalAccount) -> None:
        self._account = account

    @classmethod
    def from_key(cls, key: bytes | str) -> LocalSigner:
        """Create a signer from a raw private key.

        Raises:
            FatalError: not a private key.
        """
        from eth_account import Account
        from eth_utils.exceptions import ValidationError

        try:
            return cls(Account.from_key(key))
        except (ValidationError, ValueError, TypeError):
            raise FatalError("not a private key: expected 32 bytes of hex") from None

    @property
    def address(self) -> str:
        """See `Signer.address`."""
        return str(self._account.address)

    @property
    def key(self) -> bytes:
        """The private key."""
        return bytes(self._account.key)

    def sign_transaction(self, fields: dict[str, Any]) -> SignedTransaction:
        """See `Signer.sign_transaction`."""
        signed = self._account.sign_transaction(fields)
        return SignedTransaction(bytes(signed.raw_transaction), "0x" + bytes(signed.hash).hex())

    def sign_typed_data(self, document: dict[str, Any]) -> bytes:
        """See `Signer.sign_typed_data`."""
        return bytes(self._account.sign_typed_data(full_message=document).signature)

    def __repr__(self) -> str:
        return f"LocalSigner({self.address})"


def create_keystore(
    path: Path, password: str, *, key: bytes | None = None, iterations: int | None = None
) -> LocalSigner:
    """Write a new keystore with mode 0600 and return its signer.

    Args:
        key: the private key to store; None creates a new one.
        iterations: cost of the key derivation (scrypt's n); None takes eth-account's default.

    Raises:
        FatalError: the file exists (a key is never overwritten) or cannot be written.
    """
    from eth_account import Account

    signer = LocalSigner(Account.create()) if key is None else LocalSigner.from_key(key)
    document = Account.encrypt(signer.key, password, kdf="scrypt", iterations=iterations)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise FatalError(f"{path} exists; a key is never overwritten") from None
    except OSError as error:
        raise FatalError(f"cannot write {path}: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(document, file)
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(path.parent)
    except OSError as error:  # a partial keystore would block the next try
        path.unlink(missing_ok=True)
        raise FatalError(f"cannot write {path}: {error.strerror}") from None
    return signer


def _sync_folder(folder: Path) -> None:
    """Flush a folder: a new file's name is on disk only once its folder is."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load_keystore(path: Path, password: str) -> LocalSigner:
    """Load the signer of a keystore.

    Raises:
        FatalError: no such file, not a keystore, or a wrong password.
    """
    from eth_account import Account

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FatalError(f"cannot read the keystore {path}: {error}") from None
    try:
        key = Account.decrypt(text, password)
    except ValueError as error:
        if "MAC mismatch" in str(error):
            raise FatalError(f"wrong password for {path}") from None
        raise FatalError(f"{path} is not a keystore: {error}") from None
    except (KeyError, TypeError, AttributeError, NotImplementedError) as error:
        raise FatalError(f"{path} is not a keystore: {error!r}") from None
    return LocalSigner(Account.from_key(key))


def keystore_address(path: Path) -> str:
    """Read the checksummed address in a keystore; needs no password.

    Raises:
        FatalError: no such file, or it contains no address.
    """
    from eth_utils.address import to_checksum_address

    try:
        return str(
            to_checksum_address("0x" + json.loads(path.read_text(encoding="utf-8"))["address"].removeprefix("0x"))
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FatalError(f"{path} is not a keystore with an address: {error!r}") from None
