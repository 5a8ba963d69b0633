"""Posting a task: its spec into a block store, its parameters on chain."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from covey.chain.units import format_cvy
from covey.cli.errors import CliError, InputError
from covey.protocol.canonical import DocumentError
from covey.protocol.spec import TaskSpec
from covey.protocol.types import Evaluation, Kind, TaskParams, Windows

if TYPE_CHECKING:
    from covey.cli.settings import Settings, TaskSettings
    from covey.client.access import Network
    from covey.client.wallet import Wallet
    from covey.ipfs import Store

SPEC_NAME = "spec.json"
MAX_SPEC_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Posted:
    """A posted task."""

    task: int
    cid: str
    tx_hash: str


def read_spec(path: Path) -> TaskSpec:
    """A spec that a person wrote. Raises InputError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the spec {path}: {error.strerror}") from None
    if len(data) > MAX_SPEC_BYTES:
        raise InputError(f"{path} is larger than a spec may be ({MAX_SPEC_BYTES >> 20} MiB)")
    try:
        return TaskSpec.parse(data)
    except DocumentError as error:
        raise InputError(f"{path}: {error}") from None


def params_of(network: Network, chosen: TaskSettings, spec: TaskSpec) -> TaskParams:
    """The parameters that the settings and the spec give, with the registry's minimums for what is not set."""
    from covey.ipfs import directory_cid

    if spec.evaluation.source != "local":
        raise InputError("only specs with local evaluation can be posted so far: set evaluation.source to local")
    bounds = network.contracts.bounds.config()
    least = bounds.min_windows
    windows = Windows(
        entry_commit=chosen.entry_commit or least.entry_commit,
        enrol=chosen.enrol or least.enrol,
        entry_reveal=chosen.entry_reveal or least.entry_reveal,
        open=0,
        score_commit=chosen.score_commit or least.score_commit,
        score_reveal=chosen.score_reveal or least.score_reveal,
        settle=chosen.settle or least.settle,
        appeal=0,
    )
    needed = -(-chosen.bounty * bounds.stake_multiple_bps // 10_000)
    return TaskParams(
        spec_digest=directory_cid({SPEC_NAME: spec.canonical_bytes()}).word,
        sealed_commitment=bytes(32),
        kind=Kind.ARENA,
        evaluation=Evaluation.LOCAL,
        validator_bps=chosen.validator_bps,
        target_seats=chosen.target_seats,
        floor_score=spec.scoring.floor,
        h=spec.scoring.h,
        tau=spec.scoring.tau,
        power=chosen.power,
        max_entries=chosen.max_entries,
        bounty=chosen.bounty,
        bond=bounds.min_bond if chosen.bond is None else chosen.bond,
        entry_fee=chosen.entry_fee,
        min_stake=needed if chosen.min_stake is None else chosen.min_stake,
        windows=windows,
    )


def check_params(network: Network, params: TaskParams) -> None:
    """Refuse what the registry would refuse. Raises InputError that names the option."""
    bounds = network.contracts.bounds.config()
    for option, least in (
        ("entry_commit", bounds.min_windows.entry_commit),
        ("enrol", bounds.min_windows.enrol),
        ("entry_reveal", bounds.min_windows.entry_reveal),
        ("score_commit", bounds.min_windows.score_commit),
        ("score_reveal", bounds.min_windows.score_reveal),
        ("settle", bounds.min_windows.settle),
    ):
        if (given := getattr(params.windows, option)) < least:
            raise InputError(
                f"--{option.replace('_', '-')} {given} is shorter than the registry's minimum of {least} s"
            )
    needed = -(-params.bounty * bounds.stake_multiple_bps // 10_000)
    if params.bounty < bounds.min_bounty:
        raise InputError(
            f"--bounty {format_cvy(params.bounty)} CVY is below the minimum of {format_cvy(bounds.min_bounty)} CVY"
        )
    if params.bond < bounds.min_bond:
        raise InputError(
            f"--bond {format_cvy(params.bond)} CVY is below the minimum of {format_cvy(bounds.min_bond)} CVY"
        )
    if params.min_stake < needed:
        raise InputError(
            f"--min-stake {format_cvy(params.min_stake)} CVY is below {format_cvy(needed)} CVY, "
            "what the bounty asks for"
        )
    for option, value, most in (
        ("max-entries", params.max_entries, bounds.max_entries),
        ("target-seats", params.target_seats, bounds.max_target_seats),
    ):
        if value > most:
            raise InputError(f"--{option} {value} is above the registry's {most}")
    for field, value, most in (("h", params.h, bounds.max_h), ("tau", params.tau, bounds.max_tau)):
        if value > most:
            raise InputError(f"the spec's scoring.{field} of {value} is above the registry's {most}")


def open_own_store(settings: Settings) -> Store:
    """The store that --store or --data-dir names. Raises InputError."""
    from covey.config.credentials import token_of
    from covey.config.node import ConfigError
    from covey.ipfs import IpfsError, open_store

    location = settings.store or (str(settings.data_dir / "blocks") if settings.data_dir is not None else None)
    if location is None:
        raise InputError("no block store for the spec: give --store (a folder or a Kubo RPC address) or --data-dir")
    try:
        token = token_of("store_token_file", settings.store_token_file)
        return open_store(location, token=token, token_in_clear=settings.store_token_in_clear)
    except ConfigError as error:
        raise InputError(str(error)) from None
    except (IpfsError, OSError) as error:
        raise InputError(f"--store {location}: {error}") from None


def post(network: Network, wallet: Wallet, store: Store, spec: TaskSpec, params: TaskParams) -> Posted:
    """Keep the spec in `store`, then post the task. Raises InputError if the wallet cannot pay it."""
    contracts = network.contracts
    price = params.bounty + params.bond
    balance = contracts.token.balance_of(wallet.address)
    if balance < price:
        raise InputError(f"{wallet.address} holds {format_cvy(balance)} CVY, bounty and bond take {format_cvy(price)}")
    cid = store.add_directory({SPEC_NAME: spec.canonical_bytes()}, name="task spec")
    if cid.word != params.spec_digest:
        raise CliError(f"the store gave the spec another CID ({cid}) than expected: is it a store that follows CIDv1?")
    if contracts.token.allowance(wallet.address, contracts.rewards.address) < price:
        wallet.send(contracts.token.approve(contracts.rewards.address, price))
    receipt = wallet.send(contracts.registry.create_task(params))
    created = [event for event in network.events_from(receipt.block, receipt.block) if event.tx_hash == receipt.tx_hash]
    task = next((int(event.args["taskId"]) for event in created if event.name == "TaskCreated"), None)
    if task is None:
        raise CliError(f"{receipt.tx_hash} posted no task")
    return Posted(task, str(cid), receipt.tx_hash)


def fetch_spec(settings: Settings, digest: bytes) -> TaskSpec | None:
    """A task's spec from the own store or the peers; None where none of them has it."""
    from covey.ipfs import Cid, IpfsError, open_fetcher

    if settings.store is None and settings.data_dir is None and not settings.peers:
        return None
    try:
        with open_own_store(settings) as store, open_fetcher(store, settings.peers, deadline_s=20) as fetcher:
            return TaskSpec.from_bytes(fetcher.read(Cid.directory(digest), SPEC_NAME, MAX_SPEC_BYTES))
    except (IpfsError, DocumentError, InputError):
        return None
