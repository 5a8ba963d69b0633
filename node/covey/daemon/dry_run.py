"""`covey run --dry-run`: what a node would do now, and why. Nothing is sent and nothing of the node's is written.

The very code of a running node looks at the chain a few times, over a throw-away copy of its data: transactions end in
the copy's queue, jobs at a list, published content in a store that is thrown away with the copy. No password is needed,
for there is no key: nothing could be signed even by mistake.
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

from covey.chain.contracts import Contracts
from covey.chain.deployment import Deployment
from covey.chain.errors import FatalError
from covey.chain.events.follower import Follower
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.finality import Finality
from covey.chain.rpc.responses import Block
from covey.chain.tx.sender import Sender, SenderStatus
from covey.chain.tx.store import SqliteTxStore, TxStatus
from covey.config.credentials import signer_address
from covey.config.node import NodeConfig
from covey.daemon.assemble import Parts, identify
from covey.daemon.context import Context
from covey.daemon.loop import Daemon
from covey.daemon.monitoring.health import HealthState
from covey.daemon.planning.plan import NO_DEADLINE
from covey.daemon.state.ledger import Ledger
from covey.daemon.state.projection import ChainLog, HeadProjection
from covey.daemon.storage.journal import DutyStatus, Journal
from covey.daemon.storage.scratch_copy import copy_data, running
from covey.daemon.storage.secrets import SecretFile
from covey.daemon.strategy import Strategy
from covey.daemon.workers.background import Background
from covey.daemon.workers.base_digests import BaseDigests, local_folder
from covey.daemon.workers.executor import Finished, Progress
from covey.ipfs import BlockStore, Fetcher, GatewaySource, Source
from covey.ipfs.keeper import Keeper
from covey.ipfs.open import is_rpc
from covey.lora.errors import BaseModelError

_PATIENCE_S = 60.0
_PAUSE_S = 0.2


@dataclass(frozen=True, slots=True)
class Action:
    """One duty and what the node would do about it. `seconds_left`: chain time to the deadline; None without one."""

    duty: str
    task: int
    would: str
    why: str
    seconds_left: int | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a node would do now. `notes` say what limits the answer."""

    operator: str
    signer: str
    head_block: int
    head_time: int
    actions: tuple[Action, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]


class _NoKey:
    """Knows whose transactions these would be, and signs none."""

    def __init__(self, address: str) -> None:
        self.address = address

    def sign_transaction(self, fields: dict[str, Any]) -> Any:
        raise FatalError("a dry run signs nothing")


class _Queue(Sender):
    """Takes requests as the real sender does, and leaves them where they are."""

    def tick(self, *, launch: bool = True) -> SenderStatus:
        self.status = SenderStatus(self.status.address)
        return self.status


class _NoWorkers:
    """An executor (see `covey.daemon.workers.executor`) that starts nothing, and remembers what it was asked to run."""

    def __init__(self) -> None:
        self.asked: dict[str, dict[str, Any]] = {}

    def submit(self, key: str, job: dict[str, Any], deadline: int) -> None:
        self.asked[key] = job

    def poll(self) -> list[Finished]:
        return []

    def active(self, key: str) -> bool:
        return key in self.asked

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


class _NoDownloads(BaseDigests):
    """Digests of what is here; a base of the hub that never was here stays there."""

    def digest(self, name: str) -> str:
        if local_folder(name) is None and self.known(name) is None:
            raise BaseModelError(f"{name} was not downloaded yet; a real run would, to see its digest")
        return super().digest(name)


def outlook(config: NodeConfig, strategy: Strategy | None = None) -> Outlook:
    """Look ahead. Raises ConfigError, Fatal, Recoverable or IpfsError where a real start would fail."""
    alive = running(config.data_dir)
    with tempfile.TemporaryDirectory(prefix="covey-dry-run-") as folder, ExitStack() as stack:
        scratch = Path(folder)
        copy_data(config.data_dir, scratch)
        parts, workers = _parts(config, scratch, strategy or Strategy(), stack)
        before = _ended(parts.context.journal)
        health_state, stop = HealthState(), threading.Event()
        head = _look(parts, Daemon(parts, health_state, stop))
        snapshot = health_state.snapshot
        decided = _decided(parts.context, before)
        over = {action.duty for action in decided}
        actions = [*_due(parts, [one for one in snapshot.due if one.key not in over], workers), *decided]
        me = parts.context.me
        return Outlook(
            operator=me.operator,
            signer=me.signer,
            head_block=head.number,
            head_time=head.timestamp,
            actions=tuple(sorted(actions, key=lambda one: (one.seconds_left is None, one.seconds_left or 0, one.duty))),
            problems=snapshot.problems,
            notes=tuple(_notes(config, alive)),
        )


def _parts(config: NodeConfig, scratch: Path, strategy: Strategy, stack: ExitStack) -> tuple[Parts, _NoWorkers]:
    signer = _NoKey(signer_address(config))
    deployment = Deployment.load(config.deployment)
    rpc = Rpc(list(config.rpc_urls), deployment.chain_id, config.rpc_timeout_seconds, quorum=config.rpc_quorum)
    stack.callback(rpc.close)
    rpc.check()
    deployment.verify(rpc)
    contracts = Contracts(rpc, deployment)
    me = identify(config, contracts, signer.address)
    journal = Journal(scratch / config.journal_path.name, SecretFile(scratch / "secrets", os.urandom(32)))
    stack.callback(journal.close)
    journal.bind({"chain": str(me.chain_id), "registry": contracts.registry.address, "operator": me.operator})
    journal.reconsider()
    store = BlockStore(scratch / "blocks")
    fetcher = Fetcher(store, _sources(config), timeout_s=config.fetch_timeout_seconds)
    stack.callback(fetcher.close)
    background = Background()
    stack.callback(background.close)
    workers = _NoWorkers()
    sender = _Queue(contracts.rpc, signer, SqliteTxStore(journal.db), finality=Finality(config.confirmations))
    plain = config.model_copy(update={"data_dir": scratch, "store": None, "stagger_seconds": 0.0})
    bases = _NoDownloads(scratch / "base-digests.json")
    keeper = Keeper(store, scratch / "retained.json")
    context = Context(
        plain, me, contracts, sender, journal, workers, store, fetcher, keeper, background, strategy, bases
    )
    ledger = Ledger(me.operator, (me.signer, *me.accounts))
    log = ChainLog(journal, me.operator, ledger)
    follower = Follower(rpc, deployment, log, Finality(config.confirmations))
    return Parts(context, log, ledger, follower, HeadProjection(rpc, deployment), stack), workers


def _sources(config: NodeConfig) -> list[Source]:
    """Where specs and entries are read from: the node's own store, and its peers."""
    sources: list[Source] = [GatewaySource(url) for url in config.peers]
    location = config.store_location
    if not is_rpc(location) and (Path(location) / "blocks").is_dir():
        sources.insert(0, BlockStore(location))
    return sources


def _look(parts: Parts, daemon: Daemon) -> Block:
    """Look until nothing in the background is at work and nothing moves any more."""
    end = time.monotonic() + _PATIENCE_S
    calm = 0
    while calm < 2 and time.monotonic() < end:
        moved = daemon.tick()
        calm = 0 if moved or parts.context.background.busy else calm + 1
        time.sleep(_PAUSE_S)
    return parts.context.contracts.rpc.block("latest")


def _due(parts: Parts, due: Sequence[Any], workers: _NoWorkers) -> list[Action]:
    """What would be done about duties that stay due: a transaction, a job, or nothing yet."""
    ctx = parts.context
    queued = {
        request.key: request.call.describe
        for request in SqliteTxStore(ctx.journal.db).open_requests(ctx.me.signer)
        if request.status == TxStatus.QUEUED
    }
    actions = []
    for one in due:
        calls = [told for key, told in queued.items() if key == one.key or key.startswith(f"{one.key}/")]
        if calls:
            would, why = f"send {', then '.join(calls)}", "its window is open and nothing speaks against it"
        elif one.key in workers.asked:
            would, why = f"start a {workers.asked[one.key]['kind']} job", "its result is not here yet"
        else:
            would, why = "wait", one.waits_for
        left = None if one.deadline >= NO_DEADLINE else one.deadline - ctx.now
        actions.append(Action(one.key, _task_of(one.key), would, why, left))
    return actions


def _decided(ctx: Context, before: dict[str, tuple[str, str]]) -> list[Action]:
    """What came to its end in the copy without a transaction: declined, given up, published."""
    words = {DutyStatus.DECLINED: "decline", DutyStatus.GIVEN_UP: "give up", DutyStatus.DONE: "publish"}
    return [
        Action(key, _task_of(key), words[DutyStatus(status)], note, None)
        for key, (status, note) in _ended(ctx.journal).items()
        if key not in before
    ]


def _ended(journal: Journal) -> dict[str, tuple[str, str]]:
    return {key: (status, note) for key, status, note in journal.db.execute("SELECT key, status, note FROM duties")}


def _task_of(key: str) -> int:
    number = key.split("/")[1]
    return int(number) if number.isdecimal() else 0


def _notes(config: NodeConfig, alive: bool) -> list[str]:
    notes = []
    if alive:
        notes.append("a daemon is at work on this data folder: what it does just now, `covey status` shows")
    if is_rpc(config.store_location):
        notes.append("what only this node's Kubo holds was not looked at")
    if not config.journal_path.is_file():
        notes.append("there is no journal yet: all events were read from the chain")
    return notes
