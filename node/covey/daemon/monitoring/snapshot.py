"""Builds the snapshot of a cycle that `/health`, `/metrics` and `covey status` show."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from covey.chain.events.follower import Progress
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.responses import Block
from covey.chain.tx.sender import Sender
from covey.chain.tx.store import SqliteTxStore, TxStatus
from covey.config.node import NodeConfig
from covey.daemon.monitoring.clock import ClockMonitor
from covey.daemon.monitoring.eligibility import Eligibility
from covey.daemon.monitoring.health import Lateness
from covey.daemon.monitoring.metrics import AcceptedTransaction, DueDuty, RunningJob, Snapshot
from covey.daemon.planning.duty import NO_DEADLINE, PERMISSIONLESS, Duty, DutyKind, Identity
from covey.daemon.planning.plan import missed_duties, own_seats
from covey.daemon.retention.retention import RetentionReport
from covey.daemon.state.ledger import Ledger
from covey.daemon.state.projection import ChainLog
from covey.daemon.state.task import Task
from covey.daemon.state.world import ChainState
from covey.daemon.storage.disk_space import shortages
from covey.daemon.storage.journal import Journal
from covey.daemon.storage.retiring import NOTE, is_retiring
from covey.daemon.workers.executor import Executor
from covey.protocol.types import Outcome

MISSED_FOR = 86_400
"""Seconds of chain time after a task's end for which a missed duty is reported."""
_BALANCE_EVERY = 60.0  # seconds between two requests for the signer's balance
_OPPORTUNITIES = (DutyKind.ENTER, DutyKind.ENROL)
_ACCEPTED = (TxStatus.MINED, TxStatus.DONE)
_RECENT = 64  # number of newest transactions searched for the newest accepted one


class SnapshotReporter:
    """Builds the snapshots of one node. Used from the main loop's thread."""

    def __init__(
        self,
        *,
        config: NodeConfig,
        identity: Identity,
        rpc: Rpc,
        sender: Sender,
        transactions: SqliteTxStore,
        journal: Journal,
        executor: Executor,
        chain_log: ChainLog,
        ledger: Ledger,
        eligibility: Eligibility | None = None,
    ) -> None:
        self._config = config
        self._identity = identity
        self._rpc = rpc
        self._sender = sender
        self._transactions = transactions
        self._journal = journal
        self._executor = executor
        self._chain_log = chain_log
        self._ledger = ledger
        self._eligibility = eligibility
        self._lateness = Lateness()
        self._clock = ClockMonitor()
        self._balance: int | None = None
        self._balance_at = -_BALANCE_EVERY
        self._behind_since: float | None = None

    def snapshot(
        self,
        *,
        now: int,
        head: Block,
        progress: Progress,
        due: Sequence[Duty],
        waits: Sequence[DueDuty],
        errors: Mapping[str, str],
        retention: RetentionReport,
        retained: int,
        blocked: Sequence[str] = (),
    ) -> Snapshot:
        """Build the snapshot of a cycle.

        Args:
            now: chain time.
            errors: why duties could not be advanced or events not be verified, by duty key or subject.
            retention: findings of the last retention check.
            retained: number of retained directories.
            blocked: why the node takes no new task.
        """
        config, identity, state = self._config, self._identity, self._chain_log.state
        status, balance = self._sender.status, self._signer_balance()
        running = state.running()
        missed = tuple(recently_missed(state, identity, now))
        late = self._late(due, now)
        optional = [duty for duty in late if not self._is_owed(duty)]
        waiting = {duty.key: duty.waits_for for duty in waits}
        owed = [duty for duty in late if duty not in optional]
        found: dict[str, list[str]] = {
            "chain": [*self._chain_problems(head, progress)],
            "work": [*blocked],
            "eligibility": [*(self._eligibility.problems(now) if self._eligibility is not None else ())],
            "late": [f"late: {duty.key} is due and no transaction for it was accepted" for duty in owed],
            "error": [f"{key}: {error}" for key, error in errors.items()],
            "transactions": [text for text in (status.blocked, status.external) if text],
            "balance": [*self._balance_problems(balance)],
            "disk": [*shortages(config)],
            "missed": [f"missed: {key}" for key in missed],
            "content": [*(f"missing pin: {pin}" for pin in retention.missing_pins), *retention.problems],
        }
        self._clock.tick(head.number, head.timestamp)
        clock_warning = self._clock.warning()
        accepted = self._last_accepted()
        return Snapshot(
            operator=identity.operator,
            signer=identity.signer,
            roles=tuple(role.value for role in identity.roles),
            head_block=head.number,
            head_time=head.timestamp,
            settled_block=progress.checkpoint.block,
            running_tasks=len(running),
            balance=balance,
            seats={task.id: seats for task in running if (seats := own_seats(task, identity))},
            due=tuple(waits),
            running=tuple(self._running_jobs()),
            queued_jobs=self._executor.queued(),
            jobs={key: f"{job.stage} {job.done}/{job.total}" for key, job in self._executor.progress().items()},
            transactions=self._transaction_counts(),
            last_accepted_block=status.accepted_block if accepted is None else accepted.block,
            last_accepted=accepted,
            missed=missed,
            earnings=dict(self._ledger.sums),
            credits=sum(
                owed.get(account, 0)
                for account in identity.all_accounts
                for owed in (state.owed, state.slash_shares, state.appeal_bonds)
            ),
            retained=retained,
            missing_pins=retention.missing_pins,
            stored_bytes=retention.stored_bytes,
            store_quota_bytes=retention.quota_bytes,
            data_bytes=retention.data_bytes,
            disk_quota_bytes=int(config.disk_quota),
            endpoints=tuple(self._rpc.report()),
            clock_ahead=self._clock.ahead,
            warnings=(
                *(() if clock_warning is None else (clock_warning,)),
                *((NOTE,) if is_retiring(config.data_dir) else ()),
                *(f"{duty.key}: {waiting.get(duty.key, '')}" for duty in optional),
            ),
            problems=tuple(text for texts in found.values() for text in texts),
            reasons={reason: len(texts) for reason, texts in found.items()},
        )

    def _chain_problems(self, head: Block, progress: Progress) -> Iterator[str]:
        patience = self._config.max_head_age_seconds
        if (age := self._lateness.head_age(head.number)) > patience:
            yield f"no new block for {age:.0f} s"
        if progress.caught_up:
            self._behind_since = None
            return
        now = time.monotonic()
        self._behind_since = now if self._behind_since is None else self._behind_since
        if now - self._behind_since > patience:
            yield f"events were read up to block {progress.checkpoint.block} only, of {progress.target.number}"

    def _late(self, due: Sequence[Duty], now: int) -> list[Duty]:
        """The operator's own duties that are late."""
        own = {
            duty.key: duty
            for duty in due
            if duty.deadline < NO_DEADLINE and duty.kind not in PERMISSIONLESS and not self._is_accepted(duty)
        }
        late = self._lateness.late([(duty.key, duty.deadline) for duty in own.values()], now)
        return [own[key] for key in late]

    def _is_owed(self, duty: Duty) -> bool:
        """Whether being late costs something. A task that the node has not begun to join is no obligation.

        Otherwise anybody could turn all nodes red for the price of a task whose spec nobody can fetch.
        """
        if duty.kind not in _OPPORTUNITIES:
            return True
        return self._journal.job(duty.key) is not None or self._sender.request(duty.tx_key()) is not None

    def _is_accepted(self, duty: Duty) -> bool:
        """Whether a block holds a successful transaction of the duty. It stays due until that block is settled."""
        requests = (self._sender.request(duty.tx_key(tag)) for tag in ("", "abstain"))
        return any(request is not None and request.status in _ACCEPTED for request in requests)

    def _running_jobs(self) -> Iterator[RunningJob]:
        now = time.monotonic()
        for key, progress in self._executor.progress().items():
            record = self._journal.job(key)
            attempt = 1 if record is None else record.starts
            seconds = round(now - progress.started, 1)
            yield RunningJob(key, progress.stage, progress.done, progress.total, seconds, attempt)

    def _transaction_counts(self) -> dict[str, int]:
        counts = self._transactions.count_by_status(self._identity.signer)
        return {status.value: count for status, count in counts.items()}

    def _last_accepted(self) -> AcceptedTransaction | None:
        newest = None
        for request in self._transactions.recent(_RECENT):
            if request.sender != self._identity.signer or request.status not in _ACCEPTED or request.block is None:
                continue
            if newest is None or (newest.block or 0) < request.block:
                newest = request
        if newest is None or newest.block is None:
            return None
        final = newest.status == TxStatus.DONE
        return AcceptedTransaction(newest.key, newest.call.describe, newest.tx_hash or "", newest.block, final)

    def _signer_balance(self) -> int | None:
        """The signer's balance, wei. Read once a minute; in every cycle while it is low, to clear the alarm at once."""
        is_low = self._balance is not None and self._balance < self._config.min_balance
        if is_low or time.monotonic() - self._balance_at >= _BALANCE_EVERY:
            self._balance = self._rpc.balance(self._identity.signer)
            self._balance_at = time.monotonic()
        return self._balance

    def _balance_problems(self, balance: int | None) -> Iterator[str]:
        minimum = self._config.min_balance
        if balance is not None and balance < minimum:
            yield f"{self._identity.signer} holds {balance} wei, less than min_balance {minimum}: send it some coin"


def recently_missed(state: ChainState, identity: Identity, now: int) -> Iterator[str]:
    """Keys of missed duties: of running tasks, and of ended ones for a day of chain time."""
    for task in state.tasks.values():
        if task.outcome == Outcome.RUNNING or (
            task.outcome != Outcome.REFUNDED and now - last_deadline(task) < MISSED_FOR
        ):
            yield from missed_duties(task, identity, now)


def last_deadline(task: Task) -> int:
    """The latest deadline of a duty that can be missed, chain time."""
    return max([task.schedule.entry_reveal_end, *(committee.reveal_end for committee in task.committees)])


def failing_snapshot(before: Snapshot, failures: int, error: Exception) -> Snapshot:
    """The last snapshot, with repeated failures of the main loop as its only problem."""
    return replace(before, problems=(f"the last {failures} cycles failed: {error}",))
