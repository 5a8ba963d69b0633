"""From settings to the chain: a network, a wallet, views of tasks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from covey.audit.chain import Chain
from covey.chain.deployment import Deployment
from covey.chain.errors import ChainError
from covey.chain.rpc.client import Rpc
from covey.chain.units import format_time
from covey.cli.errors import CliError, InputError
from covey.cli.settings import Settings
from covey.client.wallet import NodeWallet, Wallet
from covey.protocol.types import Outcome, Schedule, TaskParams, TaskState
from covey.protocol.windows import Phase, phase

if TYPE_CHECKING:
    from covey.chain.signing.keystore import LocalSigner, Signer
    from covey.chain.signing.remote import RemoteSigner

NO_ADDRESS = "0x" + "00" * 20


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task as the contracts tell it now; `deadline` is the end of its phase, None where there is none."""

    id: int
    params: TaskParams
    schedule: Schedule
    state: TaskState
    phase: Phase
    deadline: int | None

    @property
    def running(self) -> bool:
        """True until the task has ended."""
        return self.state.outcome == Outcome.RUNNING

    @property
    def deadline_text(self) -> str:
        """The deadline in UTC, or a dash."""
        return format_time(self.deadline or 0)


class Network(Chain):
    """A deployment, with what commands ask of it."""

    def task(self, task_id: int) -> TaskView:
        """A task now. Raises InputError if there is none of that id."""
        registry = self.contracts.registry
        count = registry.task_count()
        if not 1 <= task_id <= count:
            raise InputError(f"there is no task {task_id} (tasks: {f'1 to {count}' if count else 'none yet'})")
        params, schedule, state = registry.params_of(task_id), registry.schedule_of(task_id), registry.state_of(task_id)
        round_ = self.contracts.scoring.round_of(task_id)
        contested = self.contracts.appeals.is_open(task_id)
        now = phase(params, schedule, state, round_, self.now(), contested)
        ends = {
            Phase.ENTRY_COMMIT: schedule.entry_commit_end,
            Phase.ENROL: schedule.enrol_end,
            Phase.ENTRY_REVEAL: schedule.entry_reveal_end,
            Phase.OPEN: schedule.open_end,
            Phase.SCORE_COMMIT: round_.score_commit_end,
            Phase.SCORE_REVEAL: round_.score_reveal_end,
        }
        return TaskView(task_id, params, schedule, state, now, ends.get(now))

    def unbondings(self, owner: str) -> dict[int, int]:
        """Unbonding entries of `owner` that were not withdrawn: id to the time they are over."""
        entries: dict[int, int] = {}
        for event in self.events():
            if event.contract == "Staking" and event.args.get("delegator") == owner:
                if event.name == "Undelegated":
                    entries[event.args["entryId"]] = event.args["until"]
                elif event.name == "Withdrawn":
                    entries.pop(event.args["entryId"], None)
        return entries

    def wallet(self, settings: Settings, who: str) -> Wallet:
        """The wallet of the `owner` (by default the signer's too) or the `signer`."""
        if who == "owner" and settings.owner_keystore is not None:
            return Wallet(
                self.rpc, open_key(settings.owner_keystore, settings.owner_password_file, "COVEY_OWNER_PASSWORD")
            )
        if settings.remote_signer is not None:
            return self._signers(remote_signer(settings), settings)
        if settings.keystore is None:
            wanted = "--keystore (or --owner-keystore)" if who == "owner" else "--keystore or --remote-signer"
            raise InputError(f"no key to sign with: give {wanted}, its variable COVEY_KEYSTORE, or run `covey init`")
        return self._signers(open_key(settings.keystore, settings.password_file, "COVEY_PASSWORD"), settings)

    def _signers(self, signer: Signer, settings: Settings) -> Wallet:
        """The signer's wallet; beside the node's journal, if there is one, so that they share a queue."""
        if settings.data_dir is not None and (settings.data_dir / "journal.sqlite").is_file():
            return NodeWallet(self.rpc, signer, settings)
        return Wallet(self.rpc, signer)

    @staticmethod
    def signer_address(settings: Settings) -> str:
        """Address of the signer, without its password."""
        from covey.chain.signing.keystore import keystore_address

        if settings.remote_signer is not None:
            return settings.signer_address or remote_signer(settings).address
        if settings.keystore is None:
            raise InputError("no signer: give --signer, or --keystore with the signer's key")
        try:
            return keystore_address(settings.keystore)
        except ChainError as error:
            raise InputError(str(error)) from None

    def operator(self, settings: Settings) -> str:
        """The operator to act for: --operator, or whoever named this key its signer."""
        if settings.operator is not None:
            return settings.operator
        signer = self.signer_address(settings)
        found = self.contracts.staking.operator_of(signer)
        if found == NO_ADDRESS:
            raise InputError(f"{signer} is nobody's signer: give --operator, or open a pool with `covey stake`")
        return found


def connect(settings: Settings) -> Network:
    """The network that the settings name. Raises InputError or CliError with one line."""
    if settings.deployment is None:
        raise InputError("no deployment: give --deployment with a folder deployments/<chain id>, or COVEY_DEPLOYMENT")
    if not settings.rpc_urls:
        raise InputError("no chain: give --rpc-urls with a JSON-RPC endpoint, or COVEY_RPC_URLS")
    try:
        deployment = Deployment.load(settings.deployment)
    except ChainError as error:
        raise InputError(str(error)) from None
    try:
        rpc = Rpc(settings.rpc_urls, deployment.chain_id)
        rpc.check()
    except ChainError as error:
        raise CliError(str(error)) from None
    return Network(rpc, deployment)


def remote_signer(settings: Settings) -> RemoteSigner:
    """The remote signer of the settings. Raises CliError."""
    from covey.chain.signing.remote import open_remote

    assert settings.remote_signer is not None
    if settings.keystore is not None:
        raise InputError("a node signs with a keystore or with a remote_signer: give not both")
    try:
        return open_remote(settings.remote_signer, settings.signer_address)
    except ChainError as error:
        raise CliError(str(error)) from None


def open_key(keystore: Path, password_file: Path | None, variable: str) -> LocalSigner:
    """A keystore's key; the password from its file, the variable, or a prompt. Raises InputError."""
    from covey.chain.signing.keystore import load_keystore

    if not keystore.is_file():
        raise InputError(f"{keystore}: no such keystore; make one with `covey init`")
    try:
        return load_keystore(keystore, read_password(password_file, variable, f"Password of {keystore}"))
    except ChainError as error:
        raise InputError(str(error)) from None


def read_password(file: Path | None, variable: str, prompt: str) -> str:
    """A password: file, else systemd credential, else variable, else prompt.

    Raises InputError where there is no terminal to ask at.
    """
    from covey.config.credentials import CREDENTIAL, password_of
    from covey.config.node import ConfigError

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
