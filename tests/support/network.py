"""A small network with real everything: anvil, the contracts, gateways, a fork server, daemons as processes."""

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
from pathlib import Path
from typing import Any, Protocol

from covey.chain.errors import TransientError
from covey.chain.events.decoder import Event, EventReader
from covey.daemon.state.world import ChainState, Task
from covey.devnet.anvil import free_port
from covey.devnet.local import LocalNetwork
from covey.ipfs import BlockStore, Gateway, NotFound, SourceError
from covey.lora.bases.resolve import TINY, resolve
from covey.protocol.spec import Adapter, Base, EvaluationSpec, ScoringSpec, Stratum, TaskSpec, TrainingHints
from covey.protocol.types import Evaluation, Kind, TaskParams, Windows

CVY = 10**18
WINDOWS = Windows(600, 300, 300, 0, 600, 300, 900, 0)
STRATA = ("weather", "kitchen")
SOURCE = Path(__file__).resolve().parents[2] / "node"
_WORDS = {
    "weather": ("rain", "snow", "wind", "storm", "cloud", "frost", "hail", "fog"),
    "kitchen": ("bread", "soup", "salt", "onion", "butter", "flour", "pepper", "broth"),
}
_RUN = (
    "import sys; from pathlib import Path; from covey.config.node import NodeConfig\n"
    "from covey.daemon.run import run\n"
    "sys.exit(run(NodeConfig.load(file=Path(sys.argv[1]), environ={})))"
)


def write_records(path: Path, count: int, offset: int, strata: tuple[str, ...] = STRATA) -> Path:
    """`count` records a stratum in a fixed pattern of its words."""
    lines = []
    for stratum in strata:
        words = _WORDS[stratum]
        for number in range(offset, offset + count):
            picked = [words[(number * step + step) % len(words)] for step in (1, 3, 5)]
            text = f"the report says {picked[0]} and {picked[1]} came before {picked[2]}"
            lines.append(json.dumps({"text": text, "stratum": stratum}))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def tiny_spec() -> TaskSpec:
    """A task that trains in seconds on the embedded base."""
    base = resolve(TINY)
    return TaskSpec(
        base=Base(name=TINY, revision="local", digest=base.digest, family="qwen3", upcast="none"),
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
        target_seats=8,
        floor_score=spec.scoring.floor,
        h=spec.scoring.h,
        tau=spec.scoring.tau,
        power=1,
        max_entries=8,
        bounty=1_000 * CVY,
        bond=100 * CVY,
        entry_fee=5 * CVY,
        min_stake=1_000 * CVY,
        windows=WINDOWS,
    )


class Process(Protocol):
    """What is asked of a daemon's process; `subprocess.Popen` has it."""

    pid: int

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def kill(self) -> None: ...
    def send_signal(self, sig: int) -> None: ...


Launch = Callable[["Node"], Process]


def spawn(node: Node) -> Process:
    """A daemon as an operator starts it: a new interpreter."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": ""}
    with node.log.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", _RUN, str(node.settings)], stderr=log, stdout=log, env=environment
        )


@dataclass
class Node:
    """One daemon as a process, with its settings."""

    name: str
    operator: str
    signer: str
    settings: Path
    log: Path
    health: str
    gateway: str
    hidden: bool = False
    """Whether nobody knows its gateway."""
    process: Process | None = None
    launch: Launch = spawn

    def start(self) -> None:
        self.process = self.launch(self)

    def kill(self) -> None:
        """As a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def lose_journal(self) -> None:
        """Kill it and take its database away; the file of secrets stays."""
        self.kill()
        lost = list((self.settings.parent / "data").glob("journal.sqlite*"))
        assert lost, "there was no journal to lose"
        for path in lost:
            path.unlink()

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)

    def report(self) -> dict[str, Any]:
        """What /health says, whatever its colour; empty while nobody answers."""
        try:
            with urllib.request.urlopen(f"{self.health}/health", timeout=5) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            return dict(json.load(error))
        except OSError:
            return {}


@dataclass
class Network:
    """The chain and all nodes of one test."""

    local: LocalNetwork
    creator_gateway: Gateway
    store: BlockStore
    executor: str
    nodes: list[Node] = field(default_factory=list)
    made: int = 0
    launch: Launch = spawn
    """How daemons are started."""

    def add(
        self, role: str, *, hidden: bool = False, heldout_strata: tuple[str, ...] = STRATA, **settings: Any
    ) -> Node:
        """A registered, funded operator with a daemon that is not started yet."""
        self.made += 1
        number, name = self.made, f"{role}-{self.made}"
        owner, signer = self.local.account(f"{name}-owner"), self.local.account(name)
        self.local.fund({owner.address: 5_000 * CVY, signer.address: 200 * CVY})
        self.local.register(owner, signer, 5_000 * CVY)
        folder = self.local.out / name
        strata = STRATA if role == "trainer" else heldout_strata
        records = write_records(folder / "records.jsonl", 12, 7 * number, strata)
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
            "stagger_seconds": 1.0,
            "executor": self.executor,
            "worker_threads": 1,
            **settings,
        }
        node = Node(
            name=name,
            operator=owner.address,
            signer=signer.address,
            settings=folder / "covey.toml",
            log=folder / "log",
            health=f"http://{health}",
            gateway=f"http://{gateway}",
            hidden=hidden,
            launch=self.launch,
        )
        self.nodes.append(node)
        lines = [f"{key} = {json.dumps(value)}\n" for key, value in fields.items()]  # `policy.earmark = …` is TOML too
        node.settings.write_text("".join(lines), encoding="utf-8")
        return node

    def start(self) -> None:
        """Let every node that was added since know all gateways, then start it."""
        fresh = [node for node in self.nodes if node.process is None]
        peers = [self.creator_gateway.url, *(node.gateway for node in self.nodes if not node.hidden)]
        for node in fresh:
            with node.settings.open("a", encoding="utf-8") as file:
                file.write(f"peers = {json.dumps(peers)}\n")
            node.start()

    def post(self, spec: TaskSpec, **changes: Any) -> int:
        """Post a task; its id."""
        cid = self.store.add_directory({"spec.json": spec.canonical_bytes()})
        params = replace(tiny_params(spec, cid.word), **changes)
        self.made += 1
        creator = self.local.account(f"creator-{self.made}")
        contracts = self.local.chain.contracts
        self.local.fund({creator.address: params.bounty + params.bond})
        approve = contracts.token.approve(contracts.rewards.address, params.bounty + params.bond)
        self.local.send(creator.signer, [approve, contracts.registry.create_task(params)])
        return contracts.registry.task_count()

    def task(self, task_id: int) -> Task:
        """The task as the chain's events tell it now."""
        world = ChainState()
        for event in self.events():
            world.apply(event)
        return world.tasks[task_id]

    def events(self) -> list[Event]:
        """All events of the contracts so far."""
        reader = EventReader.of(self.local.deployment)
        head = self.local.rpc.block_number()
        return reader.read_all(self.local.rpc.logs(reader.addresses, self.local.deployment.start_block, head))

    def wait(self, what: str, happened: Callable[[], bool], seconds: float = 240.0) -> None:
        """Wait for something the nodes do. Fails with what each of them says, at once where one has failed.

        A chain, store or source that cannot be asked now means "not yet".
        """
        end = time.monotonic() + seconds
        last: Exception | None = None
        while True:
            try:
                if happened():
                    return
                last = None
            except (TransientError, SourceError, NotFound) as error:
                last = error
            self.check_running()
            if time.monotonic() > end:
                reason = "" if last is None else f" ({last})"
                raise AssertionError(f"{what}: not within {seconds:g} s{reason}\n{self.told()}")
            time.sleep(0.2)

    def check_running(self) -> None:
        """Fail if a node has failed: ended, but neither well nor killed."""
        for node in self.nodes:
            code = None if node.process is None else node.process.poll()
            if code and code != -signal.SIGKILL:
                raise AssertionError(f"{node.name} has ended with {code}\n{self.told()}")

    def told(self) -> str:
        logs = [f"--- {node.name}\n{node.log.read_text(encoding='utf-8')[-3000:]}" for node in self.nodes]
        return "\n".join(logs)

    def jump(self, timestamp: int) -> None:
        self.local.anvil.jump_to(timestamp)


def answers(path: Path) -> bool:
    """Whether somebody listens at a Unix socket; its file is there a moment before."""
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True


@contextmanager
def fork_server(folder: Path, enter: Sequence[str] = ()) -> Iterator[str]:
    """A worker fork server; gives the executor setting. `enter`: put before its command."""
    path = folder / "workers.sock"
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": ""}
    argv = [sys.executable, "-m", "covey.lora.jobs.worker", "--listen", str(path), "--preload", TINY, "--threads", "1"]
    with (folder / "workers.log").open("wb") as log:
        process = subprocess.Popen([*enter, *argv], stderr=log, stdout=log, env=environment)
    try:
        end = time.monotonic() + 240
        while not answers(path):
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


@contextmanager
def nodes_on(local: LocalNetwork, folder: Path, executor: str, launch: Launch = spawn) -> Iterator[Network]:
    """Nodes on a chain that runs, and the creator's gateway; daemons still up at the end are killed."""
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
def network(folder: Path, enter: Sequence[str] = ()) -> Iterator[Network]:
    """A network in `folder`; everything that was started is ended. `enter`: put before the fork server's command."""
    with (
        fork_server(folder, enter) as executor,
        LocalNetwork(folder / "net", block_time=1.0) as local,
        nodes_on(local, folder, executor) as net,
    ):
        yield net
