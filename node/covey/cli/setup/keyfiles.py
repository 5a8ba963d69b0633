"""Key files behind `covey keys`: passwords of new keystores, sources of imported keys, lists of keystores."""

from __future__ import annotations

import os
import re
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covey.chain.errors import ChainError
from covey.cli.access import connect, open_key, read_password
from covey.cli.errors import CliError, InputError
from covey.client.errors import ClientError

if TYPE_CHECKING:
    from covey.cli.settings import Settings
    from covey.client.network import Network

MIN_PASSWORD = 8
_MAX_KEYSTORE_BYTES = 1 << 16


def new_password(file: Path | None, variable: str = "COVEY_PASSWORD") -> str:
    """Read the password of a new keystore; a typed one must be typed twice. Raises InputError for a short one."""
    from covey.config.credentials import CREDENTIAL, credential_file

    password = read_password(file, variable, "Password for the new key")
    typed = file is None and variable not in os.environ and credential_file(CREDENTIAL) is None
    if typed and read_password(None, variable, "Repeat the password") != password:
        raise InputError("the two passwords differ")
    if len(password) < MIN_PASSWORD:
        raise InputError(f"the password has {len(password)} characters, at least {MIN_PASSWORD} are needed")
    return password


def make_keystore(path: Path, settings: Settings, key: bytes | None) -> str:
    """Write a new keystore, with a random key for None, and return its address.

    Raises InputError; nothing is written then.
    """
    from covey.chain.signing.keystore import create_keystore

    path = path.expanduser()
    if path.exists():
        raise InputError(f"{path} exists; a key is never overwritten")
    try:
        return create_keystore(path, new_password(settings.password_file), key=key).address
    except ChainError as error:
        raise InputError(str(error)) from None


def read_source(source: Path, password_file: Path | None) -> bytes:
    """Read the private key from a file of hexadecimal digits, a keystore, or standard input. Raises InputError."""
    from covey.chain.signing.keystore import LocalSigner

    try:
        text = _read_stdin() if str(source) == "-" else source.expanduser().read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the key {source}: {getattr(error, 'strerror', None) or error}") from None
    if text.lstrip().startswith("{"):
        if str(source) == "-":
            raise InputError("a keystore can be imported from a file only, not from standard input")
        return open_key(source.expanduser(), password_file, "COVEY_SOURCE_PASSWORD").key
    try:
        return LocalSigner.from_key(text.strip()).key
    except ChainError as error:
        raise InputError(f"{source}: {error}") from None


def _read_stdin() -> str:
    if sys.stdin is None or sys.stdin.closed:
        raise InputError("cannot read the key: standard input is closed")
    return sys.stdin.read()


def write_private(path: Path, text: str) -> None:
    """Write a new file, created with mode 0600. Raises InputError if the path exists."""
    path = path.expanduser()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise InputError(f"{path} exists and is not overwritten") from None
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def list_keys(folder: Path | None, settings: Settings) -> list[dict[str, Any]]:
    """List keystores and remote accounts.

    Args:
        folder: where to look; None for the folders of the configured keystores, and the remote signer.

    Returns:
        For each key: address, where, private (False if others can read the file), roles, and coin in wei (None
        without a chain).

    Raises:
        InputError: no such folder, or no key is configured.
    """
    if folder is not None and not folder.expanduser().is_dir():
        raise InputError(f"{folder}: no such folder")
    keys: list[dict[str, Any]] = [
        {"address": address, "where": str(path), "private": not stat.S_IMODE(path.stat().st_mode) & 0o077}
        for path, address in _find_keystores(folder, settings)
    ]
    if settings.remote_signer is not None and folder is None:
        from covey.chain.signing.remote import printable_location

        keys += [
            {"address": address, "where": printable_location(settings.remote_signer), "private": True}
            for address in _remote_accounts(settings.remote_signer)
        ]
    if not keys and folder is None and settings.keystore is None:
        raise InputError("no keys: give a folder, or --keystore")
    network = connect(settings) if settings.rpc_urls and settings.deployment is not None else None
    return [{**key, **_on_chain(str(key["address"]), network)} for key in keys]


def _in_natural_order(path: Path) -> list[tuple[int, str]]:
    """A sort key by which account-2 comes before account-10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", str(path)) if part]


def _find_keystores(folder: Path | None, settings: Settings) -> list[tuple[Path, str]]:
    """Keystores with their addresses; other files are skipped."""
    from covey.chain.signing.keystore import NoAddress, keystore_address

    if folder is not None:
        folders = [folder.expanduser()]
    else:
        folders = sorted({path.parent for path in (settings.keystore, settings.owner_keystore) if path is not None})
    found = []
    files = [path for place in folders if place.is_dir() for path in place.iterdir() if path.is_file()]
    for path in sorted(files, key=_in_natural_order):
        if path.stat().st_size > _MAX_KEYSTORE_BYTES:
            continue
        try:
            found.append((path, keystore_address(path)))
        except NoAddress:
            found.append((path, _learn_address(path, settings.password_file)))
        except ChainError:
            continue
    return found


def _learn_address(path: Path, password_file: Path | None) -> str:
    """Open a keystore without an address in it; "" if no password is given without a prompt, or it is another one's."""
    if password_file is None and "COVEY_PASSWORD" not in os.environ:
        return ""
    try:
        return open_key(path, password_file, "COVEY_PASSWORD").address
    except (CliError, ClientError):
        return ""


def _remote_accounts(location: str) -> list[str]:
    from covey.chain.rpc.open import open_endpoint
    from covey.chain.signing.remote import accounts, split_location

    kind, url = split_location(location)
    try:
        return list(accounts(open_endpoint(url), kind))
    except ChainError as error:
        raise CliError(str(error)) from None


def _on_chain(address: str, network: Network | None) -> dict[str, Any]:
    """Roles and balance of an account."""
    if network is None or not address:
        return {"roles": [], "coin": None}
    from covey.client.staking import ZERO_ADDRESS

    staking = network.contracts.staking
    operator, pool = staking.operator_of(address), staking.pool_of(address)
    roles = [f"signer of {operator}"] if operator != ZERO_ADDRESS else []
    roles += [f"operator with the signer {pool.signer}"] if pool.registered else []
    return {"roles": roles, "coin": network.rpc.balance(address)}
