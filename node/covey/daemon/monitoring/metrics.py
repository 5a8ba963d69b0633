"""What a node tells of itself: the snapshot behind `/health` and `covey status`, and its numbers for Prometheus.

Amounts are wei, times are chain time in unix seconds unless a name says otherwise. Gauges follow the newest snapshot;
counters start at zero with the process.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector

from covey import __version__
from covey.chain.rpc.endpoint_health import EndpointReport
from covey.daemon.planning.plan import NO_DEADLINE


@dataclass(frozen=True, slots=True)
class DueDuty:
    """A duty that is due and what it waits for."""

    key: str
    deadline: int
    waits_for: str


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A worker's job: how far it is, for how long its worker has run, which attempt this is."""

    key: str
    stage: str
    done: int
    total: int
    seconds: float
    attempt: int


@dataclass(frozen=True, slots=True)
class AcceptedTransaction:
    """The newest of our transactions that succeeded in a block."""

    key: str
    call: str
    hash: str
    block: int
    final: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the node knows of itself after a look at the chain."""

    operator: str = ""
    signer: str = ""
    roles: tuple[str, ...] = ()
    head_block: int = 0
    head_time: int = 0
    settled_block: int = 0
    running_tasks: int = 0
    balance: int | None = None
    seats: dict[int, int] = field(default_factory=dict)
    """Seats of this operator by running task."""
    due: tuple[DueDuty, ...] = ()
    running: tuple[RunningJob, ...] = ()
    queued_jobs: int = 0
    jobs: dict[str, str] = field(default_factory=dict)
    transactions: dict[str, int] = field(default_factory=dict)
    last_accepted_block: int | None = None
    last_accepted: AcceptedTransaction | None = None
    missed: tuple[str, ...] = ()
    earnings: dict[str, int] = field(default_factory=dict)
    """What settled blocks say that this operator was paid and lost so far, see `covey.daemon.state.ledger`."""
    credits: int = 0
    """Owed by the contracts outside the pool: to withdraw."""
    promised: int = 0
    lapses: tuple[str, ...] = ()
    stored_bytes: int | None = None
    store_quota_bytes: int | None = None
    data_bytes: int | None = None
    disk_quota_bytes: int | None = None
    endpoints: tuple[EndpointReport, ...] = ()
    """The RPC endpoints, best first."""
    clock_ahead: int | None = None
    """Seconds by which this machine's clock is ahead of the newest block's (`covey.daemon.monitoring.clock`)."""
    warnings: tuple[str, ...] = ()
    """What should be mended, but costs nothing yet: it does not turn the health red."""
    problems: tuple[str, ...] = ("starting",)

    @property
    def healthy(self) -> bool:
        return not self.problems


class Metrics:
    """Prometheus metrics of one node, in a registry of their own: nothing here is global."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        gauge, counter = self._gauge, self._counter
        self.healthy = gauge("healthy", "1 while the node earns, 0 while it does not")
        self.look_age = gauge("look_age_seconds", "Seconds on this machine's clock since the last look at the chain")
        self._build = gauge("build_info", "Version of this node", "version")
        self._build.labels(__version__).set(1)
        self._head_block = gauge("head_block", "Newest block seen")
        self._head_time = gauge("head_timestamp_seconds", "Chain time of the newest block")
        self._settled = gauge("settled_block", "Newest block whose events were read")
        self._endpoint_up = gauge("rpc_endpoint_up", "1 while an RPC endpoint answers and is not behind", "endpoint")
        self._endpoint_latency = gauge("rpc_endpoint_latency_seconds", "Average time to its answer", "endpoint")
        self._endpoint_behind = gauge("rpc_endpoint_blocks_behind", "Blocks its head is behind the others'", "endpoint")
        self._endpoint_age = gauge("rpc_endpoint_head_age_seconds", "Time since its head last moved", "endpoint")
        self._tasks = gauge("tasks_running", "Tasks that have not ended")
        self._balance = gauge("signer_balance_wei", "Native coin of the signer")
        self._min_balance = gauge("signer_min_balance_wei", "Native coin of the signer below which health is red")
        self._seats = gauge("seats", "Seats of this operator in running tasks", "task")
        self._due = gauge("duties_due", "Duties that are due now")
        self._deadline = gauge("duty_deadline_timestamp_seconds", "Until when a due duty can be done", "duty", "task")
        self._missed = gauge("duties_missed", "Duties whose time ran out, for a day of chain time")
        self._running = gauge("jobs_running", "Training and scoring jobs with a worker")
        self._queued = gauge("jobs_queued", "Training and scoring jobs that wait for a worker")
        self._progress = gauge("job_progress_ratio", "Share of its stage that a running job has done", "duty", "task")
        self._earnings = gauge("earnings_wei", "Paid to and taken from this operator so far, by kind", "kind")
        self._credits = gauge("credits_wei", "Owed by the contracts outside the pool")
        self._promised = gauge("promises", "Published directories that this node has promised to keep")
        self._lapsed = gauge("promises_lapsed", "Places where promised content could not be had at the last check")
        self._stored = gauge("store_bytes", "Blocks in the store that fetched content goes to")
        self._store_quota = gauge("store_quota_bytes", "Most bytes that store may hold")
        self._data = gauge("data_bytes", "Entries, work files and downloaded bases in the data folder")
        self._disk_quota = gauge("data_quota_bytes", "Bytes of those at which the oldest make room")
        self._transactions = gauge("transactions", "Transactions asked for so far, by how far they are", "status")
        self._accepted = gauge("last_accepted_block", "Newest block with a successful transaction of this node")
        self.events = counter("events", "Contract events read")
        self.job_failures = counter("job_failures", "Worker jobs that failed")
        self.duty_errors = counter("duty_errors", "Errors while a duty was advanced")
        self.rereads = counter("rereads", "Times that events were read again because some were left out or invented")
        self.cycles = counter("cycles", "Cycles of the main loop")
        self.failed_cycles = counter("failed_cycles", "Cycles of the main loop that an error ended")
        self.notices = Counter(
            "covey_notices", "Notices to the webhook, by what became of them", ["outcome"], registry=self.registry
        )
        self.evicted = counter("evicted_bytes", "Bytes of old entries, work files and bases that made room")

    def limits(self, min_balance: int, disk_quota: int) -> None:
        """Settings that alerts compare with."""
        self._min_balance.set(min_balance)
        self._disk_quota.set(disk_quota)

    def measure(self, snapshot: Snapshot) -> None:
        """Set the gauges to a snapshot. What it does not know keeps its value."""
        self._head_block.set(snapshot.head_block)
        self._head_time.set(snapshot.head_time)
        self._settled.set(snapshot.settled_block)
        self._tasks.set(snapshot.running_tasks)
        self._due.set(len(snapshot.due))
        self._missed.set(len(snapshot.missed))
        self._running.set(len(snapshot.running))
        self._queued.set(snapshot.queued_jobs)
        self._credits.set(snapshot.credits)
        self._promised.set(snapshot.promised)
        self._lapsed.set(len(snapshot.lapses))
        for gauge, value in (
            (self._balance, snapshot.balance),
            (self._stored, snapshot.stored_bytes),
            (self._store_quota, snapshot.store_quota_bytes),
            (self._data, snapshot.data_bytes),
            (self._accepted, snapshot.last_accepted_block),
        ):
            if value is not None:
                gauge.set(value)
        for labelled in (self._seats, self._deadline, self._progress):
            labelled.clear()  # of duties and tasks that are over
        for task, seats in snapshot.seats.items():
            self._seats.labels(str(task)).set(seats)
        for duty in sorted(snapshot.due, key=lambda duty: -duty.deadline):  # of those with the same labels, the first
            if duty.deadline < NO_DEADLINE:
                self._deadline.labels(*_labels(duty.key)).set(duty.deadline)
        for job in snapshot.running:
            self._progress.labels(*_labels(job.key)).set(job.done / job.total if job.total else 0.0)
        for place, endpoint in enumerate(snapshot.endpoints, 1):
            name = f"{place} {endpoint.url}"  # two may differ in what is not shown
            self._endpoint_up.labels(name).set(endpoint.ok)
            self._endpoint_latency.labels(name).set(endpoint.latency)
            if endpoint.blocks_behind is not None:
                self._endpoint_behind.labels(name).set(endpoint.blocks_behind)
            if endpoint.head_age is not None:
                self._endpoint_age.labels(name).set(endpoint.head_age)
        for kind, amount in snapshot.earnings.items():
            self._earnings.labels(kind).set(amount)
        for status, count in snapshot.transactions.items():
            self._transactions.labels(status).set(count)

    def _gauge(self, name: str, told: str, *labels: str) -> Gauge:
        return Gauge(f"covey_{name}", told, labels, registry=self.registry)

    def _counter(self, name: str, told: str) -> Counter:
        return Counter(f"covey_{name}", told, registry=self.registry)


def _labels(key: str) -> tuple[str, str]:
    """Kind and task of a duty's key `kind/task/…`; keys of pages and rounds of one task share their labels."""
    kind, _, rest = key.partition("/")
    return kind, rest.partition("/")[0]


def plain(value: Any) -> Any:
    """A snapshot's value as JSON can carry it: whole numbers beyond 2^53 as text, so that nothing rounds them."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**53:
        return str(value)
    return value
