"""Settings of the commands: each is a flag, an environment variable and a key of covey.toml, in that precedence.

A node's own settings are `covey.config.node.NodeConfig`; this module adds what only commands need, reads both
from one file, and turns settings into options of a command.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from pydantic import BaseModel

from covey.cli.errors import InputError
from covey.config import layers as layered
from covey.config.client import TaskSettings
from covey.config.commands import CommandSettings as Settings
from covey.config.node import NodeConfig

__all__ = ["NodeConfig", "Settings", "TaskSettings", "load_node", "load_settings", "with_settings"]

FILE_NAME = "covey.toml"
HOME = Path("~/.covey")


ACCESS = ("rpc_urls", "deployment")
KEY = ("keystore", "password_file", "remote_signer", "signer_address")
WALLET = (*ACCESS, *KEY, "owner_keystore", "owner_password_file")
SIGNER = (*ACCESS, *KEY, "operator")
_OWN_KEYS = frozenset(name for name in Settings.model_fields if name not in NodeConfig.model_fields)
_NODE_KEYS = frozenset(name for name in NodeConfig.model_fields if name not in Settings.model_fields)


def config_file(given: str | None) -> Path | None:
    """The settings file: --config, COVEY_CONFIG, ./covey.toml, ~/.covey/covey.toml, or none."""
    named = given or os.environ.get("COVEY_CONFIG")
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise InputError(f"{path}: no such settings file; make one with `covey init`")
        return path
    for path in (Path(FILE_NAME), HOME.expanduser() / FILE_NAME):
        if path.is_file():
            return path
    return None


def load_settings(flags: dict[str, object], config: str | None) -> Settings:
    """Settings of a command. Raises InputError with one line."""
    try:
        return layered.load(Settings, flags=flags, file=config_file(config), other_tables=_NODE_KEYS)
    except layered.ConfigError as error:
        raise InputError(str(error)) from None


def load_node(flags: dict[str, object], config: str | None) -> NodeConfig:
    """Settings of a node. Raises InputError with one line."""
    try:
        return NodeConfig.load(flags=flags, file=config_file(config), other_tables=_OWN_KEYS)
    except layered.ConfigError as error:
        raise InputError(str(error)) from None


ConfigOption = Annotated[
    str | None,
    typer.Option(
        "--config", metavar="PATH", help="settings file (env COVEY_CONFIG; default ./covey.toml, ~/.covey/covey.toml)"
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="print one JSON document")]


def with_settings(*names: str, table: str | None = None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command options for `names` (and all of `table`, without its prefix), and pass settings=Settings."""
    paths: list[tuple[str, ...]] = [(name,) for name in names]
    if table is not None:
        paths += [path for path, _ in layered.leaves(Settings) if path[0] == table]
    return _with_options(Settings, paths, load_settings, strip=table)


def with_node_config(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command an option for every setting of a node, and call it with settings=NodeConfig."""
    paths = [path for path, _ in layered.leaves(NodeConfig)]
    return _with_options(NodeConfig, paths, load_node, strip=None)(command)


def _with_options(
    model: type[BaseModel],
    paths: list[tuple[str, ...]],
    load: Callable[[dict[str, object], str | None], Any],
    strip: str | None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    names = {layered.flag_name(path): path for path in paths}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def wrapper(config: str | None = None, **given: Any) -> None:
            flags = {name: _flag(given.pop(name)) for name in names}
            try:
                settings = load(flags, config)
            except InputError as error:
                raise InputError(str(error).replace(f"--{strip}-", "--")) from None
            command(settings=settings, **given)

        own = [one for one in inspect.signature(command, eval_str=True).parameters.values() if one.name != "settings"]
        made = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_option(model, path, strip)
            )
            for name, path in names.items()
        ]
        made.append(inspect.Parameter("config", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=ConfigOption))
        own = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
        wrapper.__signature__ = inspect.Signature([*own, *made])  # type: ignore[attr-defined]
        wrapper.__annotations__ = {one.name: one.annotation for one in [*own, *made]}
        return wrapper

    return decorate


def _flag(value: Any) -> object:
    return (value or None) if isinstance(value, list) else value


def _option(model: type[BaseModel], path: tuple[str, ...], strip: str | None) -> Any:
    """The Typer option of one setting; values stay text, the model reads them."""
    owner = model
    for name in path[:-1]:
        owner = owner.model_fields[name].annotation  # type: ignore[assignment]
    field = owner.model_fields[path[-1]]
    shown = path[1:] if path[0] == strip else path
    flag = "--" + "-".join(shown).replace("_", "-")
    text = f"{field.description or ''} (env {layered.environment_name(path)})"
    kind = field.annotation
    if kind is bool:
        return Annotated[bool | None, typer.Option(f"{flag}/--no-{flag[2:]}", help=text)]
    if path == ("roles",):
        return Annotated[list[str] | None, typer.Option("--role", "--roles", metavar="trainer|validator", help=text)]
    if _is_list(kind):
        return Annotated[list[str] | None, typer.Option(flag, metavar=_metavar(kind), help=text + "; may be repeated")]
    return Annotated[str | None, typer.Option(flag, metavar=_metavar(kind), help=text)]


def _is_list(kind: Any) -> bool:
    return str(kind).startswith("tuple[")


def _metavar(kind: Any) -> str:
    kinds = {kind, *get_args(kind)}
    for known, name in ((Path, "PATH"), (int, "INTEGER"), (float, "NUMBER")):
        if known in kinds:
            return name
    return "TEXT"
