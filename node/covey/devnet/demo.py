"""The demonstration: one arena task on a local network, from posting to payout, and a check of what was paid."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from covey.audit.evidence import check_content, check_seeds
from covey.audit.replay import Audit, replay
from covey.devnet import driver, icd10, scenario
from covey.devnet.errors import BadInput, DevnetError
from covey.devnet.local import LocalNetwork, claim_folder, ended_by_signals
from covey.devnet.nodes import Nodes, last_warnings
from covey.devnet.operators import Operator, enlist
from covey.devnet.progress import Progress
from covey.devnet.report import render
from covey.devnet.result import DemoResult, Phase
from covey.devnet.results import tally
from covey.devnet.workers import Job, WorkerServer
from covey.ipfs import BlockStore, Cid, Gateway, IpfsError, Limits, open_fetcher
from covey.lora.bases.resolve import BaseFolder, resolve
from covey.lora.errors import LoraError
from covey.protocol.spec import TaskSpec

MARKER = ".covey-demo"
FETCH_S = 60.0


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What a run can choose; see `covey demo --help`."""

    seed: int
    validators: int
    base: str
    out: Path
    began: float = field(default_factory=time.monotonic)
    """When the run counts as begun, `time.monotonic` seconds."""


class View(Protocol):
    """Where a run tells how it goes."""

    def phase(self, name: str) -> None:
        """A part of the run begins; the one before is over."""

    def progress(self, what: str, done: int, total: int, share: float) -> None:
        """How far the part is: `done` of `total`, and the share of its work that is done, 0 to 1."""

    def note(self, text: str) -> None:
        """A line worth keeping."""


@dataclass(slots=True)
class _Clock:
    view: View
    began: float
    phases: list[Phase] = field(default_factory=list)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        self.view.phase(name)
        yield
        now = time.monotonic()
        self.phases.append(Phase(name=name, seconds=round(now - self.began, 2)))
        self.began = now


@dataclass(slots=True)
class Demo:
    """A finished run whose network is still up until the `with` block around `run_demo` ends."""

    result: DemoResult
    report: Path
    network: LocalNetwork
    operators: list[Operator]


@contextmanager
def run_demo(options: DemoOptions, view: View) -> Iterator[Demo]:
    """Run the demonstration; the network is ended when the block is left, whatever happens.

    Raises:
        BadInput: the base or a package cannot be had, or the folder is not ours; nothing was started.
        DevnetError: it cannot run here, or came to a stop; the message says what to do.
    """
    _check_extras()
    base = _base(options.base)
    out = claim_folder(options.out, MARKER)
    with ExitStack() as stack:
        stack.enter_context(ended_by_signals())
        yield _run(options, view, base, out, stack)


def _check_extras() -> None:
    missing = [name for name in ("scipy", "simple_icd_10_cm") if find_spec(name) is None]
    if missing:
        raise BadInput(f"the demo needs {' and '.join(missing)}: pip install 'covey[demo]'")


def _base(name: str) -> BaseFolder:
    try:
        return resolve(name)
    except LoraError as error:
        raise BadInput(str(error)) from None


def _run(options: DemoOptions, view: View, base: BaseFolder, out: Path, stack: ExitStack) -> Demo:
    clock = _Clock(view, options.began)
    with clock.phase("set up the network"):
        source = base.name if base.name == "tiny" else str(base.folder.absolute())
        workers = stack.enter_context(WorkerServer(source, out / "logs" / "workers.log"))
        nodes = Nodes()
        stack.callback(nodes.stop)
        nodes.warm_up()
        network = stack.enter_context(LocalNetwork(out, long_windows=True))
        view.note(f"a chain at {network.anvil.url} with {len(network.deployment.contracts)} contracts")
        split = _split(out, options)
        people = scenario.cast(options.validators, icd10.HOSPITAL_STRATA)
        operators = enlist(network, people, split)
        view.note(f"{len(operators)} operators with stake, each with a daemon, a block store and a gateway of its own")
        spec = scenario.task_spec(base, list(icd10.STRATA))
        task, creator_url = _post(network, spec, out, stack)
        peers = [creator_url, *(operator.gateway for operator in operators)]
        workers.wait()
        for operator in operators:
            operator.start(nodes, network, workers, source, peers, options.seed)
    watch = driver.Watch(network.chain, network.anvil, task)
    job = _drive(clock, watch, operators, nodes, workers, spec, source, split.common)
    with clock.phase("check against the rules"):
        truth = job.result()
        audit = _audit(watch, operators, out)
    result = tally(watch, operators, spec, base, truth, audit, clock.phases, options.seed)
    report = _write(out, result, audit)
    return Demo(result, report, network, operators)


def _audit(watch: driver.Watch, operators: list[Operator], out: Path) -> Audit:
    """Replay the task's events, and check the seed's block and what the nodes published, once they all have."""
    record, chain = watch.record(), watch.chain
    end = time.monotonic() + FETCH_S
    with (
        BlockStore(out / "entries" / "blocks") as store,
        open_fetcher(store, [operator.gateway for operator in operators], deadline_s=FETCH_S) as fetcher,
    ):
        while True:
            audit = replay(watch.events, chain.domain)
            check_seeds(audit, record, chain.rpc)
            check_content(audit, record, chain.domain, fetcher)
            if not audit.unavailable or time.monotonic() > end:
                return audit
            time.sleep(0.5)


def _split(out: Path, options: DemoOptions) -> icd10.Split:
    try:
        return icd10.write_split(out / "data", options.seed, options.validators)
    except LoraError as error:
        raise DevnetError(str(error)) from None


def _post(network: LocalNetwork, spec: TaskSpec, out: Path, stack: ExitStack) -> tuple[int, str]:
    """Keep the spec where the nodes can fetch it, and post the task. Returns its id and the creator's gateway."""
    creator = network.account("creator")
    network.fund({creator.address: scenario.BOUNTY + scenario.BOND})
    store = stack.enter_context(BlockStore(out / "creator" / "blocks"))
    cid = store.add_directory({"spec.json": spec.canonical_bytes()}, name="task spec")
    gateway = stack.enter_context(Gateway(store, "127.0.0.1", 0))
    contracts = network.chain.contracts
    multiple = contracts.bounds.config().stake_multiple_bps
    params = scenario.task_params(spec, cid.word, scenario.BOUNTY * multiple // 10_000)
    approve = contracts.token.approve(contracts.rewards.address, scenario.BOUNTY + scenario.BOND)
    network.send(creator.signer, [approve, contracts.registry.create_task(params)])
    return contracts.registry.task_count(), gateway.url


def _drive(
    clock: _Clock,
    watch: driver.Watch,
    operators: list[Operator],
    nodes: Nodes,
    workers: WorkerServer,
    spec: TaskSpec,
    source: str,
    common: Path,
) -> Job:
    """Take the task to its end. Returns the evaluation on the common set, which runs beside the validators'."""
    entrants = sum(operator.who.trainer for operator in operators)
    job: Job | None = None

    def alive() -> None:
        nodes.check()
        workers.check()

    jobs = Progress({operator.who.slug: operator.health_port for operator in operators})

    def follow(step: driver.Step) -> None:
        def tell(done: int, total: int) -> None:
            clock.view.progress(step.unit, done, total, jobs.share() if step.slow else done / max(1, total))

        jobs.begin()
        with clock.phase(step.name):
            driver.follow(watch, step, alive, tell)

    try:
        for step in driver.steps(entrants, len(operators) - entrants, watch.chain.domain):
            follow(step)
            if step.name == driver.REVEALED:
                job = workers.begin(_evaluation(watch, operators, spec, source, common))
        follow(driver.claims(watch))
    except DevnetError as error:
        told = last_warnings([operator.log for operator in operators])
        raise DevnetError("; ".join([str(error), *told[:3]])) from None
    clock.view.note(
        f"{watch.skipped_s / 3600:.1f} h of chain time skipped at the ends of windows, once everybody had acted"
    )
    assert job is not None
    return job


def _evaluation(
    watch: driver.Watch, operators: list[Operator], spec: TaskSpec, source: str, common: Path
) -> dict[str, Any]:
    """The job that finds the entries' true improvement: fetch them as anybody could, and use all of the common set."""
    out = common.parent.parent / "entries"
    gateways = [operator.gateway for operator in operators]
    limits = Limits(max_bytes=spec.adapter.max_bytes + (1 << 20), max_files=3)
    adapters = []
    with BlockStore(out / "blocks") as store, open_fetcher(store, gateways, deadline_s=FETCH_S) as fetcher:
        for entry in watch.record().revealed:
            name = next(operator.who.slug for operator in operators if operator.address == entry["operator"])
            cid = Cid.directory(entry["digest"].removeprefix("0x"))
            end = time.monotonic() + FETCH_S
            while True:
                try:
                    folder = fetcher.get_directory(cid, out / name, limits)
                    break
                except IpfsError as error:
                    if time.monotonic() > end:
                        raise DevnetError(f"the entry of {name} cannot be fetched: {error}") from None
                    time.sleep(0.2)
            adapters.append({"name": name, "folder": str(folder)})
    return {
        "kind": "evaluate",
        "base": source,
        "spec": spec.model_dump(mode="json", exclude_none=True),
        "records": str(common),
        "adapters": adapters,
        "threads": 1,
    }


def _write(out: Path, result: DemoResult, audit: Audit) -> Path:
    (out / "result.json").write_text(result.model_dump_json(indent=2) + "\n", encoding="utf-8")
    report = out / "report.html"
    report.write_text(render(result), encoding="utf-8")
    if audit.differences:
        (out / "differences.txt").write_text("\n".join(str(one) for one in audit.differences) + "\n", encoding="utf-8")
    return report
