"""A local network of real components: anvil with the contracts, gateways, worker processes, daemons as processes.

What networks can share, so that a test starts in a second, is a `Shared`: see `tests.support.network_fixtures`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol

from tests.support.prepared_chain import PreparedChain, PreparedNetwork

from covey.chain.errors import TransientError
from covey.chain.events.decoder import Event, EventReader
from covey.daemon.state.folds import apply_event
from covey.daemon.state.world import ChainState, Task
from covey.devnet.anvil import free_port
from covey.devnet.local import Account, LocalNetwork
from covey.devnet.process_guard import ProcessGuard
from covey.ipfs import BlockStore, Gateway, NotFound, SourceError
from covey.lora.bases.resolve import TINY, resolve
from covey.protocol.spec import Adapter, Base, EvaluationSpec, ScoringSpec, Stratum, TaskSpec, TrainingHints
from covey.protocol.types import Evaluation, Kind, TaskParams, Windows

CVY = 10**18
WINDOWS = Windows(600, 300, 300, 0, 600, 300, 900, 0)
STRATA = ("weather", "kitchen")
ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "node"
_WORDS = {
    "weather": ("rain", "snow", "wind", "storm", "cloud", "frost", "hail", "fog"),
    "kitchen": ("bread", "soup", "salt", "onion", "butter", "flour", "pepper", "broth"),
}
RUN_DAEMON = (
    "import sys; from pathlib import Path; from covey.config.node import NodeConfig\n"
    "from covey.daemon.run import run\n"
    "sys.exit(run(NodeConfig.load(file=Path(sys.argv[1]), environ={})))"
)


def write_records(path: Path, count: int, offset: int, strata: tuple[str, ...] = STRATA) -> Path:
    """Write `count` records per stratum, in a fixed pattern of the stratum's words."""
    lines = []
    for stratum in strata:
        words = _WORDS[stratum]
        for number in range(offset, offset + count):
            chosen = [words[(number * step + step) % len(words)] for step in (1, 3, 5)]
            text = f"the report says {chosen[0]} and {chosen[1]} came before {chosen[2]}"
            lines.append(json.dumps({"text": text, "stratum": stratum}))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def tiny_spec() -> TaskSpec:
    """A task that trains in seconds on the embedded base."""
    base = resolve(TINY)
    return TaskSpec(
        base=Base(name=TINY, revision="local", digest=base.digest, family="qwen3", upcast="float32"),
        adapter=Adapter(target_modules=["q_proj", "v_proj"], max_rank=4, max_bytes=4 << 20),
        domain="weather and kitchen reports",
        strata=[Stratum(name=name, weight=5_000, min_records=8, min_tokens=16) for name in STRATA],
        evaluation=EvaluationSpec(source="local", sequence_length=24, min_records=16, max_records=16),
        scoring=ScoringSpec(h=60, tau=600, floor=100),
        training=TrainingHints(rank=2, alpha=4, steps=4, batch_records=4),
    )


def tiny_params(spec: TaskSpec, digest: bytes) -> TaskParams:
    return TaskParams(
        spec_digest=digest,
        sealed_commitment=bytes(32),
        kind=Kind.ARENA,
        evaluation=Evaluation.LOCAL,
        validator_bps=2_000,
        target_seats=9,
        floor_score=spec.scoring.floor,
        h=spec.scoring.h,
        tau=spec.scoring.tau,
        power=1,
        max_entries=8,
        min_entries=1,
        bounty=200 * CVY,
        bond=100 * CVY,
        entry_fee=5 * CVY,
        min_stake=1_000 * CVY,
        windows=WINDOWS,
    )


class Process(Protocol):
    """The part of `subprocess.Popen` that tests use of a daemon's process."""

    pid: int

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def kill(self) -> None: ...
    def send_signal(self, sig: int) -> None: ...


Launch = Callable[["Node"], Process]
"""Starts the daemon of a node."""


def child_environment() -> dict[str, str]:
    """Environment of a Python process that imports the package and `tests.support` from this checkout."""
    return {**os.environ, "PYTHONPATH": f"{SOURCE}{os.pathsep}{ROOT}", "PYTHONDONTWRITEBYTECODE": ""}


def spawn(node: Node) -> Process:
    """Start a daemon in a new interpreter, as an operator does."""
    with node.log.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", RUN_DAEMON, str(node.settings)], stderr=log, stdout=log, env=child_environment()
        )


@dataclass
class Node:
    """One operator's daemon and its settings."""

    name: str
    operator: str
    signer: str
    keystore: Path
    settings: Path
    log: Path
    health: str
    gateway: str
    hidden: bool = False
    """Whether its gateway is missing from the other nodes' peers. Set it before `Network.start`."""
    process: Process | None = None
    launch: Launch = spawn

    def start(self) -> None:
        self.process = self.launch(self)

    def kill(self) -> None:
        """Send SIGKILL and wait for the end."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def lose_journal(self) -> None:
        """Kill the daemon and delete its database; the file of secrets stays."""
        self.kill()
        journal = list((self.settings.parent / "data").glob("journal.sqlite*"))
        assert journal, "there is no journal to delete"
        for path in journal:
            path.unlink()

    def stop(self) -> int:
        """Send SIGTERM; returns the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)

    def report(self) -> dict[str, Any]:
        """The JSON of /health, whatever its status; empty while nothing listens, or if the node ends in mid-answer."""
        try:
            try:
                with urllib.request.urlopen(f"{self.health}/health", timeout=60) as answer:
                    return dict(json.load(answer))
            except urllib.error.HTTPError as error:
                return dict(json.load(error))
        except (OSError, HTTPException, ValueError):
            return {}


@dataclass
class Network:
    """The chain and all nodes of one test."""

    local: LocalNetwork
    creator_gateway: Gateway
    store: BlockStore
    executor: str
    nodes: list[Node] = field(default_factory=list)
    accounts_made: int = 0
    launch: Launch = spawn
    """Starts the daemons of nodes added from now on."""

    def add(self, role: str, **settings: Any) -> Node:
        """Add a registered, funded operator whose daemon is not started yet. A setting that is None is left out."""
        self.accounts_made += 1
        number, name = self.accounts_made, f"{role}-{self.accounts_made}"
        owner, signer = self._new_operator(name)
        folder = self.local.out / name
        records = write_records(folder / "records.jsonl", 12, 7 * number)
        gateway, health = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        fields: dict[str, Any] = {
            "roles": [role],
            "keystore": str(signer.keystore),
            "password_file": str(self.local.password_file),
            "rpc_urls": [self.local.anvil.url],
            "deployment": str(self.local.deployment_folder),
            "data_dir": "data",
            "training_records" if role == "trainer" else "heldout_records": str(records),
            "gateway_listen": gateway,
            "health_listen": health,
            "confirmations": 0,
            "poll_interval_seconds": 0.3,
            "stagger_seconds": 0.3,
            "executor": self.executor,
            "worker_threads": 1,
            # A few validators share all seats here, so each takes more than a node of a public network should.
            "policy.max_seat_share_bps": 10_000,
            "policy.max_fee": "100 CVY",
            **settings,
        }
        node = Node(
            name=name,
            operator=owner.address,
            signer=signer.address,
            keystore=signer.keystore,
            settings=folder / "covey.toml",
            log=folder / "log",
            health=f"http://{health}",
            gateway=f"http://{gateway}",
            launch=self.launch,
        )
        self.nodes.append(node)
        given = {key: value for key, value in fields.items() if value is not None}
        lines = [f"{key} = {json.dumps(value)}\n" for key, value in given.items()]  # `policy.earmark = …` is TOML too
        node.settings.write_text("".join(lines), encoding="utf-8")
        return node

    def _new_operator(self, name: str) -> tuple[Account, Account]:
        """The owner and the signer of a pool with 5,000 CVY."""
        if isinstance(self.local, PreparedNetwork) and self.local.operators:
            return self.local.operators.pop(0)
        owner, signer = self.local.account(f"{name}-owner"), self.local.account(name)
        self.local.fund({owner.address: 5_000 * CVY, signer.address: 200 * CVY})
        self.local.register(owner, signer, 5_000 * CVY)
        return owner, signer

    def start(self) -> None:
        """Start every node that was added since the last call, with all known gateways as its peers."""
        new_nodes = [node for node in self.nodes if node.process is None]
        peers = [self.creator_gateway.url, *(node.gateway for node in self.nodes if not node.hidden)]
        for node in new_nodes:
            with node.settings.open("a", encoding="utf-8") as file:
                file.write(f"peers = {json.dumps(peers)}\n")
            node.start()

    def post(self, spec: TaskSpec, **changes: Any) -> int:
        """Post a task; returns its id."""
        cid = self.store.add_directory({"spec.json": spec.canonical_bytes()})
        params = replace(tiny_params(spec, cid.word), **changes)
        self.accounts_made += 1
        creator = self.local.account(f"creator-{self.accounts_made}")
        contracts = self.local.chain.contracts
        self.local.fund({creator.address: params.bounty + params.bond})
        approve = contracts.token.approve(contracts.rewards.address, params.bounty + params.bond)
        self.local.send(creator.signer, [approve, contracts.registry.create_task(params)])
        return contracts.registry.task_count()

    def task(self, task_id: int) -> Task:
        """The task's state, projected from the chain's events."""
        state = ChainState()
        for event in self.events():
            apply_event(state, event)
        return state.tasks[task_id]

    def events(self) -> list[Event]:
        """All events of the contracts so far."""
        reader = EventReader.of(self.local.deployment)
        head = self.local.rpc.block_number()
        return reader.read_all(self.local.rpc.logs(reader.addresses, self.local.deployment.start_block, head))

    def wait(self, what: str, happened: Callable[[], bool], seconds: float = 600.0) -> None:
        """Wait until ``happened`` returns true. Fails with the end of every node's log; at once if a node has failed.

        An unreachable chain, store or source counts as "not yet".
        """
        end = time.monotonic() + seconds
        last_error: Exception | None = None
        while True:
            try:
                if happened():
                    return
                last_error = None
            except (TransientError, SourceError, NotFound) as error:
                last_error = error
            self.check_running()
            if time.monotonic() > end:
                reason = "" if last_error is None else f" ({last_error})"
                raise AssertionError(f"{what}: not within {seconds:g} s{reason}\n{self.logs()}")
            time.sleep(0.1)

    def wait_for_nodes(self, what: str, happened: Callable[[Node], bool]) -> None:
        """Wait until ``happened`` returns true for every node."""
        for node in self.nodes:
            self.wait(f"{node.name}: {what}", partial(happened, node))

    def check_running(self) -> None:
        """Fail if a node has ended with an error, other than by SIGKILL."""
        for node in self.nodes:
            code = None if node.process is None else node.process.poll()
            if code and code != -signal.SIGKILL:
                raise AssertionError(f"{node.name} has ended with {code}\n{self.logs()}")

    def logs(self) -> str:
        """The end of every node's log."""
        return "\n".join(f"--- {node.name}\n{node.log.read_text(encoding='utf-8')[-3000:]}" for node in self.nodes)

    def jump(self, timestamp: int) -> None:
        """Advance chain time to a timestamp."""
        self.local.anvil.jump_to(timestamp)


def accepts_connections(path: Path) -> bool:
    """Whether a process listens on a Unix socket; the file exists a moment before."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True


@contextmanager
def worker_server(folder: Path, enter: Sequence[str] = ()) -> Iterator[str]:
    """A fork server of workers; yields the `executor` setting. `enter` is put before its command."""
    path = folder / "workers.sock"
    argv = [sys.executable, "-m", "covey.lora.jobs.worker", "--listen", str(path), "--preload", TINY, "--threads", "1"]
    with (folder / "workers.log").open("wb") as log:
        process = subprocess.Popen(
            [*enter, *argv], stderr=log, stdout=log, env=child_environment(), start_new_session=True
        )
    guard = ProcessGuard(process)
    try:
        end = time.monotonic() + 240
        while not accepts_connections(path):
            if process.poll() is not None or time.monotonic() > end:
                raise AssertionError((folder / "workers.log").read_text(encoding="utf-8"))
            time.sleep(0.1)
        yield f"unix:{path}"
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        guard.release()


@dataclass(frozen=True)
class Shared:
    """Processes and files that networks have in common."""

    executor: str
    """The `executor` setting: a server of workers that has imported torch."""
    launch: Launch
    """Starts daemons by forking a process that has imported their code."""
    chain: PreparedChain
    """A chain's state with the contracts and some operators."""


@contextmanager
def nodes_on(local: LocalNetwork, folder: Path, executor: str, launch: Launch = spawn) -> Iterator[Network]:
    """Nodes on a running chain, and the creator's gateway. Daemons still running at the end are killed."""
    store = BlockStore(folder / "creator")
    with Gateway(store) as gateway:
        net = Network(local, gateway, store, executor, launch=launch)
        try:
            yield net
        finally:
            for node in net.nodes:
                if node.process is not None and node.process.poll() is None:
                    node.kill()


@contextmanager
def network(folder: Path, shared: Shared) -> Iterator[Network]:
    """A network in `folder` with a chain of its own, which ends with the block."""
    with (
        PreparedNetwork(folder / "net", shared.chain) as local,
        nodes_on(local, folder, shared.executor, shared.launch) as net,
    ):
        yield net
