"""Settings of a node: `NodeConfig`, read from flags, the environment and a TOML file (see `covey.config.layers`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import ByteSize, ConfigDict, Field, model_validator

from covey.chain.units import CVY
from covey.config import layers
from covey.config.amounts import MAX_FEE
from covey.config.shared import (
    FeeSettings,
    HealthSettings,
    ModelSettings,
    RoleSettings,
    RpcSettings,
    SettingsGroup,
    SignerSettings,
    StorageSettings,
    required,
)
from covey.config.types import (
    Amount,
    BasisPoints,
    Days,
    Executor,
    Listen,
    Mebibytes,
    PinningServiceUrl,
    Role,
    Roles,
    RpcUrl,
    Seconds,
    Size,
    Wei,
    WholeSeconds,
)


class Policy(SettingsGroup):
    """Which tasks the node works on, and at what stakes and fees. An empty list means "any". Table [policy]."""

    model_config = ConfigDict(title="Policy")

    domains: tuple[str, ...] = Field((), description="data domains to work on, as task specs name them")
    bases: tuple[str, ...] = Field((), description="base models to work on, by name")
    max_fee: Amount = Field(MAX_FEE, description="maximum fee for one entry")
    earmark: Amount | None = Field(None, description="stake to earmark for a task; default: earmark_share_bps")
    earmark_share_bps: BasisPoints = Field(
        2500, ge=1, le=10_000, description="share of the free stake to earmark for a task"
    )
    max_seat_share_bps: BasisPoints = Field(
        2500, ge=1, le=10_000, description="maximum share of a committee's expected seats to enrol for"
    )
    min_score_window_seconds: WholeSeconds = Field(30, ge=0, description="shortest score window to validate in")
    max_entries: int = Field(256, ge=1, description="maximum number of entries a task to validate may allow")
    auto_claim: bool = Field(True, description="claim rewards and withdraw credits automatically")
    min_withdrawal: Amount = Field(CVY, description="minimum amount of credits (tips, returned fees) to withdraw")


class JournalSettings(SettingsGroup):
    """Secrets that must survive a crash."""

    model_config = ConfigDict(title="Secrets")

    secrets_key_file: Path | None = Field(
        None,
        description="file with the key that encrypts the second copy of salts; default: derived from the keystore's",
    )


class NetworkSettings(SettingsGroup):
    """The node's gateway and its requests to peers."""

    model_config = ConfigDict(title="Peers")

    gateway_listen: Listen | None = Field("127.0.0.1:8180", description="address that serves pinned blocks to peers")
    fetch_timeout_seconds: Seconds = Field(20.0, gt=0, description="time limit for one response of a peer")


class DiskSettings(SettingsGroup):
    """Disk quotas."""

    model_config = ConfigDict(title="Disk")

    cache_quota: Size = Field(ByteSize(8 << 30), description="maximum size of the fetch cache beside a Kubo store")
    disk_quota: Size = Field(
        ByteSize(50 << 30), description="maximum size of old entries, work files and downloaded base models"
    )
    min_free_disk: Annotated[ByteSize, Field(ge=0)] = Field(
        ByteSize(64 << 20), description="free disk space below which /health is red and no job starts"
    )


class RetentionSettings(SettingsGroup):
    """How long the node keeps its results, and how it checks that they are available."""

    model_config = ConfigDict(title="Retention")

    retention_days: Days = Field(
        30.0, ge=0, le=36500, description="time to keep the node's results after a task has ended"
    )
    retention_check_interval_seconds: Seconds = Field(
        3600.0, ge=1, description="interval between checks of retained content"
    )
    retention_check_gateways: tuple[str, ...] = Field((), description="gateways that must serve the retained content")
    pinning_service: PinningServiceUrl | None = Field(
        None, description="pinning service that keeps the node's results too: the URL above /pins"
    )
    pinning_token_file: Path | None = Field(None, description="file with the pinning service's access token")


class CycleSettings(SettingsGroup):
    """Timing of the node's cycles."""

    model_config = ConfigDict(title="Main loop")

    poll_interval_seconds: Seconds = Field(2.0, gt=0, le=600, description="interval between two cycles")
    stagger_seconds: Seconds = Field(
        12.0,
        ge=0,
        le=3600,
        description="time after which others see a sent transaction, about one block: nodes spread their attempts at a "
        "permissionless step over this time multiplied by their number",
    )


class WorkerSettings(SettingsGroup):
    """Training and scoring processes."""

    model_config = ConfigDict(title="Workers")

    executor: Executor = Field(
        "subprocess", description="how workers are started: subprocess, or unix:/path/to/a/fork-server-socket"
    )
    worker_threads: int = Field(2, ge=1, description="threads per worker")
    worker_memory_mib: Mebibytes = Field(8192, ge=256, description="resident memory at which a worker is killed")
    worker_timeout_seconds: WholeSeconds = Field(6 * 3600, ge=1, description="run time after which a worker is killed")
    worker_heartbeat_timeout_seconds: WholeSeconds = Field(
        1800, ge=1, description="time without output after which a worker is killed"
    )
    max_job_attempts: int = Field(3, ge=1, description="maximum number of attempts at a job")


class MonitoringSettings(SettingsGroup):
    """Health limits, notifications and logs."""

    model_config = ConfigDict(title="Monitoring")

    max_head_age_seconds: Seconds = Field(
        180.0, gt=0, description="time without a new block after which /health is red"
    )
    min_balance: Wei = Field(10**16, ge=0, description="signer's balance of native coin below which /health is red")
    webhook_url_file: Path | None = Field(None, description="file with the webhook's URL, which receives notifications")
    webhook_token_file: Path | None = Field(None, description="file with the webhook's bearer token")
    webhook_debounce_seconds: Seconds = Field(
        30.0, ge=0, description="time that health must be red before a notification is sent"
    )
    log_json: bool = Field(False, description="write logs as JSON Lines")
    log_level: str = Field(
        "info", pattern="^(debug|info|warning|error)$", description="log level: debug, info, warning or error"
    )


class NodeConfig(
    RoleSettings,
    SignerSettings,
    JournalSettings,
    FeeSettings,
    RpcSettings,
    StorageSettings,
    DiskSettings,
    NetworkSettings,
    RetentionSettings,
    CycleSettings,
    ModelSettings,
    WorkerSettings,
    HealthSettings,
    MonitoringSettings,
):
    """Settings of one node. Relative paths in a file start at the file's folder."""

    roles: Roles = required(RoleSettings, "roles", min_length=1)
    rpc_urls: tuple[RpcUrl, ...] = required(RpcSettings, "rpc_urls", min_length=1)
    deployment: Path = required(RpcSettings, "deployment")
    data_dir: Path = required(StorageSettings, "data_dir")
    policy: Policy = Policy()

    @model_validator(mode="after")
    def _check_signer(self) -> Self:
        if self.keystore is not None and self.remote_signer is not None:
            raise ValueError("keystore and remote_signer exclude each other: set only one")
        if self.keystore is None and self.remote_signer is None:
            raise ValueError("no signer: set keystore or remote_signer")
        if self.signer_address is not None and self.remote_signer is None:
            raise ValueError("signer_address requires remote_signer")
        return self

    @model_validator(mode="after")
    def _check_records(self) -> Self:
        if Role.TRAINER in self.roles and self.training_records is None:
            raise ValueError("a trainer needs training_records")
        if Role.VALIDATOR in self.roles and self.heldout_records is None:
            raise ValueError("a validator needs heldout_records")
        return self

    @model_validator(mode="after")
    def _check_tokens(self) -> Self:
        if (self.pinning_service is None) != (self.pinning_token_file is None):
            raise ValueError("pinning_service and pinning_token_file require each other: set both or neither")
        if self.webhook_token_file is not None and self.webhook_url_file is None:
            raise ValueError("webhook_token_file requires webhook_url_file")
        if self.store_token_file is not None:
            from covey.ipfs.open import is_rpc  # imported here because it loads an HTTP stack

            if not is_rpc(self.store_location):
                raise ValueError(
                    f"store_token_file requires a Kubo RPC API; the store {self.store_location} is a folder"
                )
        return self

    @property
    def store_location(self) -> str:
        """Where the block store is."""
        return self.store if self.store is not None else str(self.data_dir / "blocks")

    @property
    def journal_path(self) -> Path:
        """The journal's database."""
        return self.data_dir / "journal.sqlite"

    @classmethod
    def load(
        cls,
        *,
        flags: Mapping[str, object] | None = None,
        environ: Mapping[str, str] | None = None,
        file: Path | None = None,
        other_tables: frozenset[str] = frozenset(),
    ) -> NodeConfig:
        """Read the settings; flags override the environment, which overrides the file. Raises ConfigError."""
        return layers.load(cls, flags=flags, environ=environ, file=file, other_tables=other_tables)
