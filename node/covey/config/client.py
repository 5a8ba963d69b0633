"""Settings of the Python API `covey.client`: network, keys, fees, storage, and the parameters of a new task."""

from __future__ import annotations

from pathlib import Path

from pydantic import ConfigDict, Field

from covey.chain.units import CVY
from covey.config.shared import FeeSettings, RpcSettings, SettingsGroup, SignerSettings, StorageSettings
from covey.config.types import Amount, BasisPoints, WholeSeconds


class OwnerSettings(SettingsGroup):
    """The key of a pool's owner, or of a delegator."""

    model_config = ConfigDict(title="Owner")

    owner_keystore: Path | None = Field(
        None, description="encrypted keystore of the owner or delegator; default: the signer's"
    )
    owner_password_file: Path | None = Field(
        None, description="file with the owner keystore's password; default: COVEY_OWNER_PASSWORD, then a prompt"
    )


class ClientSettings(RpcSettings, SignerSettings, OwnerSettings, FeeSettings, StorageSettings):
    """What a client needs to read a network, sign and store. Every field has a default."""


class TaskSettings(SettingsGroup):
    """Parameters of a new task, table [task]. An unset window is the registry's minimum."""

    model_config = ConfigDict(title="New task")

    bounty: Amount = Field(1000 * CVY, description="bounty for trainers and validators")
    bond: Amount | None = Field(None, description="creator's bond; default: the registry's minimum")
    entry_fee: Amount = Field(CVY, description="fee of the first entry")
    validator_bps: BasisPoints = Field(2000, description="validators' share of the bounty")
    target_seats: int = Field(31, ge=1, le=1000, description="committee size K")
    power: int = Field(2, ge=1, le=3, description="exponent p: a trainer's weight is (median - floor)^p")
    max_entries: int = Field(64, ge=1, le=65535, description="maximum number of entries")
    min_stake: Amount | None = Field(
        None, description="minimum enrolled stake; default: the registry's multiple of the bounty"
    )
    entry_commit: WholeSeconds | None = Field(None, ge=1, description="length of the window to commit entries")
    enrol: WholeSeconds | None = Field(None, ge=1, description="length of the window for validators to enrol")
    entry_reveal: WholeSeconds | None = Field(None, ge=1, description="length of the window to reveal entries")
    score_commit: WholeSeconds | None = Field(None, ge=1, description="length of the window to commit scores")
    score_reveal: WholeSeconds | None = Field(None, ge=1, description="length of the window to reveal scores")
    settle: WholeSeconds | None = Field(None, ge=1, description="time allowed for the seed and settlement")
