"""Settings in three layers: flag > environment > TOML file, for any pydantic model.

One name a setting. A field `policy.max_fee` of the model is the TOML key `max_fee` in the table `[policy]`, the
environment variable `COVEY_POLICY_MAX_FEE` and the flag key `policy_max_fee` (spelt `--policy-max-fee`).
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from covey.config.errors import ConfigError
from covey.config.schema import PREFIX, environment_name, flag_name, leaves

__all__ = ["PREFIX", "ConfigError", "environment_name", "flag_name", "leaves", "load"]

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
    """Build `model` from its three layers.

    `flags`: by flag key; None means "not given". `environ`: defaults to the process's; an empty variable counts as not
    set; lists are comma-separated. `file`: TOML; its relative paths start at the file's own folder. `other_tables`:
    tables and keys at the top of the same file that belong to somebody else. Raises ConfigError with one line for the
    first thing that is wrong.
    """
    environ = os.environ if environ is None else environ
    settings = dict(leaves(model))
    values: dict[tuple[str, ...], object] = {}
    origin: dict[tuple[str, ...], str] = {}
    if file is not None:
        for path, value in _read_file(file, settings, other_tables):
            values[path], origin[path] = value, f"{file}: key {'.'.join(path)}"
    for path, annotation in settings.items():
        name = environment_name(path, prefix)
        text = environ.get(name, "")
        if text != "":
            values[path] = [part.strip() for part in text.split(",") if part.strip()] if _is_list(annotation) else text
            origin[path] = f"environment variable {name}"
    by_flag = {flag_name(path): path for path in settings}
    for key, given in (flags or {}).items():
        if given is None:
            continue
        if key not in by_flag:
            raise ConfigError(f"unknown setting {key!r}{_hint(key, by_flag)}")
        values[by_flag[key]] = given
        origin[by_flag[key]] = f"--{key.replace('_', '-')}"
    try:
        return model.model_validate(_nest(values))
    except ValidationError as error:
        raise ConfigError(_first_line(error, list(settings), origin, prefix)) from None


def _read_file(
    file: Path, settings: Mapping[tuple[str, ...], Any], other_tables: frozenset[str]
) -> Iterator[tuple[tuple[str, ...], object]]:
    try:
        tree = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{file}: no such file") from None
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not valid TOML: {error}") from None
    tables = {path[:depth] for path in settings for depth in range(1, len(path))}

    def walk(node: Mapping[str, object], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
        for key, value in node.items():
            here = (*path, key)
            if here in settings:
                yield here, _from_folder(value, settings[here], file.parent)
            elif isinstance(value, dict) and here in tables:
                yield from walk(value, here)
            elif path or key not in other_tables:
                known = {".".join(one) for one in settings}
                raise ConfigError(f"{file}: unknown key {'.'.join(here)!r}{_hint('.'.join(here), known)}")

    yield from walk(tree, ())


def _from_folder(value: object, annotation: Any, folder: Path) -> object:
    if not _mentions_path(annotation):
        return value
    if isinstance(value, str):
        return folder / Path(value).expanduser()
    if isinstance(value, list):
        return [folder / Path(one).expanduser() if isinstance(one, str) else one for one in value]
    return value


def _mentions_path(annotation: Any) -> bool:
    return annotation is Path or any(_mentions_path(part) for part in get_args(annotation))


def _is_list(annotation: Any) -> bool:
    if get_origin(annotation) in (list, tuple, set, frozenset):
        return True
    return any(_is_list(part) for part in get_args(annotation))


def _nest(values: Mapping[tuple[str, ...], object]) -> dict[str, object]:
    tree: dict[str, Any] = {}
    for path, value in values.items():
        node = tree
        for key in path[:-1]:
            node = node.setdefault(key, {})
        node[path[-1]] = value
    return tree


def _hint(key: str, known: Mapping[str, object] | set[str]) -> str:
    close = difflib.get_close_matches(key, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _first_line(
    error: ValidationError, order: list[tuple[str, ...]], origin: Mapping[tuple[str, ...], str], prefix: str
) -> str:
    def place(details: ErrorDetails) -> int:
        path = tuple(str(part) for part in details["loc"])
        return next((place for place, known in enumerate(order) if path[: len(known)] == known), len(order))

    first = min(error.errors(include_url=False), key=place)
    path = tuple(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    for depth in range(len(path), 0, -1):
        if path[:depth] in origin:
            return f"{origin[path[:depth]]}: {message}"
    if first["type"] == "missing":
        flag, key = f"--{flag_name(path)}".replace("_", "-"), ".".join(path)
        return f"{key} is not set: give {flag}, {environment_name(path, prefix)} or the key {key}"
    return f"{'.'.join(path)}: {message}" if path else message
