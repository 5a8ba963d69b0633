"""Options of commands, generated from the settings models, and the settings file that commands read."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from covey.cli.errors import InputError
from covey.config import layers
from covey.config.commands import CommandSettings as Settings
from covey.config.errors import ConfigError
from covey.config.node import NodeConfig
from covey.config.schema import (
    Key,
    describe,
    environment_name,
    field_at,
    flag_name,
    flag_of,
    group_of,
    leaves,
    unit_of,
)

__all__ = ["NodeConfig", "Settings", "load_node", "load_settings", "with_settings"]

FILE_NAME = "covey.toml"
HOME = "~/.covey"

CHAIN = ("rpc_urls", "deployment")
STORE = ("data_dir", "store", "store_token_file", "store_token_in_clear")
KEY = ("keystore", "password_file", "remote_signer", "signer_address")
OWNER = (*CHAIN, *KEY, "owner_keystore", "owner_password_file")
"""Options of commands that sign with the owner's key."""
SIGNER = (*CHAIN, *KEY, "operator")
"""Options of commands that sign with the signer's key, or act for an operator."""
_ONLY_COMMANDS = frozenset(Settings.model_fields) - frozenset(NodeConfig.model_fields)
_ONLY_NODE = frozenset(NodeConfig.model_fields) - frozenset(Settings.model_fields)


def config_file(given: str | None) -> Path | None:
    """The settings file: --config, COVEY_CONFIG, ./covey.toml or ~/.covey/covey.toml; None without any.

    Raises InputError if the file that --config or COVEY_CONFIG names is missing.
    """
    named = given or os.environ.get("COVEY_CONFIG")
    if named:
        path = _expanded(named)
        if path is None:
            raise InputError(f"{named}: no home folder: set HOME, or write the whole path")
        if not path.is_file():
            raise InputError(f"{path}: no such settings file; create one with `covey init`")
        return path
    home = _expanded(HOME)
    places = (Path(FILE_NAME), *(() if home is None else (home / FILE_NAME,)))
    return next((path for path in places if path.is_file()), None)


def _expanded(path: str) -> Path | None:
    """The path without ``~``; None if there is no home folder, as in a container with an unknown user id."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return None


def load_settings(flags: dict[str, object], config: str | None) -> Settings:
    """Load the settings of a command. Raises InputError with one line."""
    try:
        return layers.load(Settings, flags=flags, file=config_file(config), other_tables=_ONLY_NODE)
    except ConfigError as error:
        raise InputError(str(error)) from None


def load_node(flags: dict[str, object], config: str | None) -> NodeConfig:
    """Load the settings of a node. Raises InputError with one line."""
    try:
        return NodeConfig.load(flags=flags, file=config_file(config), other_tables=_ONLY_COMMANDS)
    except ConfigError as error:
        raise InputError(str(error)) from None


ConfigOption = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="PATH",
        help=r"Settings file. \[env: COVEY_CONFIG] \[default: ./covey.toml, ~/.covey/covey.toml]",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def with_settings(
    *names: str, table: str | None = None, of_table: Sequence[str] | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorate a command with options for the settings `names` and for those of `table`, which lose their prefix.

    `of_table` names the table's settings to take; None is all. The command receives settings=Settings.
    """
    keys: list[Key] = [(name,) for name in names]
    if table is not None:
        own = [key for key, _ in leaves(Settings) if key[0] == table and (of_table is None or key[1] in of_table)]
        keys = own + keys
    return _with_options(Settings, keys, load_settings, table)


def with_node_config(command: Callable[..., None]) -> Callable[..., None]:
    """Decorate a command with an option for every setting of a node. The command receives settings=NodeConfig."""
    return _with_options(NodeConfig, [key for key, _ in leaves(NodeConfig)], load_node, None)(command)


def _with_options(
    model: type[BaseModel],
    keys: list[Key],
    load: Callable[[dict[str, object], str | None], Any],
    table: str | None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def wrapper(config: str | None = None, **given: Any) -> None:
            flags = {flag_name(key): _flag_value(given.pop(flag_name(key))) for key in keys}
            try:
                settings = load(flags, config)
            except InputError as error:
                raise InputError(str(error).replace(f"--{table}-", "--")) from None
            command(settings=settings, **given)

        parameters = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for parameter in inspect.signature(command, eval_str=True).parameters.values()
            if parameter.name != "settings"
        ]
        options = {flag_name(key): _option(model, key, table) for key in keys} | {"config": ConfigOption}
        parameters += [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
            for name, annotation in options.items()
        ]
        wrapper.__doc__ = _unwrap(command.__doc__ or "")
        wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return wrapper

    return decorate


def _unwrap(text: str) -> str:
    """Join the lines of each paragraph, which Rich would otherwise keep apart on help screens."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in inspect.cleandoc(text).split("\n\n"))


def _flag_value(value: Any) -> object:
    return (value or None) if isinstance(value, list) else value


def _option(model: type[BaseModel], key: Key, table: str | None) -> Any:
    """The Typer option of one setting. Values stay text; the model parses them."""
    owner, field = field_at(model, key)
    flag = flag_of(key[1:] if key[0] == table else key)
    panel = None if table == key[0] else group_of(owner, key[-1]).model_config.get("title")
    text = _help(key, field)
    kind = field.annotation
    if kind is bool:
        return Annotated[bool | None, typer.Option(f"{flag}/--no-{flag[2:]}", help=text, rich_help_panel=panel)]
    if key == ("roles",):
        return Annotated[
            list[str] | None,
            typer.Option("--role", "--roles", metavar="ROLE", help=text, rich_help_panel=panel),
        ]
    option = typer.Option(flag, metavar=_metavar(field), help=text, rich_help_panel=panel)
    return Annotated[list[str] | None, option] if _is_list(kind) else Annotated[str | None, option]


def _help(key: Key, field: FieldInfo) -> str:
    """Meaning, environment variable and default of a setting, as help screens show them."""
    meaning, default = describe(field)
    parts = [meaning, "May be repeated." if _is_list(field.annotation) else "", f"[env: {environment_name(key)}]"]
    if default and field.annotation is not bool:
        parts.append(f"[default: {default}]")
    return " ".join(part for part in parts if part).replace("[", r"\[")


def _is_list(kind: Any) -> bool:
    return str(kind).startswith("tuple[")


def _metavar(field: FieldInfo) -> str:
    unit = unit_of(field)
    if unit is not None:
        return {"1/10000": "BPS"}.get(unit.name, unit.name.upper())
    kinds = {field.annotation, *get_args(field.annotation)}
    for kind, name in ((Path, "PATH"), (int, "INTEGER"), (float, "NUMBER")):
        if kind in kinds:
            return name
    if any(issubclass(kind, int) for kind in kinds if isinstance(kind, type)):
        return "SIZE"
    return "TEXT"
