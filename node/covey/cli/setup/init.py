"""Behind `covey init`: write a settings file and a keystore."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from covey.chain.errors import ChainError
from covey.cli.access import keystore_address_of, remote_signer
from covey.cli.errors import CliError, InputError
from covey.cli.settings import FILE_NAME, Settings
from covey.cli.setup.keyfiles import new_password
from covey.cli.setup.settings_file import render_settings
from covey.client.errors import ClientError
from covey.config.types import Role


@dataclass(frozen=True, slots=True)
class SetUp:
    """The files written, and the signer's address. `keystore` is None with a remote signer."""

    settings: Path
    keystore: Path | None
    signer: str


def set_up(folder: Path, settings: Settings, import_key: Path | None) -> SetUp:
    """Write the settings file and a keystore into `folder`.

    An existing keystore is used as it is. Raises InputError; a folder that this call created is removed then.
    """
    file = folder / FILE_NAME
    keystore = settings.keystore or folder / "signer.json"
    if file.exists():
        raise InputError(f"{file} exists and is never overwritten: choose another folder")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: choose another folder")
    if settings.remote_signer is not None:
        return _set_up_remote(folder, file, settings, import_key)
    imported = _read_key(import_key)
    if imported is not None and settings.keystore is not None and keystore.exists():
        raise InputError(f"{keystore} exists: leave out --import-key to use it, or choose another path")
    new_key = not keystore.exists()
    password = new_password(settings.password_file) if new_key else ""
    fresh = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if new_key:
            signer = _create_keystore(keystore, password, imported)
        else:
            signer = keystore_address_of(keystore, settings.password_file)
        text = render_settings(_values(folder, keystore, settings))
        file.write_text(text, encoding="utf-8")
    except (OSError, CliError, ClientError) as error:
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        message = f"cannot write {folder}: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise InputError(message) from None
    return SetUp(file, keystore, signer)


def _set_up_remote(folder: Path, file: Path, settings: Settings, import_key: Path | None) -> SetUp:
    """As `set_up`, with a remote signer: creates no keystore."""
    if import_key is not None:
        raise InputError("--import-key cannot be combined with --remote-signer: import the key into the remote signer")
    signer = remote_signer(settings).address
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.write_text(render_settings(_values(folder, None, settings)), encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror}") from None
    return SetUp(file, None, signer)


def _read_key(path: Path | None) -> bytes | None:
    if path is None:
        return None
    from covey.chain.signing.keystore import LocalSigner

    try:
        return LocalSigner.from_key(path.expanduser().read_text(encoding="utf-8-sig").strip()).key
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the private key {path}: {getattr(error, 'strerror', None) or error}") from None
    except ChainError as error:
        raise InputError(f"{path}: {error}") from None


def _create_keystore(path: Path, password: str, key: bytes | None) -> str:
    from covey.chain.signing.keystore import create_keystore

    try:
        return create_keystore(path, password, key=key).address
    except ChainError as error:
        raise InputError(str(error)) from None


def _values(folder: Path, keystore: Path | None, settings: Settings) -> dict[str, object]:
    values: dict[str, object] = {
        "roles": [role.value for role in settings.roles] or [Role.VALIDATOR.value],
        **({} if keystore is None else {"keystore": _path(keystore, folder)}),
        "data_dir": "data",
    }
    given = {
        "rpc_urls": list(settings.rpc_urls),
        "operator": settings.operator,
        "remote_signer": settings.remote_signer,
        "signer_address": settings.signer_address,
        "peers": list(settings.peers),
        **{
            name: _path(path, folder)
            for name in ("deployment", "password_file", "training_records", "heldout_records")
            if (path := getattr(settings, name)) is not None
        },
    }
    return values | {name: value for name, value in given.items() if value}


def _path(path: Path, folder: Path) -> str:
    """A path for the settings file: relative if it is inside the file's folder, else absolute."""
    whole = path.expanduser().resolve()
    inside = whole.is_relative_to(folder.resolve())
    return str(whole.relative_to(folder.resolve()) if inside else whole)
