"""The node's report about itself: the snapshot behind `/health` and `covey status`, and Prometheus metrics.

Amounts are wei and times are chain time in unix seconds, unless a name says otherwise. Gauges follow the newest
snapshot. Counters start at zero with the process.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector

from covey import __version__
from covey.chain.rpc.endpoint_health import EndpointReport
from covey.daemon.planning.duty import NO_DEADLINE


@dataclass(frozen=True, slots=True)
class DueDuty:
    """A due duty and what it waits for."""

    key: str
    deadline: int
    waits_for: str


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job with a worker: `done` of `total` steps of its stage, the worker's run time, and the attempt's number."""

    key: str
    stage: str
    done: int
    total: int
    seconds: float
    attempt: int


@dataclass(frozen=True, slots=True)
class AcceptedTransaction:
    """The newest own transaction that succeeded in a block."""

    key: str
    call: str
    hash: str
    block: int
    final: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The node's condition after a cycle."""

    operator: str = ""
    signer: str = ""
    roles: tuple[str, ...] = ()
    head_block: int = 0
    head_time: int = 0
    settled_block: int = 0
    running_tasks: int = 0
    balance: int | None = None
    seats: dict[int, int] = field(default_factory=dict)
    """This operator's seats by running task."""
    due: tuple[DueDuty, ...] = ()
    running: tuple[RunningJob, ...] = ()
    queued_jobs: int = 0
    jobs: dict[str, str] = field(default_factory=dict)
    transactions: dict[str, int] = field(default_factory=dict)
    """Number of requested transactions by status."""
    last_accepted_block: int | None = None
    last_accepted: AcceptedTransaction | None = None
    missed: tuple[str, ...] = ()
    earnings: dict[str, int] = field(default_factory=dict)
    """Sums paid to and taken from this operator in settled blocks, see `covey.daemon.state.ledger`."""
    credits: int = 0
    """Owed by the contracts outside the pool, to be withdrawn."""
    retained: int = 0
    """Number of retained directories."""
    missing_pins: tuple[str, ...] = ()
    stored_bytes: int | None = None
    store_quota_bytes: int | None = None
    data_bytes: int | None = None
    disk_quota_bytes: int | None = None
    endpoints: tuple[EndpointReport, ...] = ()
    """The RPC endpoints, best first."""
    clock_ahead: int | None = None
    """Seconds by which the local clock is ahead of the newest block (`covey.daemon.monitoring.clock`)."""
    warnings: tuple[str, ...] = ()
    """Conditions to fix that cost nothing yet. They do not turn the health red."""
    problems: tuple[str, ...] = ("starting",)
    reasons: dict[str, int] = field(default_factory=dict)
    """Number of problems by reason, one of `REASONS`."""

    @property
    def healthy(self) -> bool:
        return not self.problems


REASONS = (
    "chain", "work", "eligibility", "late", "error", "transactions", "balance", "disk", "missed", "content",
)  # fmt: skip
"""Reasons why health is red, in the order of a snapshot's problems. "work": this machine cannot do jobs."""


class Metrics:
    """Prometheus metrics of one node, in their own registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        gauge, counter = self._gauge, self._counter
        self.healthy = gauge("healthy", "1 while health is green, 0 while it is red")
        self._problems = gauge("problems", "Reasons why health is red, by kind; see `problems` of /health", "reason")
        self.cycle_age = gauge("cycle_age_seconds", "Local seconds since the last cycle of the main loop ended")
        self._build = gauge("build_info", "Version of this node", "version")
        self._build.labels(__version__).set(1)
        self._head_block = gauge("head_block", "Newest block seen")
        self._head_time = gauge("head_timestamp_seconds", "Chain time of the newest block")
        self._settled = gauge("settled_block", "Newest block whose events were read")
        self._endpoint_up = gauge("rpc_endpoint_up", "1 while an RPC endpoint answers and is not behind", "endpoint")
        self._endpoint_latency = gauge("rpc_endpoint_latency_seconds", "Average response time", "endpoint")
        self._endpoint_behind = gauge("rpc_endpoint_blocks_behind", "Blocks behind the best endpoint", "endpoint")
        self._endpoint_age = gauge("rpc_endpoint_head_age_seconds", "Time since its head last moved", "endpoint")
        self._tasks = gauge("tasks_running", "Tasks that have not ended")
        self._balance = gauge("signer_balance_wei", "Native coin of the signer")
        self._min_balance = gauge("signer_min_balance_wei", "Native coin of the signer below which health is red")
        self._seats = gauge("seats", "Seats of this operator in running tasks", "task")
        self._due = gauge("duties_due", "Duties that are due now")
        self._deadline = gauge("duty_deadline_timestamp_seconds", "Deadline of a due duty", "duty", "task")
        self._missed = gauge("duties_missed", "Duties missed within the last day of chain time")
        self._running = gauge("jobs_running", "Training and scoring jobs with a worker")
        self._queued = gauge("jobs_queued", "Training and scoring jobs waiting for a worker")
        self._progress = gauge("job_progress_ratio", "Completed share of a running job's stage", "duty", "task")
        self._earnings = gauge("earnings_wei", "Paid to and taken from this operator so far, by kind", "kind")
        self._credits = gauge("credits_wei", "Owed by the contracts outside the pool")
        self._retained = gauge("retained_directories", "Published directories that this node retains")
        self._missing_pins = gauge("missing_pins", "Places where retained content was missing at the last check")
        self._stored = gauge("store_bytes", "Blocks in the store that holds fetched content")
        self._store_quota = gauge("store_quota_bytes", "Quota of that store")
        self._data = gauge("data_bytes", "Entries, work files and downloaded bases in the data folder")
        self._disk_quota = gauge("data_quota_bytes", "Size of those above which the oldest are evicted")
        self._transactions = gauge("transactions", "Requested transactions by status", "status")
        self._accepted = gauge("last_accepted_block", "Newest block with a successful transaction of this node")
        self.events = counter("events", "Contract events read")
        self.job_failures = counter("job_failures", "Worker jobs that failed")
        self.duty_errors = counter("duty_errors", "Errors while a duty was advanced")
        self.resyncs = counter("resyncs", "Times that events were read again because some were omitted or forged")
        self.cycles = counter("cycles", "Cycles of the main loop")
        self.failed_cycles = counter("failed_cycles", "Cycles of the main loop that an error ended")
        self.notifications = Counter(
            "covey_notifications", "Webhook notifications by outcome", ["outcome"], registry=self.registry
        )
        self.evicted = counter("evicted_bytes", "Bytes of old entries, work files and bases that were evicted")

    def set_limits(self, min_balance: int, disk_quota: int) -> None:
        """Publish the settings that alerts compare with."""
        self._min_balance.set(min_balance)
        self._disk_quota.set(disk_quota)

    def _measure_problems(self, snapshot: Snapshot) -> None:
        for reason in REASONS:
            self._problems.labels(reason).set(snapshot.reasons.get(reason, 0))

    def measure(self, snapshot: Snapshot) -> None:
        """Set the gauges from a snapshot. Gauges of unknown values (None) keep their value."""
        self._head_block.set(snapshot.head_block)
        self._head_time.set(snapshot.head_time)
        self._settled.set(snapshot.settled_block)
        self._tasks.set(snapshot.running_tasks)
        self._due.set(len(snapshot.due))
        self._missed.set(len(snapshot.missed))
        self._running.set(len(snapshot.running))
        self._queued.set(snapshot.queued_jobs)
        self._credits.set(snapshot.credits)
        self._retained.set(snapshot.retained)
        self._missing_pins.set(len(snapshot.missing_pins))
        for gauge, value in (
            (self._balance, snapshot.balance),
            (self._stored, snapshot.stored_bytes),
            (self._store_quota, snapshot.store_quota_bytes),
            (self._data, snapshot.data_bytes),
            (self._accepted, snapshot.last_accepted_block),
        ):
            if value is not None:
                gauge.set(value)
        self._measure_problems(snapshot)
        for labelled in (self._seats, self._deadline, self._progress):
            labelled.clear()  # drops ended duties and tasks
        for task, seats in snapshot.seats.items():
            self._seats.labels(str(task)).set(seats)
        for duty in sorted(snapshot.due, key=lambda duty: -duty.deadline):  # the earliest of equal labels wins
            if duty.deadline < NO_DEADLINE:
                self._deadline.labels(*_labels(duty.key)).set(duty.deadline)
        for job in snapshot.running:
            self._progress.labels(*_labels(job.key)).set(job.done / job.total if job.total else 0.0)
        for place, endpoint in enumerate(snapshot.endpoints, 1):
            name = f"{place} {endpoint.url}"  # redacted URLs need not be unique
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

    def _gauge(self, name: str, description: str, *labels: str) -> Gauge:
        return Gauge(f"covey_{name}", description, labels, registry=self.registry)

    def _counter(self, name: str, description: str) -> Counter:
        return Counter(f"covey_{name}", description, registry=self.registry)


def _labels(key: str) -> tuple[str, str]:
    """Kind and task of a duty's key `kind/task/…`. Pages and rounds of one task share their labels."""
    kind, _, rest = key.partition("/")
    return kind, rest.partition("/")[0]


def json_safe(value: Any) -> Any:
    """Convert a snapshot's value for JSON: integers from 2^53 on become text, so that no reader rounds them."""
    if isinstance(value, dict):
        return {str(key): json_safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**53:
        return str(value)
    return value
