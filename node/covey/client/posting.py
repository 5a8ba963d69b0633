"""Posts a task: its spec into a block store, its parameters to the registry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from covey.audit.chain import Chain
from covey.audit.evidence import Reader
from covey.chain.contracts.bounds import RegistryConfig
from covey.chain.units import cvy
from covey.client.content import open_reader
from covey.client.errors import ClientError, InsufficientBalance, InvalidInput, TransactionFailed
from covey.client.task_windows import default_window, life_of
from covey.client.wallet import Wallet
from covey.config.amounts import ENTRY_FEE
from covey.ipfs import Cid, IpfsError, Store, directory_cid
from covey.lora.bases.digest import base_digest
from covey.lora.bases.resolve import cached_folder, check_base
from covey.lora.errors import LoraError
from covey.lora.jobs.feasible import base_problems, spec_problems
from covey.protocol.canonical import DocumentError
from covey.protocol.spec import TaskSpec
from covey.protocol.types import Evaluation, Kind, TaskParams, Windows

SPEC_NAME = "spec.json"
MAX_SPEC_BYTES = 1 << 20
_MAX_VALIDATOR_BPS = 9_999
_MAX_SCORES = 1 << 22  # entries times seats, so that a reveal fits a block


@dataclass(frozen=True, slots=True)
class PostedTask:
    """A posted task: its id, the CID of its spec, and the 0x-prefixed hash of the transaction that created it."""

    id: int
    spec_cid: str
    tx_hash: str


def read_spec(path: Path | str) -> TaskSpec:
    """Read a task spec from a JSON file.

    Raises:
        InvalidInput: the file cannot be read, is larger than 1 MiB, or is not a valid spec.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"cannot read the spec {path}: {error.strerror}") from None
    if len(data) > MAX_SPEC_BYTES:
        raise InvalidInput(f"{path} is larger than a spec may be ({MAX_SPEC_BYTES >> 20} MiB)")
    try:
        return TaskSpec.parse(data)
    except DocumentError as error:
        raise InvalidInput(f"{path}: {error}") from None


def task_params(
    chain: Chain,
    spec: TaskSpec,
    *,
    bounty: int,
    bond: int | None = None,
    entry_fee: int = ENTRY_FEE,
    validator_bps: int = 2000,
    target_seats: int = 31,
    power: int = 2,
    max_entries: int = 64,
    min_entries: int = 1,
    min_stake: int | None = None,
    entry_commit: int | None = None,
    enrol: int | None = None,
    entry_reveal: int | None = None,
    score_commit: int | None = None,
    score_reveal: int | None = None,
    settle: int | None = None,
) -> TaskParams:
    """Build the parameters of a task and check them against the registry's bounds.

    Amounts are wei of CVY, windows seconds of chain time. None takes the registry's minimum; a window that is None fits
    the network, see `task_windows.default_window`.

    Args:
        bounty: paid to trainers and validators.
        bond: the creator's bond.
        entry_fee: fee of the first entry.
        validator_bps: validators' share of the bounty, 1/10000.
        target_seats: seats of the committee, K.
        power: p in a trainer's weight (median - floor)^p, 1 to 3.
        max_entries: maximum number of entries.
        min_entries: minimum number of committed entries; with fewer the task is refunded.
        min_stake: minimum enrolled stake.
        entry_commit, enrol, entry_reveal, score_commit, score_reveal: lengths of the windows.
        settle: time for the seed and the settlement.

    Raises:
        InvalidInput: the registry would refuse a parameter; `parameter` names it. Or the spec cannot be
            met, or has sealed evaluation.
    """
    if spec.evaluation.source != "local":
        raise InvalidInput("only specs with local evaluation can be posted so far: set evaluation.source to local")
    _refuse(spec_problems(spec))
    bounds, longest = chain.contracts.bounds.config(), chain.contracts.bounds.max_task_life()

    def window(name: str) -> int:
        return default_window(name, bounds, longest)

    params = TaskParams(
        spec_digest=directory_cid({SPEC_NAME: spec.canonical_bytes()}).word,
        sealed_commitment=bytes(32),
        kind=Kind.ARENA,
        evaluation=Evaluation.LOCAL,
        validator_bps=validator_bps,
        target_seats=target_seats,
        floor_score=spec.scoring.floor,
        h=spec.scoring.h,
        tau=spec.scoring.tau,
        power=power,
        max_entries=max_entries,
        min_entries=min_entries,
        bounty=bounty,
        bond=bounds.min_bond if bond is None else bond,
        entry_fee=entry_fee,
        min_stake=_required_stake(bounty, bounds) if min_stake is None else min_stake,
        windows=Windows(
            entry_commit=entry_commit or window("entry_commit"),
            enrol=enrol or window("enrol"),
            entry_reveal=entry_reveal or window("entry_reveal"),
            open=0,
            score_commit=score_commit or window("score_commit"),
            score_reveal=score_reveal or window("score_reveal"),
            settle=settle or window("settle"),
            appeal=0,
        ),
    )
    _check_bounds(params, bounds)
    if (life := life_of(params)) > longest:
        raise InvalidInput(
            f"the windows are too long: with a second committee the task could take {life} s, "
            f"the network allows {longest} s"
        )
    return params


def check_spec(spec: TaskSpec, bases: Sequence[str], cache: Path | None = None) -> str:
    """Check that trainers and validators can do what a spec asks, with its base.

    Args:
        bases: bases on this machine, as the setting `bases` names them; the spec's own base is tried too.
        cache: folder of downloaded bases; None is the hub client's default.

    Returns:
        The folder of the base.

    Raises:
        InvalidInput: the spec cannot be met, or its base is not on this machine.
    """
    _refuse(spec_problems(spec))
    folder = _base_folder(spec, bases, cache)
    try:
        config = check_base(folder)
    except LoraError as error:
        raise InvalidInput(str(error)) from None
    _refuse(base_problems(spec, config))
    return str(folder)


def _refuse(problems: Iterator[str]) -> None:
    if found := list(problems):
        raise InvalidInput("the spec cannot be met: " + "; ".join(found))


def _base_folder(spec: TaskSpec, bases: Sequence[str], cache: Path | None) -> Path:
    """The folder of the base with the spec's digest."""
    others = []
    for name in dict.fromkeys([*bases, spec.base.name]):
        try:
            folder = cached_folder(name) or cached_folder(name, spec.base.revision, cache)
            digest = None if folder is None else base_digest(folder)
        except LoraError:
            continue
        if folder is not None and digest == spec.base.digest:
            return folder
        if digest is not None:
            others.append(f"{name} has {digest}")
    known = f" ({'; '.join(others)})" if others else ""
    raise InvalidInput(
        f"no base on this machine has the spec's base.digest {spec.base.digest}{known}: "
        "name its folder with --bases, so that the spec can be checked against it"
    )


def _required_stake(bounty: int, bounds: RegistryConfig) -> int:
    """The minimum enrolled stake that the registry asks for a bounty, wei."""
    return -(-bounty * bounds.stake_multiple_bps // 10_000)


def _check_bounds(params: TaskParams, bounds: RegistryConfig) -> None:
    """Raise InvalidInput for the first parameter that the registry would refuse."""
    windows, minimum = params.windows, bounds.min_windows
    for name, value, least in (
        ("entry_commit", windows.entry_commit, minimum.entry_commit),
        ("enrol", windows.enrol, minimum.enrol),
        ("entry_reveal", windows.entry_reveal, minimum.entry_reveal),
        ("score_commit", windows.score_commit, minimum.score_commit),
        ("score_reveal", windows.score_reveal, minimum.score_reveal),
        ("settle", windows.settle, minimum.settle),
    ):
        if value < least:
            raise InvalidInput(f"{value} s is below the registry's minimum of {least} s", parameter=name)
    for name, value, least in (
        ("bounty", params.bounty, bounds.min_bounty),
        ("bond", params.bond, bounds.min_bond),
        ("min_stake", params.min_stake, _required_stake(params.bounty, bounds)),
    ):
        if value < least:
            why = " for this bounty" if name == "min_stake" else ""
            raise InvalidInput(f"{cvy(value)} is below the registry's minimum of {cvy(least)}{why}", parameter=name)
    for name, value, least in (
        ("target_seats", params.target_seats, bounds.min_seats),
        ("validator_bps", params.validator_bps, bounds.min_validator_bps),
        ("min_entries", params.min_entries, 1),
    ):
        if value < least:
            raise InvalidInput(f"{value} is below the registry's minimum of {least}", parameter=name)
    for name, value, most in (
        ("max_entries", params.max_entries, bounds.max_entries),
        ("target_seats", params.target_seats, bounds.max_target_seats),
        ("validator_bps", params.validator_bps, _MAX_VALIDATOR_BPS),
    ):
        if value > most:
            raise InvalidInput(f"{value} is above the registry's maximum of {most}", parameter=name)
    if params.max_entries * params.target_seats > _MAX_SCORES:
        most = _MAX_SCORES // params.target_seats
        raise InvalidInput(f"{params.max_entries} is above the maximum of {most} for this K", parameter="max_entries")
    if params.min_entries > params.max_entries:
        raise InvalidInput(f"{params.min_entries} is above max_entries {params.max_entries}", parameter="min_entries")
    for name, value, most in (
        ("h", params.h, bounds.max_h),
        ("tau", params.tau, bounds.max_tau),
        ("floor", params.floor_score, bounds.max_floor),
    ):
        if value > most:
            raise InvalidInput(f"the spec's scoring.{name} of {value} is above the registry's maximum of {most}")


def post_task(chain: Chain, wallet: Wallet, store: Store, spec: TaskSpec, params: TaskParams) -> PostedTask:
    """Pin the spec in `store`, then create the task, paying its bounty and bond.

    Keep the store reachable: trainers and validators fetch the spec from it.

    Raises:
        InsufficientBalance: the wallet holds less than bounty and bond.
        TransactionFailed: the approval or the creation failed.
        ClientError: the store computed another CID than `params.spec_digest`, or could not keep the spec.
    """
    contracts = chain.contracts
    price = params.bounty + params.bond
    balance = contracts.token.balance_of(wallet.address)
    if balance < price:
        raise InsufficientBalance(f"{wallet.address} holds {cvy(balance)}, bounty and bond take {cvy(price)}")
    try:
        cid = store.add_directory({SPEC_NAME: spec.canonical_bytes()}, name="task spec")
    except IpfsError as error:
        raise ClientError(f"the store did not accept the spec: {error}") from None
    if cid.word != params.spec_digest:
        raise ClientError(f"the store gave the spec the CID {cid}, not the expected CIDv1: use another store")
    if contracts.token.allowance(wallet.address, contracts.rewards.address) < price:
        wallet.send(contracts.token.approve(contracts.rewards.address, price))
    call = contracts.registry.create_task(params)
    receipt = wallet.send(call)
    events = chain.events_from(receipt.block, receipt.block)
    for event in events:
        if event.tx_hash == receipt.tx_hash and event.name == "TaskCreated":
            return PostedTask(int(event.args["taskId"]), str(cid), receipt.tx_hash)
    raise TransactionFailed(f"{call.describe}: {receipt.tx_hash} created no task")


def fetch_spec(store: Store, digest: bytes, *, peers: Sequence[str] = ()) -> TaskSpec | None:
    """Fetch a task's spec from a store or from peers.

    Args:
        digest: the spec's 32-byte digest, `TaskParams.spec_digest`.
        peers: URLs of gateways to ask when the store does not have it.

    Returns:
        The spec, or None if no source has it within twenty seconds.
    """
    try:
        with open_reader(store, peers) as fetcher:
            return read_published_spec(fetcher, digest)
    except IpfsError:
        return None


def read_published_spec(reader: Reader, digest: bytes) -> TaskSpec | None:
    """Read a task's spec; None if no source of the reader has it in time, or it is no spec."""
    try:
        return TaskSpec.from_bytes(reader.read(Cid.directory(digest), SPEC_NAME, MAX_SPEC_BYTES))
    except (IpfsError, DocumentError):
        return None
