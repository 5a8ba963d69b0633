"""Settings of the `covey` command: groups shared with the node, the owner's key, and tables for single commands."""

from __future__ import annotations

from pathlib import Path

from pydantic import ConfigDict, Field

from covey.chain.units import CVY
from covey.config.amounts import ENTRY_FEE
from covey.config.shared import (
    FeeSettings,
    HealthSettings,
    ModelSettings,
    RoleSettings,
    RpcSettings,
    SettingsGroup,
    SignerSettings,
    StorageSettings,
)
from covey.config.types import Address, Amount, BasisPoints, Duration, Seconds


class OwnerSettings(SettingsGroup):
    """The key of a pool's owner, or of a delegator."""

    model_config = ConfigDict(title="Owner")

    owner_keystore: Path | None = Field(
        None, description="encrypted keystore of the owner or delegator; default: the signer's"
    )
    owner_password_file: Path | None = Field(
        None, description="file with the owner keystore's password; default: COVEY_OWNER_PASSWORD, then a prompt"
    )


class DemoSettings(SettingsGroup):
    """`covey demo`, table [demo]."""

    model_config = ConfigDict(title="Demo")

    seed: int = Field(7, ge=0, lt=2**32, description="seed of the data split, the training and the random weights")
    validators: int = Field(3, ge=3, le=9, description="number of honest validators; one lazy validator is added")
    base: str = Field("tiny", description="base model: 'tiny', a folder, or a hub name such as Qwen/Qwen2.5-0.5B")
    out: Path = Field(Path("covey-demo"), description="output folder")
    keep: bool = Field(False, description="keep the network running at the end, until Ctrl-C")


class DevnetSettings(SettingsGroup):
    """`covey devnet`, table [devnet]."""

    model_config = ConfigDict(title="Devnet")

    out: Path = Field(Path("covey-devnet"), description="output folder for the chain's log, keys and deployment")
    port: int = Field(8545, ge=1, le=65535, description="port of the chain's JSON-RPC server on the loopback interface")
    block_time: Seconds = Field(1.0, gt=0, le=60, description="time between two blocks")
    accounts: int = Field(5, ge=1, le=50, description="number of funded accounts to write keystores for")
    operators: int = Field(
        0, ge=0, le=20, description="number of operators to register, each with a pool of 2,000 CVY and a funded signer"
    )
    resume: bool = Field(False, description="continue the chain of the last run in the output folder")


class WebSettings(SettingsGroup):
    """`covey web`, table [web]."""

    model_config = ConfigDict(title="Web page")

    listen: str = Field("127.0.0.1:8600", description="address and port on which the page is served")


class StakeSettings(SettingsGroup):
    """`covey stake`, table [stake]: parameters of a new pool."""

    model_config = ConfigDict(title="New pool")

    signer: Address | None = Field(None, description="hot key that acts for the operator; default: the keystore's")
    consent: str | None = Field(
        None,
        pattern=r"^0x[0-9a-fA-F]{130}$",
        description="the signer's consent, from `covey keys consent`; default: signed with the configured key",
    )
    reward_address: Address | None = Field(None, description="recipient of commission; default: the owner")
    commission_bps: BasisPoints = Field(
        500, ge=0, le=10_000, description="operator's share of rewards before delegators"
    )


class TaskSettings(SettingsGroup):
    """Parameters of a new task, table [task]. Windows take units, such as 2h; an unset one fits the network."""

    model_config = ConfigDict(title="New task")

    bounty: Amount = Field(1000 * CVY, description="bounty for trainers and validators")
    bond: Amount | None = Field(None, description="creator's bond; default: the registry's minimum")
    entry_fee: Amount = Field(ENTRY_FEE, description="fee of the first entry")
    validator_bps: BasisPoints = Field(2000, ge=0, le=10_000, description="validators' share of the bounty")
    target_seats: int = Field(31, ge=1, le=1023, description="committee size K")
    power: int = Field(2, ge=1, le=3, description="exponent p: a trainer's weight is (median - floor)^p")
    max_entries: int = Field(64, ge=1, le=32768, description="maximum number of entries")
    min_entries: int = Field(1, ge=1, le=255, description="minimum number of entries; with fewer the task is refunded")
    min_stake: Amount | None = Field(
        None, description="minimum enrolled stake; default: the registry's multiple of the bounty"
    )
    entry_commit: Duration | None = Field(
        None, ge=1, description="length of the window to commit entries; default: fits the network"
    )
    enrol: Duration | None = Field(
        None, ge=1, description="length of the window for validators to enrol; default: fits the network"
    )
    entry_reveal: Duration | None = Field(
        None, ge=1, description="length of the window to reveal entries; default: fits the network"
    )
    score_commit: Duration | None = Field(
        None, ge=1, description="length of the window to commit scores; default: fits the network"
    )
    score_reveal: Duration | None = Field(
        None, ge=1, description="length of the window to reveal scores; default: fits the network"
    )
    settle: Duration | None = Field(
        None, ge=1, description="time allowed for the seed and settlement; default: fits the network"
    )


class CommandSettings(
    RpcSettings,
    SignerSettings,
    OwnerSettings,
    FeeSettings,
    StorageSettings,
    RoleSettings,
    ModelSettings,
    HealthSettings,
):
    """Settings of all commands except `covey run`. Every field has a default."""

    demo: DemoSettings = Field(default_factory=DemoSettings)
    devnet: DevnetSettings = Field(default_factory=DevnetSettings)
    stake: StakeSettings = Field(default_factory=StakeSettings)
    task: TaskSettings = Field(default_factory=TaskSettings)
    web: WebSettings = Field(default_factory=WebSettings)
