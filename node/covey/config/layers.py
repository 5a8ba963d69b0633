"""Loads settings from three sources: flags override environment variables, which override the TOML file."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from covey.config.errors import ConfigError
from covey.config.renamed import RENAMED
from covey.config.schema import PREFIX, Key, environment_name, field_at, flag_name, flag_of, leaves, unit_of
from covey.config.types import RPC_PREFIXES, MayBePath

M = TypeVar("M", bound=BaseModel)


def load(
    model: type[M],
    *,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    file: Path | None = None,
    other_tables: frozenset[str] = frozenset(),
    prefix: str = PREFIX,
) -> M:
    """Build `model` from its three sources.

    Args:
        flags: values by `flag_name`; None means that the flag was not given.
        environ: environment variables, by default the process's. An empty variable counts as unset. Lists are
            comma-separated.
        file: a TOML file. Relative paths in it start at its folder.
        other_tables: top-level tables and keys of the file that belong to other models.
        prefix: start of the names of environment variables.

    Raises:
        ConfigError: the first problem found, in one line that names the source of the value.
    """
    environ = os.environ if environ is None else environ
    settings = {key: field_at(model, key)[1] for key, _ in leaves(model)}
    values: dict[Key, object] = {}
    origin: dict[Key, str] = {}
    if file is not None:
        for key, value in _read_file(file, settings, other_tables):
            origin[key] = f"{file}: key {'.'.join(key)}"
            values[key] = _resolve_paths(value, settings[key], file.parent, origin[key])
    _reject_renamed_variables(environ, prefix)
    for key, setting in settings.items():
        name = environment_name(key, prefix)
        text = environ.get(name, "")
        if text != "":
            origin[key] = f"environment variable {name}"
            value = [part.strip() for part in text.split(",") if part.strip()] if _is_list(setting.annotation) else text
            values[key] = _resolve_paths(value, setting, Path(), origin[key])
    by_flag = {flag_name(key): key for key in settings}
    for name, given in (flags or {}).items():
        if given is None:
            continue
        if name not in by_flag:
            raise ConfigError(_unknown_flag(name, by_flag))
        key = by_flag[name]
        origin[key] = flag_of(key)
        value = list(given) if isinstance(given, tuple) else given
        values[key] = _resolve_paths(value, settings[key], Path(), origin[key])
    try:
        return model.model_validate(_nest(values))
    except ValidationError as error:
        raise ConfigError(_describe_first(error, list(settings), origin, prefix)) from None


def _read_file(
    file: Path, settings: Mapping[Key, FieldInfo], other_tables: frozenset[str]
) -> Iterator[tuple[Key, object]]:
    try:
        tree = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"{file}: no such file") from None
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file}: not UTF-8 text") from None
    except RecursionError:
        raise ConfigError(f"{file}: not valid TOML: nested too deep") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: not valid TOML: {error}") from None
    tables = {key[:depth] for key in settings for depth in range(1, len(key))}

    def walk(node: Mapping[str, object], parent: Key) -> Iterator[tuple[Key, object]]:
        for name, value in node.items():
            key = (*parent, name)
            dotted = ".".join(key)
            if key in settings:
                _require_unit(value, settings[key], f"{file}: key {dotted}")
                yield key, value
            elif isinstance(value, dict) and key in tables:
                yield from walk(value, key)
            elif dotted in RENAMED:
                raise ConfigError(f"{file}: key {dotted} was renamed to {RENAMED[dotted]}")
            elif parent or name not in other_tables:
                raise ConfigError(f"{file}: unknown key {dotted!r}{_suggest(dotted, map('.'.join, settings))}")

    yield from walk(tree, ())


def _reject_renamed_variables(environ: Mapping[str, str], prefix: str) -> None:
    for former, new in RENAMED.items():
        name = environment_name(tuple(former.split(".")), prefix)
        if environ.get(name, "") != "":
            raise ConfigError(
                f"environment variable {name} was renamed to {environment_name(tuple(new.split('.')), prefix)}"
            )


def _unknown_flag(name: str, known: Iterable[str]) -> str:
    for former, new in RENAMED.items():
        if name == flag_name(tuple(former.split("."))):
            return f"{flag_of(tuple(former.split('.')))} was renamed to {flag_of(tuple(new.split('.')))}"
    return f"unknown setting {name!r}{_suggest(name, known)}"


def _require_unit(value: object, setting: FieldInfo, where: str) -> None:
    """Raise ConfigError for a bare number where a unit decides by orders of magnitude what it means."""
    unit = unit_of(setting)
    if unit is None or unit.scale == 1 or isinstance(value, bool) or not isinstance(value, int | float) or value == 0:
        return
    raise ConfigError(f'{where}: {value} has no unit: write "{value} {unit.name}", with quotes')


def _resolve_paths(value: object, setting: FieldInfo, folder: Path, where: str) -> object:
    """Expand ``~`` in a setting that is or may be a path, and let a relative path start at ``folder``.

    Raises:
        ConfigError: ``~`` stands for no folder.
    """
    if isinstance(value, list):
        return [_resolve_paths(item, setting, folder, where) for item in value]
    if not isinstance(value, str | Path) or value == "":
        return value
    try:
        if _mentions_path(setting.annotation):
            return folder / Path(value).expanduser()
        mark = _mark(setting.metadata) or _mark_within(setting.annotation)
        return value if mark is None or not isinstance(value, str) else _resolve_text(value, mark, folder)
    except RuntimeError:
        raise ConfigError(f"{where}: no home folder for {value!s}: set HOME, or write the whole path") from None


def _resolve_text(value: str, mark: MayBePath, folder: Path) -> str:
    """Make the path in a text absolute, if there is one; see `MayBePath`."""
    prefix = next((prefix for prefix in mark.prefixes if value.startswith(prefix)), "")
    rest = value.removeprefix(prefix)
    if "://" in rest or (mark.always and rest.startswith(RPC_PREFIXES)):
        return value
    is_path = mark.always or rest in (".", "..") or rest.startswith(("/", "./", "../", "~"))
    is_socket = rest.endswith((".ipc", ".sock")) and not set(rest) & set(":@?#")
    if not is_path and not (is_socket and (prefix or not mark.prefixes)):
        return value
    return prefix + str((folder / Path(rest).expanduser()).absolute())


def _mark(metadata: Iterable[object]) -> MayBePath | None:
    return next((item for item in metadata if isinstance(item, MayBePath)), None)


def _mark_within(annotation: Any) -> MayBePath | None:
    """The mark in an annotation such as ``tuple[RpcUrl, ...]`` or ``StoreLocation | None``."""
    found = _mark(getattr(annotation, "__metadata__", ()))
    return found or next((mark for part in get_args(annotation) if (mark := _mark_within(part))), None)


def _mentions_path(annotation: Any) -> bool:
    return annotation is Path or any(_mentions_path(part) for part in get_args(annotation))


def _is_list(annotation: Any) -> bool:
    if get_origin(annotation) in (list, tuple, set, frozenset):
        return True
    return any(_is_list(part) for part in get_args(annotation))


def _nest(values: Mapping[Key, object]) -> dict[str, object]:
    tree: dict[str, Any] = {}
    for key, value in values.items():
        node = tree
        for name in key[:-1]:
            node = node.setdefault(name, {})
        node[key[-1]] = value
    return tree


def _suggest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _describe_first(error: ValidationError, order: list[Key], origin: Mapping[Key, str], prefix: str) -> str:
    """One line about the error that comes first in `order`: its source, or the ways to set a missing value."""

    def position(details: ErrorDetails) -> int:
        key = _key_of(details)
        return next((index for index, known in enumerate(order) if key[: len(known)] == known), len(order))

    first = min(error.errors(include_url=False), key=position)
    key = _key_of(first)
    message = first["msg"].removeprefix("Value error, ")
    for depth in range(len(key), 0, -1):
        if key[:depth] in origin:
            return f"{origin[key[:depth]]}: {message}"
    if first["type"] == "missing":
        dotted = ".".join(key)
        return f"{dotted} is not set: give {flag_of(key)}, {environment_name(key, prefix)} or the key {dotted}"
    return f"{'.'.join(key)}: {message}" if key else message


def _key_of(details: ErrorDetails) -> Key:
    return tuple(str(part) for part in details["loc"])
