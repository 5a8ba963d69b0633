"""Groups of settings that nodes and commands share. Each setting is defined once, in one group.

`NodeConfig`, `ClientSettings` and `CommandSettings` are composed of groups. A setting that is optional in its group and
mandatory for a node is redeclared there with `required`, which takes the description from the group.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ByteSize, ConfigDict, Field

from covey.chain.tx.fees import GWEI
from covey.config.types import (
    Address,
    BaseName,
    Blocks,
    Device,
    GasPrice,
    Listen,
    RemoteSignerAddress,
    Roles,
    RpcUrl,
    Seconds,
    Size,
    StoreLocation,
)


class SettingsGroup(BaseModel):
    """Base of all groups. `title` in the model configuration is the heading in help screens and the reference."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def required(group: type[SettingsGroup], name: str, *, min_length: int | None = None) -> Any:
    """The field `name` of `group`, without a default."""
    return Field(description=group.model_fields[name].description, min_length=min_length)


class RoleSettings(SettingsGroup):
    """Roles and the data they need."""

    model_config = ConfigDict(title="Roles and data")

    roles: Roles = Field((), description="trainer, validator or both")
    training_records: Path | None = Field(None, description="JSON Lines file with the records to train on")
    heldout_records: Path | None = Field(None, description="JSON Lines file with the held-out records to score on")


class ModelSettings(SettingsGroup):
    """Base models on this machine, and the device that computes them."""

    model_config = ConfigDict(title="Base models")

    bases: tuple[BaseName, ...] = Field(("tiny",), description="available base models: tiny, a folder, or a hub name")
    device: Device = Field(
        "auto", description="where workers compute: cpu, cuda, cuda:N, or auto (the first GPU if there is one)"
    )


class RpcSettings(SettingsGroup):
    """Access to the chain."""

    model_config = ConfigDict(title="Chain")

    rpc_urls: tuple[RpcUrl, ...] = Field((), description="JSON-RPC endpoints, in order of preference")
    rpc_timeout_seconds: Seconds = Field(
        10.0, gt=0, le=600, description="time limit for one request over all endpoints"
    )
    rpc_quorum: int = Field(
        2, ge=1, description="endpoints that must agree on reads that decide payments; at most as many as configured"
    )
    rpc_health_interval_seconds: Seconds = Field(
        15.0, ge=1, le=3600, description="interval between health checks of the endpoints"
    )
    deployment: Path | None = Field(None, description="deployment folder, deployments/<chain id>")
    confirmations: Blocks | None = Field(
        None, ge=0, description="blocks after which a block counts as final; default: the chain's finalized block"
    )


class SignerSettings(SettingsGroup):
    """The signer's key and the operator it acts for."""

    model_config = ConfigDict(title="Signer")

    operator: Address | None = Field(
        None, description="operator to act for; default: the operator that registered this signer"
    )
    keystore: Path | None = Field(None, description="encrypted keystore of the signer")
    password_file: Path | None = Field(
        None, description="file with the keystore's password; default: COVEY_PASSWORD, then a prompt"
    )
    remote_signer: RemoteSignerAddress | None = Field(
        None, description="signer to use instead of a keystore: web3signer:URL, clef:URL or clef:/path/to/clef.ipc"
    )
    signer_address: Address | None = Field(None, description="account of the remote signer; default: its only account")


class FeeSettings(SettingsGroup):
    """Limits on the fees of transactions, and when they are raised."""

    model_config = ConfigDict(title="Transaction fees")

    max_gas_price: GasPrice = Field(300 * GWEI, description="maximum fee per gas")
    max_priority_fee: GasPrice = Field(50 * GWEI, description="maximum priority fee per gas")
    bump_blocks: Blocks = Field(
        3, ge=1, description="blocks that a transaction stays pending before its fees are raised"
    )


class StorageSettings(SettingsGroup):
    """The data directory, the block store and its sources."""

    model_config = ConfigDict(title="Storage")

    data_dir: Path | None = Field(None, description="folder with the journal, secrets, entries and work files")
    store: StoreLocation | None = Field(
        None, description="block store: a folder, or the address of a Kubo RPC API; default: <data_dir>/blocks"
    )
    store_token_file: Path | None = Field(None, description="file with the bearer token of the Kubo RPC API")
    store_token_in_clear: bool = Field(
        False, description="allow sending the Kubo token over plain http to another host"
    )
    store_quota: Size = Field(ByteSize(20 << 30), description="maximum size of a block store that is a folder")
    peers: tuple[str, ...] = Field((), description="gateways of other nodes, to fetch specs and entries from")

    @property
    def store_location(self) -> str | None:
        """Where the block store is; None without `store` and `data_dir`."""
        if self.store is not None:
            return self.store
        return None if self.data_dir is None else str(self.data_dir / "blocks")


class HealthSettings(SettingsGroup):
    """The address of the health server, which nodes serve and `covey status` queries."""

    model_config = ConfigDict(title="Health server")

    health_listen: Listen | None = Field("127.0.0.1:9464", description="address that serves /health and /metrics")
