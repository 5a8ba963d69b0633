"""What `covey init` writes: a settings file and a keystore."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic.fields import FieldInfo

from covey.chain.errors import ChainError
from covey.cli.access import remote_signer
from covey.cli.errors import CliError, InputError
from covey.cli.settings import FILE_NAME, Settings
from covey.cli.setup.keyfiles import new_password
from covey.client.errors import ClientError
from covey.config.node import NodeConfig, Role
from covey.config.schema import default_of, field_at, leaves, unit_of


@dataclass(frozen=True, slots=True)
class SetUp:
    """What was written."""

    settings: Path
    keystore: Path | None
    signer: str


def set_up(folder: Path, settings: Settings, import_key: Path | None) -> SetUp:
    """Write settings and keystore into `folder`. Raises InputError before anything is written, or undoes what was."""
    file = folder / FILE_NAME
    keystore = settings.keystore or folder / "signer.json"
    if file.exists():
        raise InputError(f"{file} exists; it is never overwritten: choose another folder")
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
        signer = _keystore(keystore, password, imported, new=new_key)
        text = _settings_text(_values(folder, keystore, settings))
        file.write_text(text, encoding="utf-8")
    except (OSError, CliError, ClientError) as error:
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        message = f"cannot write {folder}: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise InputError(message) from None
    return SetUp(file, keystore, signer)


def _set_up_remote(folder: Path, file: Path, settings: Settings, import_key: Path | None) -> SetUp:
    """As `set_up`, for a key that is elsewhere: no keystore is made."""
    if import_key is not None:
        raise InputError("--import-key is for a keystore; import the key where --remote-signer keeps its keys")
    signer = remote_signer(settings).address
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.write_text(_settings_text(_values(folder, None, settings)), encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror}") from None
    return SetUp(file, None, signer)


def _read_key(path: Path | None) -> bytes | None:
    if path is None:
        return None
    from covey.chain.signing.keystore import LocalSigner

    try:
        return LocalSigner.from_key(path.expanduser().read_text(encoding="utf-8").strip()).key
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the private key {path}: {getattr(error, 'strerror', None) or error}") from None
    except ChainError as error:
        raise InputError(f"{path}: {error}") from None


def _keystore(path: Path, password: str, key: bytes | None, *, new: bool) -> str:
    from covey.chain.signing.keystore import create_keystore, keystore_address

    try:
        return create_keystore(path, password, key=key).address if new else keystore_address(path)
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
    """A path as the settings file should name it: relative to its folder where it lies inside, else absolute."""
    whole = path.expanduser().resolve()
    inside = whole.is_relative_to(folder.resolve())
    return str(whole.relative_to(folder.resolve()) if inside else whole)


def _settings_text(values: Mapping[str, object]) -> str:
    """A settings file with every setting of a node: `values` set, all others commented out with their defaults."""
    lines = [
        "# Settings of a Covey node. Each key is also a flag of `covey run` (--rpc-urls) and an environment variable",
        "# (COVEY_RPC_URLS). A flag overrides the variable, which overrides this file.",
        "# Relative paths start at the folder of this file.",
        "",
    ]
    table = ""
    for key, _ in leaves(NodeConfig):
        if len(key) > 1 and key[0] != table:
            table = key[0]
            lines += [f"[{table}]"]
        lines += _setting_lines(key[-1], field_at(NodeConfig, key)[1], {} if table else values)
    return "\n".join(lines) + "\n"


def _setting_lines(name: str, field: FieldInfo, values: Mapping[str, object]) -> list[str]:
    unit = unit_of(field)
    comment = f"# {field.description or name}" + (f" ({unit.name})" if unit is not None and unit.scale == 1 else "")
    if name in values:
        return [comment, f"{name} = {_toml(values[name])}", ""]
    default = default_of(field)
    return [comment, f"# {name} =" if default is None else f"# {name} = {_toml(default)}", ""]


def _toml(value: object) -> str:
    """A value as TOML writes it; JSON's strings, numbers, booleans and arrays are TOML too."""
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
