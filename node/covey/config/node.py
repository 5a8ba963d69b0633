"""What an operator tells its node: NodeConfig, read from flags, the environment and a TOML file (see layered.py)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from eth_utils.address import to_checksum_address
from pydantic import AfterValidator, BaseModel, BeforeValidator, ByteSize, ConfigDict, Field, model_validator

from covey.chain.tx.fees import GWEI
from covey.chain.units import CVY, to_wei
from covey.config import layers as layered
from covey.config.layers import ConfigError

__all__ = ["CVY", "ConfigError", "NodeConfig", "Policy", "Role", "Size", "parse_amount", "parse_gas_price"]


class Role(StrEnum):
    TRAINER = "trainer"
    VALIDATOR = "validator"


def parse_amount(value: object) -> int:
    """An amount of CVY in wei: a bare integer is wei, text carries its unit ("250 CVY", "1000 wei")."""
    if isinstance(value, int) and not isinstance(value, bool):
        amount = value
    elif isinstance(value, str) and (match := re.fullmatch(r"\s*(\d+)\s*(?:wei)?\s*", value)):
        amount = int(match[1])
    elif isinstance(value, str) and (match := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*CVY\s*", value)):
        try:
            amount = to_wei(match[1])
        except ValueError:
            raise ValueError(f"{value!r} is finer than one wei, or too large") from None
    else:
        raise ValueError(f"{value!r} is not an amount; write '250 CVY', or a whole number for wei")
    if not 0 <= amount < 2**128:
        raise ValueError(f"{value!r} is not an amount between 0 and 2^128 − 1 wei")
    return amount


def parse_gas_price(value: object) -> int:
    """Wei a unit of gas: a bare integer is wei, text may carry a unit ("300 gwei", "7 wei")."""
    if isinstance(value, int) and not isinstance(value, bool):
        price = value
    elif isinstance(value, str) and (match := re.fullmatch(r"\s*(\d+)\s*(?:wei)?\s*", value)):
        price = int(match[1])
    elif isinstance(value, str) and (match := re.fullmatch(r"\s*(\d+(?:\.\d{1,9})?)\s*gwei\s*", value)):
        price = to_wei(match[1]) // GWEI
    else:
        raise ValueError(f"{value!r} is not a price of gas; write '300 gwei', or a whole number for wei")
    if not 0 < price < 2**63:
        raise ValueError(f"{value!r} is not a price of gas between 1 and 2^63 − 1 wei")
    return price


def _address(value: str) -> str:
    if not re.fullmatch(r"0x[0-9a-fA-F]{40}", value):
        raise ValueError(f"{value!r} is not an address (0x and 40 hexadecimal digits)")
    return to_checksum_address(value)


def _listen(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{value!r} is not host:port")
    return value


def _executor(value: str) -> str:
    if value != "subprocess" and not value.startswith("unix:/"):
        raise ValueError(f"{value!r} is neither 'subprocess' nor 'unix:/path/of/a/fork-server-socket'")
    return value


def _remote_signer(value: str) -> str:
    from covey.chain.signing.remote import split_location

    split_location(value)
    return value


def _pinning_service(value: str) -> str:
    from covey.ipfs.errors import IpfsError
    from covey.ipfs.pinning import PinningService

    try:
        PinningService(value, "").close()
    except IpfsError as error:
        raise ValueError(str(error)) from None
    return value


Amount = Annotated[int, BeforeValidator(parse_amount)]
Size = Annotated[ByteSize, Field(ge=16 << 20)]
"""Bytes: a bare integer, or text with its unit ("20GiB", "500 MB"); at least 16 MiB, room for one small entry."""
GasPrice = Annotated[int, BeforeValidator(parse_gas_price)]
RemoteSignerAddress = Annotated[str, AfterValidator(_remote_signer)]
Address = Annotated[str, AfterValidator(_address)]
Listen = Annotated[str, AfterValidator(_listen)]


class Policy(BaseModel):
    """Which work the operator wants. Empty lists mean "any"."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    domains: tuple[str, ...] = Field((), description="data domains to work on, as task specs name them")
    bases: tuple[str, ...] = Field((), description="base models to work on, by name")
    max_fee: Amount = Field(100 * CVY, description="the most to pay for one entry")
    earmark: Amount | None = Field(None, description="stake to put behind a task; not set: earmark_share_bps")
    earmark_share_bps: int = Field(2500, ge=1, le=10_000, description="share of the free stake behind a task, 1/10000")
    min_score_window: int = Field(30, ge=0, description="shortest score window to validate in, seconds")
    max_entries: int = Field(256, ge=1, description="most entries a task to validate may allow")
    auto_claim: bool = Field(True, description="claim rewards and withdraw credits without being asked")
    withdraw_min: Amount = Field(CVY, description="withdraw credits (tips, fees back) from this amount on")


class NodeConfig(BaseModel):
    """One node. Paths may be relative to the settings file they stand in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    roles: tuple[Role, ...] = Field(min_length=1, description="trainer, validator or both")
    operator: Address | None = Field(None, description="operator to act for; not set: the signer's")
    keystore: Path | None = Field(None, description="encrypted key of the signer")
    password_file: Path | None = Field(None, description="file with the keystore's password")
    remote_signer: RemoteSignerAddress | None = Field(
        None, description="signer instead of a keystore: web3signer:URL, clef:URL or clef:/path/of/clef.ipc"
    )
    signer_address: Address | None = Field(None, description="the remote signer's account; not set: its only one")
    secrets_key_file: Path | None = Field(
        None, description="file with the key of the second copy of salts; not set: made from the keystore's key"
    )
    max_gas_price: GasPrice = Field(300 * GWEI, description="most to offer for a unit of gas, as in 300 gwei")
    max_priority_fee: GasPrice = Field(50 * GWEI, description="most to offer of it to the block's builder")
    bump_blocks: int = Field(3, ge=1, description="blocks that a transaction waits before more is offered for it")
    rpc_urls: tuple[str, ...] = Field(min_length=1, description="JSON-RPC endpoints, best first")
    rpc_timeout: float = Field(
        10.0, gt=0, le=600, description="longest wait for one answer, over all endpoints, seconds"
    )
    rpc_quorum: int = Field(2, ge=1, description="endpoints that must agree on what costs money, if there are so many")
    rpc_health_interval_seconds: float = Field(
        15.0, ge=1, le=3600, description="pause between two looks at every endpoint"
    )
    deployment: Path = Field(description="folder deployments/<chain id>")
    data_dir: Path = Field(description="journal, secrets, entries and work files")
    training_records: Path | None = Field(None, description="records to train on, JSON lines")
    heldout_records: Path | None = Field(None, description="records to score on, JSON lines")
    bases: tuple[str, ...] = Field(("tiny",), description="base models here: tiny, a folder, or a hub name")
    store: str | None = Field(None, description="block store: a folder, or the address of Kubo's RPC")
    store_token_file: Path | None = Field(None, description="file with the bearer token of Kubo's RPC")
    store_token_in_clear: bool = Field(False, description="send that token over plain http to another machine too")
    store_quota: Size = Field(ByteSize(20 << 30), description="most bytes in a store that is a folder, as in 20GiB")
    cache_quota: Size = Field(ByteSize(8 << 30), description="most bytes of what is fetched beside a Kubo store")
    disk_quota: Size = Field(
        ByteSize(50 << 30), description="most bytes of old entries, work files and downloaded bases"
    )
    min_free: Annotated[ByteSize, Field(ge=0)] = Field(
        ByteSize(64 << 20), description="free bytes on its disks below which /health is red and no job starts"
    )
    keep_days: float = Field(30.0, ge=0, le=36500, description="days to keep own results after their task has ended")
    check_seconds: float = Field(3600.0, ge=1, description="pause between two checks of what must be kept")
    check_gateways: tuple[str, ...] = Field((), description="gateways that must deliver what this node keeps")
    pinning_service: Annotated[str, AfterValidator(_pinning_service)] | None = Field(
        None, description="pinning service to keep own results too: the URL above /pins"
    )
    pinning_token_file: Path | None = Field(None, description="file with the pinning service's access token")
    gateway_listen: Listen | None = Field("127.0.0.1:8180", description="where to serve pinned blocks to peers")
    peers: tuple[str, ...] = Field((), description="gateways of other nodes, to fetch specs and entries from")
    confirmations: int | None = Field(None, ge=0, description="blocks to wait; not set: the chain's finalised block")
    poll_seconds: float = Field(2.0, gt=0, le=600, description="pause between two looks at the chain")
    stagger_seconds: float = Field(12.0, ge=0, le=3600, description="spread of nodes over an open step")
    executor: Annotated[str, AfterValidator(_executor)] = Field(
        "subprocess", description="subprocess or unix:/fork-server-socket"
    )
    threads: int = Field(2, ge=1, description="threads a worker may use")
    worker_memory_mb: int = Field(8192, ge=256, description="resident memory at which a worker is ended")
    worker_seconds: int = Field(6 * 3600, ge=1, description="run time at which a worker is ended")
    worker_heartbeat_timeout_seconds: int = Field(
        1800, ge=1, description="time without a word after which a worker is ended"
    )
    worker_attempts: int = Field(3, ge=1, description="times a job is tried before it is given up")
    fetch_seconds: float = Field(20.0, gt=0, description="longest wait for one answer of a peer")
    health_listen: Listen | None = Field("127.0.0.1:9464", description="where /health and /metrics answer")
    stale_seconds: float = Field(180.0, gt=0, description="without a new block for this long, /health is red")
    min_balance: int = Field(10**16, ge=0, description="native coin of the signer below which /health is red, wei")
    webhook_file: Path | None = Field(None, description="file with the address that notices are posted to")
    webhook_token_file: Path | None = Field(None, description="file with a bearer token for the webhook")
    webhook_debounce_seconds: float = Field(30.0, ge=0, description="how long health is red before a notice says so")
    log_json: bool = Field(False, description="one JSON object a log line")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="debug, info, warning or error")
    policy: Policy = Policy()

    @model_validator(mode="after")
    def _one_signer(self) -> Self:
        if (self.keystore is None) == (self.remote_signer is None):
            how = "not both" if self.keystore is not None else "one of them"
            raise ValueError(f"a node signs with a keystore or with a remote_signer: give {how}")
        if self.signer_address is not None and self.remote_signer is None:
            raise ValueError("signer_address is the account of a remote_signer: give that too, or leave it out")
        return self

    @model_validator(mode="after")
    def _records_for_roles(self) -> Self:
        if Role.TRAINER in self.roles and self.training_records is None:
            raise ValueError("a trainer needs training_records")
        if Role.VALIDATOR in self.roles and self.heldout_records is None:
            raise ValueError("a validator needs heldout_records")
        return self

    @model_validator(mode="after")
    def _tokens_where_they_belong(self) -> Self:
        if (self.pinning_service is None) != (self.pinning_token_file is None):
            raise ValueError("pinning_service and pinning_token_file go together: give both or neither")
        if self.webhook_token_file is not None and self.webhook_file is None:
            raise ValueError("webhook_token_file is for a webhook: give webhook_file too")
        if self.store_token_file is not None:
            from covey.ipfs.open import is_rpc  # not for every command: it brings an HTTP stack along

            if not is_rpc(self.store_location):
                raise ValueError(f"store_token_file is for a Kubo RPC; the store {self.store_location} is a folder")
        return self

    @property
    def store_location(self) -> str:
        return self.store if self.store is not None else str(self.data_dir / "blocks")

    @property
    def journal_path(self) -> Path:
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
        """Settings by precedence flag > environment > file. Raises ConfigError."""
        return layered.load(cls, flags=flags, environ=environ, file=file, other_tables=other_tables)
