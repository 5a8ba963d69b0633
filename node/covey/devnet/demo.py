"""Runs the demo: one arena task on a local network, from posting to payout, and an audit of the payments."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from covey.audit.evidence import check_content, check_seeds
from covey.audit.replay import Audit, replay
from covey.devnet import driver, icd10, scenario
from covey.devnet.errors import BadInput, DevnetError
from covey.devnet.local import LocalNetwork, interrupt_on_signals, prepare_folder
from covey.devnet.nodes import Nodes, last_warnings
from covey.devnet.operators import Operator, set_up_operators
from covey.devnet.progress import Progress
from covey.devnet.report import render
from covey.devnet.result import DemoResult, Phase
from covey.devnet.results import build_result
from covey.devnet.workers import Job, WorkerServer
from covey.ipfs import BlockStore, Cid, Gateway, IpfsError, Limits, open_fetcher
from covey.lora.bases.resolve import BaseFolder, resolve
from covey.lora.errors import LoraError
from covey.lora.jobs.job import EvaluateJob, NamedAdapter
from covey.protocol.spec import TaskSpec

MARKER = ".covey-demo"
FETCH_S = 60.0


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Options of a run; see `covey demo --help`."""

    seed: int
    validators: int
    base: str
    out: Path
    began: float = field(default_factory=time.monotonic)
    """Start of the run for its wall time, `time.monotonic` seconds."""


class View(Protocol):
    """Receives the progress of a run."""

    def phase(self, name: str) -> None:
        """A phase of the run begins; the previous one is over."""

    def progress(self, what: str, done: int, total: int, share: float) -> None:
        """Progress of the phase: `done` of `total` in units of `what`, and the completed share of its work, 0 to 1."""

    def note(self, text: str) -> None:
        """An informational line."""


@dataclass(slots=True)
class _PhaseTimer:
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
    """A finished run. Its network is up until the `with` block around `run_demo` ends."""

    result: DemoResult
    report: Path
    network: LocalNetwork
    operators: list[Operator]


@contextmanager
def run_demo(options: DemoOptions, view: View) -> Iterator[Demo]:
    """Run the demo. The network stops when the block is left, also after an error.

    Raises:
        BadInput: the base or a package is missing, or the output folder belongs to something else; nothing was
            started.
        DevnetError: the demo cannot run on this machine, or stalled; the message says what to do.
    """
    _check_extras()
    base = _resolve_base(options.base)
    out = prepare_folder(options.out, MARKER)
    with ExitStack() as stack:
        stack.enter_context(interrupt_on_signals())
        yield _run(options, view, base, out, stack)


def _check_extras() -> None:
    missing = [name for name in ("scipy", "simple_icd_10_cm") if find_spec(name) is None]
    if missing:
        raise BadInput(f"the demo needs {' and '.join(missing)}: pip install 'covey[demo]'")


def _resolve_base(name: str) -> BaseFolder:
    try:
        return resolve(name)
    except LoraError as error:
        raise BadInput(str(error)) from None


def _run(options: DemoOptions, view: View, base: BaseFolder, out: Path, stack: ExitStack) -> Demo:
    timer = _PhaseTimer(view, options.began)
    with timer.phase("set up the network"):
        source = base.name if base.name == "tiny" else str(base.folder.absolute())
        workers = stack.enter_context(WorkerServer(source, out / "logs" / "workers.log"))
        nodes = Nodes()
        stack.callback(nodes.stop)
        nodes.warm_up()
        network = stack.enter_context(LocalNetwork(out, long_windows=True))
        view.note(f"a chain at {network.anvil.url} with {len(network.deployment.contracts)} contracts")
        split = _write_split(out, options)
        participants = scenario.participants(options.validators, icd10.HOSPITAL_STRATA)
        operators = set_up_operators(network, participants, split)
        view.note(f"{len(operators)} operators with stake, each with its own daemon, block store and gateway")
        spec = scenario.task_spec(base, list(icd10.STRATA))
        task, creator_url = _post_task(network, spec, out, stack)
        peers = [creator_url, *(operator.gateway for operator in operators)]
        workers.wait()
        for operator in operators:
            operator.start(nodes, network, workers, source, peers, options.seed)
    watch = driver.TaskWatcher(network.chain, network.anvil, task)
    job = _drive(timer, watch, operators, nodes, workers, spec, source, split.common)
    with timer.phase("check against the rules"):
        truth = job.result()
        audit = _audit(watch, operators, out)
    result = build_result(watch, operators, spec, base, truth, audit, timer.phases, options.seed)
    report = _write_report(out, result, audit)
    return Demo(result, report, network, operators)


def _audit(watch: driver.TaskWatcher, operators: list[Operator], out: Path) -> Audit:
    """Replay the task's events, and check the seed's block and the nodes' published content once it is available."""
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


def _write_split(out: Path, options: DemoOptions) -> icd10.Split:
    try:
        return icd10.write_split(out / "data", options.seed, options.validators)
    except LoraError as error:
        raise DevnetError(str(error)) from None


def _post_task(network: LocalNetwork, spec: TaskSpec, out: Path, stack: ExitStack) -> tuple[int, str]:
    """Publish the spec and post the task. Returns the task's id and the URL of the creator's gateway."""
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
    timer: _PhaseTimer,
    watch: driver.TaskWatcher,
    operators: list[Operator],
    nodes: Nodes,
    workers: WorkerServer,
    spec: TaskSpec,
    source: str,
    common: Path,
) -> Job:
    """Drive the task to its end. Returns the job that evaluates the entries on the common set; it may still run."""
    entrants = sum(operator.participant.trainer for operator in operators)
    job: Job | None = None

    def check_alive() -> None:
        nodes.check()
        workers.check()

    jobs = Progress({operator.participant.slug: operator.health_port for operator in operators})

    def run(step: driver.Step) -> None:
        def report(done: int, total: int) -> None:
            timer.view.progress(step.unit, done, total, jobs.share() if step.slow else done / max(1, total))

        jobs.begin()
        with timer.phase(step.name):
            driver.run_step(watch, step, check_alive, report)

    try:
        for step in driver.steps(entrants, len(operators) - entrants, watch.chain.domain):
            run(step)
            if step.name == driver.REVEALED:
                job = workers.submit(_build_evaluation(watch, operators, spec, source, common))
        run(driver.claims(watch))
    except DevnetError as error:
        warnings = last_warnings([operator.log for operator in operators])
        raise DevnetError("; ".join([str(error), *warnings[:3]])) from None
    hours = watch.skipped_s / 3600
    timer.view.note(f"{hours:.1f} h of chain time skipped at the ends of windows, after all nodes had acted")
    if job is None:
        raise DevnetError("the task ended before its entries were revealed")
    return job


def _build_evaluation(
    watch: driver.TaskWatcher, operators: list[Operator], spec: TaskSpec, source: str, common: Path
) -> EvaluateJob:
    """Fetch the entries from the gateways, and build the job that measures their true improvement on the common set."""
    out = common.parent.parent / "entries"
    gateways = [operator.gateway for operator in operators]
    limits = Limits(max_bytes=spec.adapter.max_bytes + (1 << 20), max_files=3)
    adapters = []
    with BlockStore(out / "blocks") as store, open_fetcher(store, gateways, deadline_s=FETCH_S) as fetcher:
        for entry in watch.record().revealed:
            name = next(operator.participant.slug for operator in operators if operator.address == entry["operator"])
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
            adapters.append(NamedAdapter(name=name, folder=str(folder)))
    return EvaluateJob(base=source, spec=spec, records=str(common), adapters=adapters, threads=1)


def _write_report(out: Path, result: DemoResult, audit: Audit) -> Path:
    (out / "result.json").write_text(result.model_dump_json(indent=2) + "\n", encoding="utf-8")
    report = out / "report.html"
    report.write_text(render(result), encoding="utf-8")
    if audit.differences:
        lines = "".join(f"{difference}\n" for difference in audit.differences)
        (out / "differences.txt").write_text(lines, encoding="utf-8")
    return report
