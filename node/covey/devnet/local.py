"""A local network: anvil with the contracts, funded accounts and operators."""

from __future__ import annotations

import contextlib
import secrets
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from covey.audit.chain import Chain
from covey.chain.deploy.deploy import DAY, DeployConfig, deploy
from covey.chain.errors import ChainError
from covey.chain.rpc.client import Rpc
from covey.chain.signing.consent import sign_consent
from covey.chain.signing.keystore import LocalSigner, create_keystore
from covey.chain.tx.oneshot import send_all
from covey.devnet.anvil import CHAIN_ID, Anvil
from covey.devnet.errors import BadInput, DevnetError

if TYPE_CHECKING:
    from covey.chain.contracts import Call
    from covey.chain.deployment import Deployment

GAS_FUNDS = 100 * 10**18
SUPPLY_SHARE = 100_000 * 10**18
KEYSTORE_COST = 1 << 10
"""scrypt's n for worthless keys: decryption takes milliseconds."""


@dataclass(frozen=True, slots=True)
class Account:
    """A funded account of a local network."""

    name: str
    signer: LocalSigner
    keystore: Path

    @property
    def address(self) -> str:
        """The account's address."""
        return self.signer.address


class LocalNetwork:
    """Anvil with the contracts deployed; a context manager. `out` receives logs, keys and deployment records."""

    def __init__(
        self, out: Path, *, port: int | None = None, block_time: float = 1.0, long_windows: bool = False
    ) -> None:
        self.out = out
        self.anvil = Anvil(out / "logs" / "anvil.log", port=port, block_time=block_time)
        self.password_file = out / "keys" / "password"
        self._long_windows = long_windows
        self._password = secrets.token_urlsafe(16)

    def __enter__(self) -> LocalNetwork:
        self.anvil.start()
        try:
            self._set_up()
        except BaseException:
            self.anvil.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.anvil.stop()

    def _set_up(self) -> None:
        self.deployer = LocalSigner.from_key(secrets.token_bytes(32))
        self.rpc = Rpc(self.anvil.url, CHAIN_ID)
        config = DeployConfig.devnet()
        if self._long_windows:
            config = replace(config, staking=replace(config.staking, max_task_life=2 * DAY, unbonding_period=4 * DAY))
        self.anvil.set_balance(self.deployer.address, 10 * GAS_FUNDS)
        try:
            self.deployment: Deployment = deploy(self.rpc, self.deployer, config)
        except ChainError as error:
            raise DevnetError(f"the contracts could not be deployed: {error}") from None
        self.deployment_folder = self.deployment.save(self.out / "deployments")
        self.chain = Chain(self.rpc, self.deployment)
        write_private(self.password_file, self._password + "\n")

    def account(self, name: str) -> Account:
        """Create a key and its keystore, and fund it with ether; it holds no tokens yet."""
        path = self.out / "keys" / f"{name}.json"
        signer = create_keystore(path, self._password, iterations=KEYSTORE_COST)
        self.anvil.set_balance(signer.address, GAS_FUNDS)
        return Account(name, signer, path)

    def send(self, signer: LocalSigner, calls: list[Call]) -> None:
        """Send calls in order and wait until all are mined. Raises DevnetError."""
        try:
            send_all(self.rpc, signer, calls)
        except ChainError as error:
            raise DevnetError(str(error)) from None

    def fund(self, amounts: dict[str, int]) -> None:
        """Transfer tokens from the deployer; `amounts` is wei by address."""
        self.send(self.deployer, [self.chain.contracts.token.transfer(to, amount) for to, amount in amounts.items()])

    def register(self, owner: Account, signer: Account, stake: int, commission_bps: int = 500) -> None:
        """Open the owner's pool with a self-bond of `stake` wei, which the owner must hold."""
        contracts = self.chain.contracts
        consent = sign_consent(signer.signer, contracts.staking.consent_of(owner.address))
        self.send(
            owner.signer,
            [
                contracts.staking.register_operator(signer.address, owner.address, commission_bps, consent),
                contracts.token.approve(contracts.staking.address, stake),
                contracts.staking.delegate(owner.address, stake),
            ],
        )


def write_private(path: Path, text: str) -> None:
    """Write a file with mode 0600."""
    import os

    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def prepare_folder(out: Path, marker: str) -> Path:
    """Make `out` an empty folder for a run. Content is removed only if an earlier run of the same kind left it.

    Args:
        marker: name of the file that identifies folders of this kind of run.

    Raises:
        BadInput: the folder holds something else, or cannot be written.
    """
    import shutil

    out = out.expanduser().absolute()
    stamp = out / marker
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out} is a file: choose another folder")
    if out.is_dir() and any(out.iterdir()):
        if not stamp.is_file():
            raise BadInput(f"{out} is not empty and not from an earlier run: choose another folder with --out")
        shutil.rmtree(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        stamp.write_text("Created by covey. A later run replaces this folder.\n", encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot write {out}: {error.strerror}") from None
    return out


@contextlib.contextmanager
def interrupt_on_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into KeyboardInterrupt, so that started processes are stopped in order."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_devnet(
    out: Path, port: int, block_time: float, accounts: int, on_ready: Callable[[dict[str, Any]], None]
) -> None:
    """Run a network with funded accounts until Ctrl-C.

    Args:
        block_time: seconds between blocks.
        accounts: number of funded accounts.
        on_ready: called once with rpc_url, chain_id, deployment, password_file and accounts (address, keystore).
    """
    folder = prepare_folder(out, ".covey-devnet")
    with interrupt_on_signals(), LocalNetwork(folder, port=port, block_time=block_time) as network:
        funded = [network.account(f"account-{index}") for index in range(1, accounts + 1)]
        network.fund({account.address: SUPPLY_SHARE for account in funded})
        on_ready(
            {
                "rpc_url": network.anvil.url,
                "chain_id": CHAIN_ID,
                "deployment": str(network.deployment_folder),
                "password_file": str(network.password_file),
                "accounts": [{"address": account.address, "keystore": str(account.keystore)} for account in funded],
            }
        )
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                network.anvil.wait(1.0)
