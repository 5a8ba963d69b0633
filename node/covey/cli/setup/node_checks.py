"""Checks of one node's settings: chain, signer, operator, records, block store, peers.

Each returns a message, or None for something that is not configured, and raises CliError or ClientError on failure.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from covey.chain.units import format_cvy
from covey.cli.errors import CliError
from covey.cli.setup.findings import CheckFailed
from covey.client.errors import ClientError

if TYPE_CHECKING:
    from covey.cli.settings import Settings
    from covey.client.network import Network

PEER_TIMEOUT_S = 5.0


def check_chain(network: Network) -> str:
    """The contracts are those of the deployment records."""
    from covey.chain.errors import ChainError

    try:
        network.deployment.verify(network.rpc)
        head = network.rpc.block()
    except ChainError as error:
        raise CheckFailed(str(error)) from None
    return f"chain {network.deployment.chain_id}, block {head.number}, contracts match the records"


def check_signer(settings: Settings) -> str | None:
    """The keystore is readable by its owner only and opens with the password, if one is given without a prompt.

    Or: the remote signer answers and has the account.
    """
    from covey.chain.errors import ChainError
    from covey.chain.signing.keystore import NoAddress, keystore_address
    from covey.cli.access import open_key, remote_signer

    if settings.remote_signer is not None:
        signer = remote_signer(settings)
        return f"{signer.address}, held by {signer}"
    path = settings.keystore
    if path is None:
        return None
    try:
        address = keystore_address(path)
    except NoAddress:
        address = ""
    except ChainError as error:
        raise CheckFailed(str(error)) from None
    if _readable_by_others(path):
        raise CheckFailed(f"{path} is readable by others: chmod 600 {path}")
    password_file = settings.password_file
    if password_file is None and not {"COVEY_PASSWORD", "CREDENTIALS_DIRECTORY"} & os.environ.keys():
        return f"{address or 'address not in the file'} (password not checked: none given)"
    address = open_key(path, password_file, "COVEY_PASSWORD").address
    if password_file is not None and _readable_by_others(password_file):
        return f"{address}, password correct (others can read {password_file}: chmod 600 {password_file})"
    return f"{address}, password correct"


def _readable_by_others(path: Path) -> bool:
    return os.name == "posix" and bool(path.stat().st_mode & 0o077)


def check_operator(settings: Settings, network: Network | None) -> str | None:
    """The operator has a pool with this signer, is eligible, and its signer has coin for gas."""
    has_key = settings.keystore is not None or settings.remote_signer is not None
    if network is None or (settings.operator is None and not has_key):
        return None
    from covey.cli.access import operator_address, signer_address

    operator = operator_address(network, settings)
    staking = network.contracts.staking
    pool = staking.pool_of(operator)
    if not pool.registered:
        raise CheckFailed(f"{operator} has no pool yet: open one with `covey stake`")
    signer = signer_address(settings) if has_key else pool.signer
    if pool.signer != signer:
        raise CheckFailed(f"the signer of {operator} is {pool.signer}, not this node's {signer}")
    if not staking.is_eligible(operator):
        bond, minimum = format_cvy(pool.self_bond), format_cvy(staking.min_self_bond())
        jailed = ", and it is jailed" if pool.jailed_until else ""
        raise CheckFailed(f"{operator} is not eligible: its self-bond is {bond} CVY of {minimum}{jailed}")
    coin = network.rpc.balance(signer)
    if not coin:
        raise CheckFailed(f"the signer {signer} has no native coin for gas: send it some")
    balance = network.contracts.token.balance_of(signer)
    return (
        f"{operator}, stake {format_cvy(pool.active_tokens)} CVY; "
        f"signer has {format_cvy(coin)} coin and {format_cvy(balance)} CVY"
    )


def check_records(path: Path | None) -> str | None:
    """The file parses; counts its records by stratum."""
    from covey.lora.data.records import count_strata
    from covey.lora.errors import DataError

    if path is None:
        return None
    try:
        counts = count_strata(path)
    except DataError as error:
        raise CheckFailed(str(error)) from None
    except OSError as error:
        raise CheckFailed(f"{path} cannot be read: {error.strerror}") from None
    strata = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
    return f"{sum(counts.values()):,} records: {strata}"


def check_base(name: str, data_dir: Path | None) -> str:
    """The base's files are complete and fit each other. Downloads nothing and reads no weights."""
    from covey.lora.bases.resolve import cached_folder, check_base
    from covey.lora.errors import LoraError

    try:
        folder = cached_folder(name, cache=None if data_dir is None else data_dir / "bases")
        if folder is None:
            return f"{name} is not on this machine yet; the node downloads it when a task needs it"
        config = check_base(folder)
    except (LoraError, OSError) as error:
        raise CheckFailed(str(error)) from None
    return f"{name}, {config['model_type']}, {config['vocab_size']:,} embeddings, {folder}"


def check_store(settings: Settings) -> str | None:
    """The block store opens, is locked by another process, or can be created."""
    from covey.cli.access import open_block_store
    from covey.ipfs import BlockStore, StoreBusy

    location = settings.store_location
    if location is None:
        return None
    if "://" not in location and not location.startswith("/ip") and not Path(location).exists():
        parent = next(path for path in [Path(location), *Path(location).resolve().parents] if path.exists())
        if not os.access(parent, os.W_OK):
            raise CheckFailed(f"{parent} is not writable: choose another store or data_dir")
        return f"{location} (created when the node first starts)"
    try:
        with open_block_store(settings) as store:
            pins = f"{location}, {len(store.pins())} pins"
            if isinstance(store, BlockStore):
                return f"embedded, {pins}, quota {settings.store_quota.human_readable()}"
            return f"Kubo, {pins}"
    except StoreBusy:
        return f"{location}, in use by another process"
    except (CliError, ClientError):
        raise
    except Exception as error:
        raise CheckFailed(f"{location}: {str(error).splitlines()[0]}") from None


def check_peers(settings: Settings) -> str | None:
    """At least one peer's gateway answers; the error of each other is printed on standard error."""
    from covey.ipfs import GatewaySource, IpfsError

    if not settings.peers:
        return None
    failed = []
    for url in settings.peers:
        try:
            GatewaySource(url).probe(PEER_TIMEOUT_S)
        except IpfsError as error:
            sys.stderr.write(f"covey: {url}: {error}\n")
            failed.append(url)
    if len(failed) == len(settings.peers):
        raise CheckFailed(f"none of {len(failed)} peers answers: {', '.join(failed)}")
    return f"{len(settings.peers) - len(failed)} of {len(settings.peers)} answer"
