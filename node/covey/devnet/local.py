"""A local network: anvil with the contracts, funded accounts and operators."""

from __future__ import annotations

import contextlib
import secrets
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from covey.audit.chain import Chain
from covey.audit.record import AuditError
from covey.audit.sources import CHECKOUT, canonical, from_checkout, input_hash, part_of
from covey.chain.deploy.deploy import DAY, DeployConfig, deploy
from covey.chain.deployment import Deployment
from covey.chain.errors import ChainError
from covey.chain.rpc.client import Rpc
from covey.chain.signing.consent import sign_consent
from covey.chain.signing.keystore import LocalSigner, create_keystore, load_keystore
from covey.chain.tx.oneshot import send_all
from covey.devnet.anvil import CHAIN_ID, Anvil
from covey.devnet.errors import BadInput, DevnetError

if TYPE_CHECKING:
    from covey.chain.contracts import Call

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
        self,
        out: Path,
        *,
        port: int | None = None,
        block_time: float = 1.0,
        long_windows: bool = False,
        state: Path | None = None,
    ) -> None:
        """With `state`, the chain is kept in this file: see `Anvil`. Keys that `out` has are used again."""
        self.out = out
        self.resumed = state is not None and state.is_file()
        self.anvil = Anvil(out / "logs" / "anvil.log", port=port, block_time=block_time, state=state)
        self.password_file = out / "keys" / "password"
        self._long_windows = long_windows
        self._password = _kept_password(self.password_file) or secrets.token_urlsafe(16)

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
        self.rpc = Rpc(self.anvil.url, CHAIN_ID)
        write_private(self.password_file, self._password + "\n")
        self.deployer = self._key("deployer")
        if self.resumed:
            self._resume()
        else:
            self._deploy()
        self.chain = Chain(self.rpc, self.deployment)

    def _deploy(self) -> None:
        config = DeployConfig.devnet()
        if self._long_windows:
            config = replace(config, staking=replace(config.staking, max_task_life=2 * DAY, unbonding_period=4 * DAY))
        self.anvil.set_balance(self.deployer.address, 10 * GAS_FUNDS)
        try:
            self.deployment: Deployment = deploy(self.rpc, self.deployer, config)
        except ChainError as error:
            raise DevnetError(f"the contracts could not be deployed: {error}") from None
        self.deployment_folder = self.deployment.save(self.out / "deployments", sources_of(self.deployment))

    def _resume(self) -> None:
        """Use the contracts of the loaded chain, whose clock may be ahead of this machine's."""
        self.deployment_folder = self.out / "deployments" / str(CHAIN_ID)
        ahead = self.anvil.time() - int(time.time())
        if ahead > 0:
            self.anvil.rpc("evm_increaseTime", hex(ahead))
        try:
            self.deployment = Deployment.load(self.deployment_folder)
            self.deployment.verify(self.rpc)
        except ChainError as error:
            raise DevnetError(f"the chain in {self.out} cannot be continued: {error}") from None

    def _key(self, name: str) -> LocalSigner:
        """The key in `name`'s keystore, which is created if it is missing."""
        path = self.out / "keys" / f"{name}.json"
        if not path.is_file():
            return create_keystore(path, self._password, iterations=KEYSTORE_COST)
        try:
            return load_keystore(path, self._password)
        except ChainError as error:
            raise DevnetError(f"{error}; delete {self.out / 'keys'} for new accounts") from None

    def account(self, name: str) -> Account:
        """A key and its keystore, funded with ether on a new chain; it holds no tokens yet."""
        signer = self._key(name)
        if not self.resumed:
            self.anvil.set_balance(signer.address, GAS_FUNDS)
        return Account(name, signer, self.out / "keys" / f"{name}.json")

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


def sources_of(deployment: Deployment) -> bytes | None:
    """The compiler input of the shipped contracts, from the checkout that this package lies in.

    None if the package is installed elsewhere, or if the checkout's contracts are not the shipped ones.
    """
    records = list(deployment.contracts.values())
    try:
        whole = from_checkout(CHECKOUT, records)
        if any(input_hash(part_of(whole, record)) != record.input_hash for record in records):
            return None
    except (AuditError, OSError):
        return None
    return canonical(whole)


def _kept_password(file: Path) -> str | None:
    """The password of the keys of an earlier run; None without any."""
    try:
        return file.read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def write_private(path: Path, text: str) -> None:
    """Write a file with mode 0600."""
    import os

    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def prepare_folder(out: Path, marker: str, *, keep: Sequence[str] = ()) -> Path:
    """Make `out` an empty folder for a run. Content is removed only if an earlier run of the same kind left it.

    Args:
        marker: name of the file that identifies folders of this kind of run.
        keep: names in the folder that stay.

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
        for path in out.iterdir():
            if path.name in keep:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
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
