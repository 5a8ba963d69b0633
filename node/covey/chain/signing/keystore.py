"""Signers with a local key, and keystore files.

A keystore is encrypted JSON (Web3 Secret Storage, version 3), as eth-account writes it and other wallets read it. It is
created with mode 0600, which is never loosened later.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from covey.chain.errors import FatalError

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

_MAX_BYTES = 1 << 16
_MAX_SCRYPT = 1 << 25
"""Highest n·r·p of scrypt: sixteen times geth's standard, about a quarter of a minute."""
_MAX_SCRYPT_MEMORY = 1 << 23
"""Highest n·r of scrypt, which takes 128 bytes for each: one GiB."""
_MAX_PBKDF2 = 20_000_000


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """A signed transaction, ready to broadcast, and its hash."""

    raw: bytes
    hash: str
    """0x-prefixed."""


class TransactionSigner(Protocol):
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


class Signer(TransactionSigner, Protocol):
    """Signs transactions and typed data for one address."""

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
            return cls(Account.from_key(key.strip("\ufeff \t\r\n") if isinstance(key, str) else key))
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


class NoAddress(FatalError):
    """A keystore has no address in it, as Foundry writes them: only its password shows which one it is."""


def load_keystore(path: Path, password: str) -> LocalSigner:
    """Load the signer of a keystore.

    Raises:
        FatalError: no such file, not a keystore of this kind, a wrong password, or a key that is not of the address in
            the file.
    """
    from eth_account import Account

    document = _read_keystore(path)
    if (fault := _unsupported(document)) is not None:
        raise FatalError(f"{path} {fault}")
    try:
        key = Account.decrypt(document, password)
    except ValueError as error:
        if "MAC mismatch" in str(error):
            raise FatalError(f"wrong password for {path}") from None
        raise FatalError(f"{path} is not a keystore: {_one_line(error)}") from None
    except (LookupError, TypeError, AttributeError, NotImplementedError, OverflowError, MemoryError) as error:
        raise FatalError(f"{path} is not a keystore: {type(error).__name__}: {_one_line(error)}") from None
    signer = LocalSigner.from_key(bytes(key))
    stated = _stated_address(document)
    if stated is not None and stated != signer.address:
        raise FatalError(f"{path} states the address {stated}, but its key is of {signer.address}: restore the file")
    return signer


def keystore_address(path: Path) -> str:
    """Read the checksummed address in a keystore; needs no password.

    Raises:
        FatalError: no such file, or not a keystore; NoAddress if it contains no address.
    """
    stated = _stated_address(_read_keystore(path))
    if stated is None:
        raise NoAddress(f"{path} is a keystore without an address: it must be opened to learn it")
    return stated


def _read_keystore(path: Path) -> dict[str, Any]:
    """The JSON of a keystore; a byte-order mark is skipped. Raises FatalError if it is none."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise FatalError(f"{path} is not a keystore: it has more than {_MAX_BYTES} bytes")
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise FatalError(f"cannot read the keystore {path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise FatalError(f"{path} is not a keystore: it is not JSON in UTF-8") from None
    if not isinstance(document, dict) or not any(name.lower() == "crypto" for name in document):
        raise FatalError(f"{path} is not a keystore: it has no field 'crypto'")
    if "ciphertext" not in _crypto(document):
        raise FatalError(f"{path} is not a keystore: its field 'crypto' has no ciphertext")
    return document


def _crypto(document: dict[str, Any]) -> dict[str, Any]:
    """The fields of ``crypto``, in any letter case; empty if it is no object."""
    crypto = next(value for name, value in document.items() if name.lower() == "crypto")
    return {name.lower(): value for name, value in crypto.items()} if isinstance(crypto, dict) else {}


def _stated_address(document: dict[str, Any]) -> str | None:
    """The address in a keystore, checksummed; None without one. Raises FatalError for another value."""
    from eth_utils.address import to_checksum_address

    stated = document.get("address")
    if stated is None or stated == "":
        return None
    digits = stated.lower().removeprefix("0x") if isinstance(stated, str) else ""
    if not re.fullmatch(r"[0-9a-f]{40}", digits):
        raise FatalError("not a keystore: its address is malformed")
    return str(to_checksum_address("0x" + digits))


def _unsupported(document: dict[str, Any]) -> str | None:
    """Why a keystore is not opened although its password may be right; None if it can be.

    The library would decrypt any cipher as AES-CTR, which gives a wrong key without an error.
    """
    fields = _crypto(document)
    if "cipher" not in fields:
        return "is not a keystore: it names no cipher"
    if fields["cipher"] != "aes-128-ctr":
        return f"cannot be opened: its cipher is {_one_line(fields['cipher'])}, not aes-128-ctr: convert it first"
    cost = fields.get("kdfparams")
    cost = cost if isinstance(cost, dict) else {}
    numbers = {name: value for name, value in cost.items() if name in ("n", "r", "p", "c", "dklen")}
    if any(not isinstance(value, int) or isinstance(value, bool) or value < 1 for value in numbers.values()):
        return "is not a keystore: the parameters of its key derivation are no positive numbers"
    n, r, p, c = (int(numbers.get(name, 1)) for name in ("n", "r", "p", "c"))
    if n * r * p > _MAX_SCRYPT or n * r > _MAX_SCRYPT_MEMORY or c > _MAX_PBKDF2 or numbers.get("dklen", 32) > 64:
        return "is not opened: its key derivation would take hours or gigabytes: write it again with the usual cost"
    return None


def _one_line(value: object) -> str:
    text = " ".join(str(value).split())
    return "".join(character if character.isprintable() else "?" for character in text)[:120]
