"""`covey run --dry-run`: shows what a node would do now, and why, without sending or writing anything.

The code of a live node runs a few cycles over a disposable copy of its data. Transactions stay in the copy's queue,
jobs are only recorded, and published content goes to a store that is deleted with the copy. No password is needed,
because there is no key: nothing can be signed even by mistake.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covey.chain.errors import FatalError
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.finality import Finality
from covey.chain.rpc.responses import Block
from covey.chain.tx.sender import Sender, SenderStatus
from covey.chain.tx.store import SqliteTxStore, TxStatus
from covey.config.credentials import signer_address
from covey.config.node import NodeConfig
from covey.daemon.assemble import ContentParts, Parts, assemble
from covey.daemon.loop import Daemon
from covey.daemon.monitoring.health import HealthState
from covey.daemon.monitoring.metrics import DueDuty
from covey.daemon.monitoring.notifications import Outbox
from covey.daemon.planning.duty import NO_DEADLINE, task_of_key
from covey.daemon.storage.data_dir import is_running
from covey.daemon.storage.journal import DutyStatus, Journal
from covey.daemon.storage.scratch_copy import copy_data
from covey.daemon.storage.secrets import SecretFile
from covey.daemon.strategy import Strategy
from covey.daemon.workers.base_digests import BaseDigests
from covey.daemon.workers.executor import Executor, Finished, Progress
from covey.ipfs import BlockStore, Fetcher, GatewaySource, Source
from covey.ipfs.keeper import Keeper
from covey.ipfs.open import is_rpc
from covey.lora.bases.resolve import local_folder
from covey.lora.errors import BaseModelError
from covey.lora.jobs.job import Job

_PATIENCE_S = 60.0
_PAUSE_S = 0.2


@dataclass(frozen=True, slots=True)
class Action:
    """What the node would do about one duty. `seconds_left`: chain time to the deadline; None without one."""

    duty: str
    task: int
    would: str
    why: str
    seconds_left: int | None


@dataclass(frozen=True, slots=True)
class DryRunReport:
    """What a node would do now. `notes` list the limits of the answer."""

    operator: str
    signer: str
    head_block: int
    head_time: int
    actions: tuple[Action, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]


class _NoKey:
    """A signer that has an address and signs nothing."""

    def __init__(self, address: str) -> None:
        self.address = address

    def sign_transaction(self, fields: dict[str, Any]) -> Any:
        raise FatalError("a dry run signs nothing")

    def sign_typed_data(self, document: dict[str, Any]) -> bytes:
        raise FatalError("a dry run signs nothing")


class _QueueOnlySender(Sender):
    """Accepts requests like the real sender, and leaves them in the queue."""

    def tick(self, *, launch: bool = True) -> SenderStatus:
        self.status = SenderStatus(self.status.address)
        return self.status


class _RecordingExecutor:
    """An executor (see `covey.daemon.workers.executor`) that records submitted jobs and runs none."""

    def __init__(self) -> None:
        self.submitted: dict[str, Job] = {}

    def submit(self, key: str, job: Job, deadline: int) -> None:
        self.submitted[key] = job

    def poll(self) -> list[Finished]:
        return []

    def active(self, key: str) -> bool:
        return key in self.submitted

    def keys(self) -> set[str]:
        return set()

    def queued(self) -> int:
        return 0

    def progress(self) -> dict[str, Progress]:
        return {}

    def cancel(self, key: str) -> None:
        return

    def close(self) -> None:
        return


class _LocalBaseDigests(BaseDigests):
    """Digests of local bases only: a hub base that was never downloaded is not downloaded now."""

    def digest(self, name: str) -> str:
        if local_folder(name) is None and self.known(name) is None:
            raise BaseModelError(f"{name} is not downloaded yet; a live node would download it to compute its digest")
        return super().digest(name)


class DryRunAdapters:
    """Adapters of a dry run over the copy in `scratch`. See `covey.daemon.assemble.Adapters`."""

    def __init__(self, config: NodeConfig, scratch: Path, strategy: Strategy) -> None:
        self._config = config
        self._scratch = scratch
        self.signer_address = signer_address(config)
        self.strategy = strategy
        self.health = HealthState()
        self.executor = _RecordingExecutor()

    def prepare(self, stack: ExitStack) -> None:
        return

    def monitor(self, rpc: Rpc) -> None:
        return

    def open_journal(self, stack: ExitStack) -> Journal:
        secrets = SecretFile(self._scratch / "secrets", os.urandom(32))
        journal = Journal(self._scratch / self._config.journal_path.name, secrets)
        stack.callback(journal.close)
        return journal

    def open_content(self, stack: ExitStack) -> ContentParts:
        store = BlockStore(self._scratch / "blocks")
        fetcher = Fetcher(store, _sources(self._config), timeout_s=self._config.fetch_timeout_seconds)
        stack.callback(fetcher.close)
        return ContentParts(store, fetcher, Keeper(store, self._scratch / "retained.json"))

    def open_executor(self, stack: ExitStack) -> Executor:
        return self.executor

    def open_outbox(self, stack: ExitStack) -> Outbox | None:
        return None

    def create_sender(self, rpc: Rpc, transactions: SqliteTxStore) -> Sender:
        finality = Finality(self._config.confirmations)
        return _QueueOnlySender(rpc, _NoKey(self.signer_address), transactions, finality=finality)

    def create_bases(self) -> BaseDigests:
        return _LocalBaseDigests(self._scratch / "base-digests.json")


def dry_run(config: NodeConfig, strategy: Strategy | None = None) -> DryRunReport:
    """Run the dry run.

    Raises:
        ConfigError, FatalError, TransientError, IpfsError: a live start would fail.
    """
    alive = is_running(config.data_dir)
    with tempfile.TemporaryDirectory(prefix="covey-dry-run-") as folder, ExitStack() as stack:
        scratch = Path(folder)
        copy_data(config.data_dir, scratch)
        adapters = DryRunAdapters(config, scratch, strategy or Strategy())
        scratch_config = config.model_copy(update={"data_dir": scratch, "store": None, "stagger_seconds": 0.0})
        parts = assemble(scratch_config, adapters)
        stack.callback(parts.close)
        journal = parts.context.journal
        before = {duty.key for duty in journal.all_ended_duties()}
        head = _run_cycles(parts, Daemon(parts, threading.Event()))
        snapshot = adapters.health.snapshot
        ended = _ended_actions(journal, before)
        ended_keys = {action.duty for action in ended}
        due = [duty for duty in snapshot.due if duty.key not in ended_keys]
        actions = [*_due_actions(parts, due, adapters.executor), *ended]
        return DryRunReport(
            operator=parts.context.identity.operator,
            signer=parts.context.identity.signer,
            head_block=head.number,
            head_time=head.timestamp,
            actions=tuple(sorted(actions, key=_urgency)),
            problems=snapshot.problems,
            notes=tuple(_notes(config, alive)),
        )


def _sources(config: NodeConfig) -> list[Source]:
    """Where specs and entries are read from: the node's own store, and its peers."""
    sources: list[Source] = [GatewaySource(url) for url in config.peers]
    location = config.store_location
    if not is_rpc(location) and (Path(location) / "blocks").is_dir():
        sources.insert(0, BlockStore(location))
    return sources


def _run_cycles(parts: Parts, daemon: Daemon) -> Block:
    """Run cycles until nothing changes and nothing runs in the background, for at most a minute. Returns the head."""
    end = time.monotonic() + _PATIENCE_S
    quiet = 0
    while quiet < 2 and time.monotonic() < end:
        changed = daemon.tick()
        quiet = 0 if changed or parts.context.background.busy else quiet + 1
        time.sleep(_PAUSE_S)
    return parts.context.contracts.rpc.block("latest")


def _due_actions(parts: Parts, due: Sequence[DueDuty], executor: _RecordingExecutor) -> list[Action]:
    """What the node would do about duties that stay due: send a transaction, start a job, or wait."""
    ctx = parts.context
    queued = {
        request.key: request.call.describe
        for request in SqliteTxStore(ctx.journal.db).open_requests(ctx.identity.signer)
        if request.status == TxStatus.QUEUED
    }
    actions = []
    for duty in due:
        calls = [call for key, call in queued.items() if key == duty.key or key.startswith(f"{duty.key}/")]
        if calls:
            would, why = f"send {', then '.join(calls)}", "its window is open and every check passed"
        elif duty.key in executor.submitted:
            would, why = f"start a {executor.submitted[duty.key].kind} job", "it has no result yet"
        else:
            would, why = "wait", duty.waits_for
        left = None if duty.deadline >= NO_DEADLINE else duty.deadline - ctx.now
        actions.append(Action(duty.key, task_of_key(duty.key), would, why, left))
    return actions


def _ended_actions(journal: Journal, before: set[str]) -> list[Action]:
    """Duties that ended in the copy without a transaction: declined, given up, published."""
    verbs = {DutyStatus.DECLINED: "decline", DutyStatus.GIVEN_UP: "give up", DutyStatus.DONE: "publish"}
    return [
        Action(duty.key, task_of_key(duty.key), verbs[duty.status], duty.note, None)
        for duty in journal.all_ended_duties()
        if duty.key not in before
    ]


def _urgency(action: Action) -> tuple[bool, int, str]:
    """Sort key: actions with a deadline first, the most urgent first."""
    return action.seconds_left is None, action.seconds_left or 0, action.duty


def _notes(config: NodeConfig, alive: bool) -> list[str]:
    notes = []
    if alive:
        notes.append("a daemon is running on this data folder: `covey status` shows what it does now")
    if is_rpc(config.store_location):
        notes.append("content that only this node's Kubo holds was not read")
    if not config.journal_path.is_file():
        notes.append("there is no journal yet: all events were read from the chain")
    return notes
