"""Key files behind `covey keys`: new passwords, sources of keys, what keystores there are."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from covey.chain.errors import ChainError
from covey.cli.access import open_key, read_password
from covey.cli.errors import CliError, InputError

if TYPE_CHECKING:
    from covey.cli.settings import Settings
    from covey.client.network import Network

MIN_PASSWORD = 8
_MAX_KEYSTORE_BYTES = 1 << 16


def new_password(file: Path | None, variable: str = "COVEY_PASSWORD") -> str:
    """The password of a new keystore; typed twice where it is typed. Raises InputError for a short one."""
    from covey.config.credentials import CREDENTIAL, credential_file

    password = read_password(file, variable, "Password for the new key")
    typed = file is None and variable not in os.environ and credential_file(CREDENTIAL) is None
    if typed and read_password(None, variable, "Once more") != password:
        raise InputError("the two passwords differ")
    if len(password) < MIN_PASSWORD:
        raise InputError(f"the password has {len(password)} characters, at least {MIN_PASSWORD} are needed")
    return password


def make_keystore(path: Path, settings: Settings, key: bytes | None) -> str:
    """Write a new keystore and return its address. Raises InputError before anything is written."""
    from covey.chain.signing.keystore import create_keystore

    path = path.expanduser()
    if path.exists():
        raise InputError(f"{path} exists; a key is never overwritten")
    try:
        return create_keystore(path, new_password(settings.password_file), key=key).address
    except ChainError as error:
        raise InputError(str(error)) from None


def read_source(source: Path, password_file: Path | None) -> bytes:
    """The private key in a file of hex, a keystore, or standard input. Raises InputError."""
    from covey.chain.signing.keystore import LocalSigner

    try:
        text = sys.stdin.read() if str(source) == "-" else source.expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the key {source}: {getattr(error, 'strerror', None) or error}") from None
    if text.lstrip().startswith("{"):
        if str(source) == "-":
            raise InputError("a keystore is imported from a file, not from standard input")
        return open_key(source.expanduser(), password_file, "COVEY_SOURCE_PASSWORD").key
    try:
        return LocalSigner.from_key(text.strip()).key
    except ChainError as error:
        raise InputError(f"{source}: {error}") from None


def write_private(path: Path, text: str) -> None:
    """Write a new file, mode 0600 from its creation. Raises InputError where there is one already."""
    path = path.expanduser()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise InputError(f"{path} exists; it is not overwritten") from None
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def list_keys(folder: Path | None, settings: Settings) -> list[dict[str, Any]]:
    """Keystores and remote accounts: address, where, whether private, roles and coin (None without a chain)."""
    if folder is not None and not folder.expanduser().is_dir():
        raise InputError(f"{folder}: no such folder")
    files = _keystores(folder, settings)
    found = [
        {"address": address, "where": str(path), "private": not stat.S_IMODE(path.stat().st_mode) & 0o077}
        for path, address in files
    ]
    if settings.remote_signer is not None and folder is None:
        found += [{"address": one, "where": where, "private": True} for one, where in _remote(settings)]
    if not found and folder is None and settings.keystore is None:
        raise InputError("no keys: give a folder, or --keystore")
    network = _network(settings)
    return [{**one, **_standing(str(one["address"]), network)} for one in found]


def _keystores(folder: Path | None, settings: Settings) -> list[tuple[Path, str]]:
    from covey.chain.signing.keystore import keystore_address

    given = [one for one in (settings.keystore, settings.owner_keystore) if one is not None]
    folders = [folder.expanduser()] if folder is not None else sorted({one.parent for one in given})
    found = []
    for path in sorted(path for one in folders if one.is_dir() for path in one.iterdir() if path.is_file()):
        if path.stat().st_size > _MAX_KEYSTORE_BYTES:
            continue
        try:
            found.append((path, keystore_address(path)))
        except ChainError:
            continue  # some other file
    return found


def _remote(settings: Settings) -> list[tuple[str, str]]:
    from covey.chain.rpc.open import open_endpoint
    from covey.chain.signing.remote import accounts, split_location

    kind, url = split_location(settings.remote_signer or "")
    try:
        return [(one, settings.remote_signer or "") for one in accounts(open_endpoint(url), kind)]
    except ChainError as error:
        raise CliError(str(error)) from None


def _network(settings: Settings) -> Network | None:
    from covey.cli.access import connect

    return connect(settings) if settings.rpc_urls and settings.deployment is not None else None


def _standing(address: str, network: Network | None) -> dict[str, Any]:
    if network is None:
        return {"roles": [], "coin": None}
    from covey.client.staking import ZERO_ADDRESS

    staking = network.contracts.staking
    operator, pool = staking.operator_of(address), staking.pool_of(address)
    roles = [f"signer of {operator}"] if operator != ZERO_ADDRESS else []
    roles += [f"operator; its signer is {pool.signer}"] if pool.registered else []
    return {"roles": roles, "coin": network.rpc.balance(address)}
