"""Opens the network, keys and block store that a command's settings name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from covey.cli.errors import InputError
from covey.cli.settings import Settings

if TYPE_CHECKING:
    from covey.chain.signing.keystore import LocalSigner, Signer
    from covey.chain.signing.remote import RemoteSigner
    from covey.client.network import Network
    from covey.client.wallet import Wallet
    from covey.ipfs import Fetcher, Store
    from covey.protocol.spec import TaskSpec


def connect(settings: Settings) -> Network:
    """Connect to the network of the settings. Raises InputError or ClientError."""
    from covey.client.network import connect as open_network

    if settings.deployment is None:
        raise InputError("no deployment: give --deployment with a folder deployments/<chain id>, or COVEY_DEPLOYMENT")
    if not settings.rpc_urls:
        raise InputError("no chain: give --rpc-urls with a JSON-RPC endpoint, or COVEY_RPC_URLS")
    return open_network(
        settings.rpc_urls, settings.deployment, timeout_s=settings.rpc_timeout_seconds, quorum=settings.rpc_quorum
    )


def owner_wallet(network: Network, settings: Settings) -> Wallet:
    """The wallet of the owner or delegator; without an owner keystore, the signer's. Raises InputError."""
    if settings.owner_keystore is not None:
        key = open_key(settings.owner_keystore, settings.owner_password_file, "COVEY_OWNER_PASSWORD")
        return network.wallet(key, data_dir=settings.data_dir if _is_signer(settings, key.address) else None)
    return _wallet(network, settings, "--keystore (or --owner-keystore)")


def has_signer(settings: Settings) -> bool:
    """Whether the settings name a signer's key."""
    return settings.remote_signer is not None or settings.keystore is not None


def _is_signer(settings: Settings, address: str) -> bool:
    """Whether the node of these settings signs with this address, so that both must share one queue."""
    return has_signer(settings) and signer_address(settings) == address


def signer_wallet(network: Network, settings: Settings) -> Wallet:
    """The signer's wallet; beside a node, it shares the node's transaction queue. Raises InputError."""
    return _wallet(network, settings, "--keystore or --remote-signer")


def _wallet(network: Network, settings: Settings, options: str) -> Wallet:
    return network.wallet(open_signer(settings, options), data_dir=settings.data_dir)


def open_signer(settings: Settings, options: str) -> Signer:
    """The signer's key. `options` are those to name if there is none. Raises InputError or ClientError."""
    if settings.remote_signer is not None:
        return remote_signer(settings)
    if settings.keystore is not None:
        return open_key(settings.keystore, settings.password_file, "COVEY_PASSWORD")
    raise InputError(f"no key to sign with: give {options}, its variable COVEY_KEYSTORE, or run `covey init`")


def signer_address(settings: Settings) -> str:
    """Address of the signer, without its password if the keystore contains it. Raises InputError."""

    if settings.remote_signer is not None:
        return settings.signer_address or remote_signer(settings).address
    if settings.keystore is None:
        raise InputError("no signer: give --signer, or --keystore with the signer's key")
    return keystore_address_of(settings.keystore, settings.password_file)


def keystore_address_of(keystore: Path, password_file: Path | None, variable: str = "COVEY_PASSWORD") -> str:
    """The address of a keystore; one without an address in it is opened to learn it. Raises InputError."""
    from covey.chain.errors import ChainError
    from covey.chain.signing.keystore import NoAddress, keystore_address

    try:
        return keystore_address(keystore)
    except NoAddress:
        return open_key(keystore, password_file, variable).address
    except ChainError as error:
        raise InputError(str(error)) from None


def owner_address(settings: Settings) -> str:
    """Address of the owner's or delegator's key, without its password; else the signer's. Raises InputError."""
    from covey.client.keys import read_keystore_address

    if settings.owner_keystore is not None:
        return read_keystore_address(settings.owner_keystore)
    return signer_address(settings)


def signer_consent(network: Network, settings: Settings, signer: str, operator: str) -> bytes:
    """A signer's consent to act for `operator`: the one given, or a new signature by the configured key of `signer`.

    Raises InputError or ClientError.
    """
    from covey.client.staking import check_consent

    if settings.stake.consent is not None:
        consent = bytes.fromhex(settings.stake.consent[2:])
        check_consent(network, operator, signer, consent)
        return consent
    if not has_signer(settings) or signer_address(settings) != signer:
        raise InputError(
            f"no consent of the signer {signer}: run `covey keys consent {operator}` with its key, and give --consent"
        )
    return new_consent(network, settings, operator)


def new_consent(network: Network, settings: Settings, operator: str) -> bytes:
    """Sign the consent to act for `operator` with the signer's configured key. Raises InputError or ClientError."""
    from covey.chain.errors import ChainError
    from covey.chain.signing.consent import sign_consent

    key = open_signer(settings, "--keystore or --remote-signer")
    try:
        return sign_consent(key, network.contracts.staking.consent_of(operator))
    except ChainError as error:
        raise InputError(str(error)) from None


def operator_address(network: Network, settings: Settings) -> str:
    """The operator to act for: --operator, or the one that registered this signer. Raises InputError or ClientError."""
    return settings.operator if settings.operator is not None else network.operator_of(signer_address(settings))


def remote_signer(settings: Settings) -> RemoteSigner:
    """The remote signer of the settings. Raises InputError or ClientError."""
    from covey.client.keys import open_remote_signer

    if settings.remote_signer is None:
        raise InputError("no remote signer: give --remote-signer")
    if settings.keystore is not None:
        raise InputError("keystore and remote_signer exclude each other: set only one")
    return open_remote_signer(settings.remote_signer, settings.signer_address)


def open_key(keystore: Path, password_file: Path | None, variable: str) -> LocalSigner:
    """A keystore's key; the password from its file, the variable, or a prompt. Raises InputError."""
    from covey.client.keys import open_keystore

    if not keystore.is_file():
        raise InputError(f"{keystore}: no such keystore; create one with `covey keys new`")
    return open_keystore(keystore, read_password(password_file, variable, f"Password of {keystore}"))


def read_password(file: Path | None, variable: str, prompt: str) -> str:
    """Read a password from the first source that has it: file, systemd credential, variable, prompt.

    Raises InputError if there is none and standard input is no terminal.
    """
    from covey.config.credentials import CREDENTIAL, password_of
    from covey.config.errors import ConfigError

    owner = variable == "COVEY_OWNER_PASSWORD"
    try:
        return password_of(
            file,
            prompt + ": ",
            variable=variable,
            credential=f"owner-{CREDENTIAL}" if owner else CREDENTIAL,
            setting="owner_password_file" if owner else "password_file",
        )
    except ConfigError as error:
        raise InputError(str(error)) from None


def open_block_store(settings: Settings) -> Store:
    """Open the block store that --store or --data-dir names. Raises InputError."""
    from covey.config.credentials import token_of
    from covey.config.errors import ConfigError
    from covey.ipfs import IpfsError, open_store

    location = settings.store_location
    if location is None:
        raise InputError("no block store for the spec: give --store (a folder or a Kubo RPC address) or --data-dir")
    try:
        token = token_of("store_token_file", settings.store_token_file)
        return open_store(location, token=token, token_in_clear=settings.store_token_in_clear)
    except ConfigError as error:
        raise InputError(str(error)) from None
    except (IpfsError, OSError) as error:
        raise InputError(f"--store {location}: {error}") from None


@contextmanager
def content_reader(settings: Settings) -> Iterator[Fetcher | None]:
    """A reader of published content from the block store, if one is set, and from the peers; None without either.

    Without a store, what the peers send is kept in a temporary folder. Raises InputError or ClientError.
    """
    from covey.client.content import open_reader
    from covey.ipfs import BlockStore

    with ExitStack() as stack:
        if settings.store is not None or settings.data_dir is not None:
            store = stack.enter_context(open_block_store(settings))
        elif settings.peers:
            folder = stack.enter_context(TemporaryDirectory(prefix="covey-blocks-"))
            store = stack.enter_context(BlockStore(Path(folder)))
        else:
            yield None
            return
        yield stack.enter_context(open_reader(store, settings.peers))


def fetch_spec(settings: Settings, digest: bytes) -> TaskSpec | None:
    """Fetch a task's spec from the block store or the peers; None if no source has it."""
    from covey.client.posting import read_published_spec

    with content_reader(settings) as reader:
        return None if reader is None else read_published_spec(reader, digest)
