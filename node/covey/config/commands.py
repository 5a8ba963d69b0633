"""Settings of the `covey` command: those of the client, and tables for single commands."""

from __future__ import annotations

from pathlib import Path

from pydantic import ConfigDict, Field

from covey.config.client import ClientSettings, TaskSettings
from covey.config.shared import HealthSettings, RoleSettings, SettingsGroup
from covey.config.types import Address, BasisPoints, Seconds


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


class StakeSettings(SettingsGroup):
    """`covey stake`, table [stake]: parameters of a new pool."""

    model_config = ConfigDict(title="New pool")

    signer: Address | None = Field(None, description="hot key that acts for the operator; default: the keystore's")
    reward_address: Address | None = Field(None, description="recipient of commission; default: the owner")
    commission_bps: BasisPoints = Field(500, description="operator's share of rewards before delegators")


class CommandSettings(ClientSettings, RoleSettings, HealthSettings):
    """What commands read."""

    demo: DemoSettings = Field(default_factory=DemoSettings)
    devnet: DevnetSettings = Field(default_factory=DevnetSettings)
    stake: StakeSettings = Field(default_factory=StakeSettings)
    task: TaskSettings = Field(default_factory=TaskSettings)
