"""Checks of one node's settings: key, operator, data, store, peers. Each returns a line, or None if not configured."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from covey.chain.units import format_cvy
from covey.cli.errors import CliError
from covey.client.errors import ClientError

if TYPE_CHECKING:
    from covey.cli.settings import Settings
    from covey.client.network import Network

PEER_TIMEOUT_S = 5.0


def check_key(settings: Settings) -> str | None:
    """The signer: its keystore readable, private, and open if its password is at hand; or the remote one there."""
    from covey.chain.errors import ChainError
    from covey.chain.signing.keystore import keystore_address
    from covey.cli.access import open_key, remote_signer

    if settings.remote_signer is not None:
        signer = remote_signer(settings)
        return f"{signer.address}, held by {signer}"
    path = settings.keystore
    if path is None:
        return None
    try:
        address = keystore_address(path)
    except ChainError as error:
        raise CliError(str(error)) from None
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise CliError(f"{path} can be read by others: chmod 600 {path}")
    given = settings.password_file
    if given is None and not {"COVEY_PASSWORD", "CREDENTIALS_DIRECTORY"} & os.environ.keys():
        return f"{address} (password not tried: none given)"
    open_key(path, given, "COVEY_PASSWORD")
    if given is not None and os.name == "posix" and given.stat().st_mode & 0o077:
        return f"{address}, password fits (others can read {given}: chmod 600 {given})"
    return f"{address}, password fits"


def check_operator(settings: Settings, network: Network | None) -> str | None:
    """The operator: registered, with this signer, eligible, with gas for the signer."""
    keyed = settings.keystore is not None or settings.remote_signer is not None
    if network is None or (settings.operator is None and not keyed):
        return None
    from covey.cli.access import operator_address, signer_address

    operator = operator_address(network, settings)
    pool = network.contracts.staking.pool_of(operator)
    if not pool.registered:
        raise CliError(f"{operator} has no pool yet: `covey stake` opens one")
    signer = signer_address(settings) if keyed else pool.signer
    if pool.signer != signer:
        raise CliError(f"{operator} names {pool.signer} as signer, not this node's {signer}")
    if not network.contracts.staking.is_eligible(operator):
        least = network.contracts.staking.min_self_bond()
        raise CliError(
            f"{operator} is not eligible: its self-bond is {format_cvy(pool.self_bond)} CVY of {format_cvy(least)}"
            + (", and it is jailed" if pool.jailed_until else "")
        )
    coin = network.rpc.balance(signer)
    if not coin:
        raise CliError(f"the signer {signer} has no coin for gas: send it some")
    held = network.contracts.token.balance_of(signer)
    signer_funds = f"{format_cvy(coin)} coin and {format_cvy(held)} CVY"
    return f"{operator}, stake {format_cvy(pool.active_tokens)} CVY; signer has {signer_funds}"


def check_data(path: Path | None) -> str | None:
    """A file of records, counted by stratum."""
    from covey.cli.setup.checks import records_told

    return None if path is None else records_told(path)


def check_store(settings: Settings) -> str | None:
    """The block store opens; one that a running node holds is fine."""
    from covey.cli.access import open_own_store
    from covey.ipfs import BlockStore, StoreBusy

    if settings.store is None and settings.data_dir is None:
        return None
    location = settings.store or str(Path(settings.data_dir or ".") / "blocks")
    if "://" not in location and not location.startswith("/ip") and not Path(location).exists():
        parent = next(one for one in [Path(location), *Path(location).resolve().parents] if one.exists())
        if not os.access(parent, os.W_OK):
            raise CliError(f"{parent} cannot be written: choose another store or data_dir")
        return f"{location} (made at the first start)"
    try:
        with open_own_store(settings) as store:
            pins = f"{location}, {len(store.pins())} pins"
            if isinstance(store, BlockStore):
                return f"embedded, {pins}, quota {settings.store_quota.human_readable()}"
            return f"Kubo, {pins}"
    except StoreBusy:
        return f"{location}, in use by a running node"
    except Exception as error:
        if isinstance(error, CliError | ClientError):
            raise
        raise CliError(f"{location}: {str(error).splitlines()[0]}") from None


def check_peers(settings: Settings) -> str | None:
    """How many peers' gateways answer."""
    from covey.ipfs import GatewaySource, IpfsError

    if not settings.peers:
        return None
    silent = []
    for url in settings.peers:
        try:
            GatewaySource(url).probe(PEER_TIMEOUT_S)
        except IpfsError as error:
            sys.stderr.write(f"covey: {url}: {error}\n")
            silent.append(url)
    if len(silent) == len(settings.peers):
        raise CliError(f"none of {len(silent)} peers answers: {', '.join(silent)}")
    return f"{len(settings.peers) - len(silent)} of {len(settings.peers)} answer"
