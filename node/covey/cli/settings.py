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
from pydantic import BaseModel, ByteSize, ConfigDict, Field

from covey.chain.tx.fees import GWEI
from covey.cli.errors import InputError
from covey.config import layers as layered
from covey.config.node import CVY, Address, Amount, GasPrice, NodeConfig, RemoteSignerAddress, Role, Size

FILE_NAME = "covey.toml"
HOME = Path("~/.covey")


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DemoSettings(_Table):
    """`covey demo`, table [demo]."""

    seed: int = Field(7, ge=0, lt=2**32, description="seed of the data split, the training and the random weights")
    validators: int = Field(3, ge=3, le=9, description="honest validators; a lazy one comes on top")
    base: str = Field("tiny", description="base model: 'tiny', a folder, or a hub name such as Qwen/Qwen2.5-0.5B")
    out: Path = Field(Path("covey-demo"), description="folder for everything the run leaves")
    keep: bool = Field(False, description="leave the network running at the end, until Ctrl-C")


class DevnetSettings(_Table):
    """`covey devnet`, table [devnet]."""

    out: Path = Field(Path("covey-devnet"), description="folder for the chain's log, keys and deployment")
    port: int = Field(8545, ge=1, le=65535, description="port of the chain's JSON-RPC on the loopback interface")
    block_time: float = Field(1.0, gt=0, le=60, description="seconds between two blocks")
    accounts: int = Field(5, ge=1, le=50, description="funded accounts to make keystores for")


class TaskSettings(_Table):
    """`covey task create`, table [task]. Windows in seconds; not set: the registry's minimum."""

    bounty: Amount = Field(1000 * CVY, description="bounty for trainers and validators")
    bond: Amount | None = Field(None, description="creator's bond; not set: the registry's minimum")
    entry_fee: Amount = Field(CVY, description="fee of the first entry")
    validator_bps: int = Field(2000, ge=0, le=10_000, description="validators' share of the bounty, 1/10000")
    target_seats: int = Field(31, ge=1, le=1000, description="seats of the committee, K")
    power: int = Field(2, ge=1, le=3, description="p: a trainer's weight is (median - floor)^p")
    max_entries: int = Field(64, ge=1, le=65535, description="most entries")
    min_stake: Amount | None = Field(
        None, description="least enrolled stake; not set: the registry's multiple of the bounty"
    )
    entry_commit: int | None = Field(None, ge=1, description="window in which entries are committed")
    enrol: int | None = Field(None, ge=1, description="window in which validators enrol")
    entry_reveal: int | None = Field(None, ge=1, description="window in which entries are revealed")
    score_commit: int | None = Field(None, ge=1, description="window in which scores are committed")
    score_reveal: int | None = Field(None, ge=1, description="window in which scores are revealed")
    settle: int | None = Field(None, ge=1, description="slack for seed and settlement")


class StakeSettings(_Table):
    """`covey stake`, table [stake]: what a new pool is opened with."""

    signer: Address | None = Field(None, description="hot key that acts for you; not set: the keystore's")
    reward_address: Address | None = Field(None, description="where commission goes; not set: the owner")
    commission_bps: int = Field(500, ge=0, le=10_000, description="your share of rewards before delegators, 1/10000")


class Settings(_Table):
    """What commands read. Fields that a node has too mean the same there."""

    roles: tuple[Role, ...] = Field((), description="trainer, validator or both")
    rpc_urls: tuple[str, ...] = Field((), description="JSON-RPC endpoints, best first")
    deployment: Path | None = Field(None, description="folder deployments/<chain id>")
    keystore: Path | None = Field(None, description="encrypted key of the signer")
    password_file: Path | None = Field(
        None, description="file with the keystore's password; not set: COVEY_PASSWORD, then a prompt"
    )
    remote_signer: RemoteSignerAddress | None = Field(
        None, description="signer instead of a keystore: web3signer:URL, clef:URL or clef:/path/of/clef.ipc"
    )
    signer_address: Address | None = Field(None, description="the remote signer's account; not set: its only one")
    max_gas_price: GasPrice = Field(300 * GWEI, description="most to offer for a unit of gas, as in 300 gwei")
    max_priority_fee: GasPrice = Field(50 * GWEI, description="most to offer of it to the block's builder")
    bump_blocks: int = Field(3, ge=1, description="blocks that a transaction waits before more is offered for it")
    confirmations: int | None = Field(None, ge=0, description="blocks to wait; not set: the chain's finalised block")
    owner_keystore: Path | None = Field(
        None, description="encrypted key of the owner or delegator; not set: the signer's"
    )
    owner_password_file: Path | None = Field(None, description="file with the owner keystore's password")
    operator: Address | None = Field(
        None, description="operator to act for; not set: whoever named this key its signer"
    )
    training_records: Path | None = Field(None, description="records to train on, JSON lines")
    heldout_records: Path | None = Field(None, description="records to score on, JSON lines")
    health_listen: str | None = Field("127.0.0.1:9464", description="where /health and /metrics answer")
    data_dir: Path | None = Field(None, description="journal, secrets, entries and work files")
    store: str | None = Field(
        None, description="block store: a folder, or a Kubo RPC address; not set: <data_dir>/blocks"
    )
    store_token_file: Path | None = Field(None, description="file with the bearer token of Kubo's RPC")
    store_token_in_clear: bool = Field(False, description="send that token over plain http to another machine too")
    store_quota: Size = Field(ByteSize(20 << 30), description="most bytes in a store that is a folder, as in 20GiB")
    peers: tuple[str, ...] = Field((), description="gateways of other nodes, to fetch specs and entries from")
    demo: DemoSettings = Field(default_factory=DemoSettings)
    devnet: DevnetSettings = Field(default_factory=DevnetSettings)
    stake: StakeSettings = Field(default_factory=StakeSettings)
    task: TaskSettings = Field(default_factory=TaskSettings)


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
