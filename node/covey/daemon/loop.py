"""The main loop: read the chain, plan, take every due duty one step further, send, report, sleep."""

from __future__ import annotations

import threading
from dataclasses import replace
from logging import ERROR, WARNING

from covey.chain.errors import ChainError, FatalError, TransientError
from covey.chain.events.follower import Progress
from covey.chain.rpc.finality import newest_block
from covey.chain.rpc.responses import Block
from covey.daemon.assemble import Parts
from covey.daemon.context import log
from covey.daemon.duties import ADVANCE, WITHDRAWALS, jobs
from covey.daemon.duties.fetching import delete_fetched
from covey.daemon.duties.outcomes import Ended, Step
from covey.daemon.duties.transactions import log_outcomes
from covey.daemon.integrity.reorg import on_reorg
from covey.daemon.monitoring.metrics import DueDuty, Snapshot
from covey.daemon.monitoring.snapshot import MISSED_FOR, failing_snapshot, last_deadline
from covey.daemon.planning.duty import Duty
from covey.daemon.planning.plan import is_urgent, plan, plan_task
from covey.daemon.state.events import EventMissing
from covey.daemon.state.pruning import has_part, prune
from covey.daemon.state.task import Task
from covey.daemon.state.world import ChainState
from covey.daemon.storage.disk_space import disk_full_message, is_full
from covey.protocol.types import Outcome

_FAILURES_TO_RED = 3  # failed cycles in a row that turn the health red
_BUSY_PAUSE = 0.2  # seconds to the next cycle after one that changed something
_FULL_PAUSE = 5.0  # maximum seconds to the next cycle on a full disk


class Daemon:
    """A running node. One thread calls `tick` repeatedly; `stop` may be set from any thread."""

    def __init__(self, parts: Parts, stop: threading.Event) -> None:
        self._parts = parts
        self._context = parts.context
        self._health = parts.health
        self._stop = stop
        self._ended: dict[int, set[str]] = {}  # keys of locally ended duties by task
        self._failures = 0
        self._errors: dict[str, str] = {}  # why duties could not be advanced, by key
        self._cleaned: set[int] = set()  # ended tasks whose fetched entries are deleted

    def run(self) -> None:
        """Run cycles until `stop` is set. Raises FatalError for the operator to fix; other errors are retried."""
        interval = self._context.config.poll_interval_seconds
        while not self._stop.is_set():
            try:
                busy = self.tick()
                self._failures = 0
                pause = min(_BUSY_PAUSE, interval) if busy else interval
            except FatalError:
                raise
            except Exception as error:
                self._failures += 1
                self._on_failed_cycle(error)
                pause = min(60.0, interval * 2 ** min(self._failures, 5))
                if is_full(error):  # a retry is cheap, and space may be freed at any moment
                    pause = min(_FULL_PAUSE, interval)
            self._stop.wait(pause)

    def tick(self) -> bool:
        """Run one cycle. Returns True if something changed, so that the next cycle should follow soon."""
        ctx = self._context
        try:
            progress = self._parts.follower.poll()
        except EventMissing as error:
            self._parts.resync.on_missing_event(error)
            raise
        if progress.rewound_to is not None:
            on_reorg(ctx.journal, ctx.specs, ctx.background, progress.rewound_to)
            self._ended.clear()
            self._cleaned.clear()
        head = newest_block(ctx.contracts.rpc)
        ctx.now, ctx.state = head.timestamp, self._parts.chain_log.state
        self._health.job_failures.inc(jobs.collect(ctx))
        due: list[Duty] = []
        head_state = ctx.state
        resynced = False
        if progress.caught_up:
            head_state = self._project_head(progress, head)
            resynced = self._parts.resync.check(ctx.now, head, progress, head_state)
        if progress.caught_up and not resynced:
            due = self._due(ctx.now, head_state)
            self._drop_ended(due)
        waits = [DueDuty(duty.key, duty.deadline, self._advance(duty, head_state)) for duty in due]
        sending = ctx.sender.tick()
        queued = 0 if sending.blocked or sending.waits else sending.queued
        ended = log_outcomes(ctx)
        self._parts.retention.tick(ctx.state, ctx.now)
        self._clean_up()
        self._report(head, progress, due, waits)
        self._health.cycles.inc()
        self._health.events.inc(progress.events)
        return progress.events > 0 or not progress.caught_up or resynced or queued > 0 or ended > 0

    def _project_head(self, progress: Progress, head: Block) -> ChainState:
        """The state at the head."""
        try:
            return self._parts.head.project(self._context.state, progress.checkpoint.block, head.number)
        except EventMissing as error:
            self._parts.resync.on_missing_event(error, at_head=True)
            raise

    def _due(self, now: int, head_state: ChainState) -> list[Duty]:
        """Duties due by the settled state, and urgent ones that only the head shows."""
        identity = self._context.identity
        for task in head_state.tasks:
            if task not in self._ended:
                self._ended[task] = set(self._context.journal.ended_duties(task))
        settled = self._parts.chain_log.state
        due = plan(settled, identity, now, self._ended)
        keys = {duty.key for duty in due}
        owed = self._parts.resync.owed_duties(settled, now)
        due = sorted([*due, *(duty for duty in owed if duty.key not in keys and not self._has_ended(duty))])
        if head_state is settled:
            return due
        keys = {duty.key for duty in due}
        at_head = [duty for duty in plan(head_state, identity, now, self._ended) if duty.key not in keys]
        urgent = (duty for duty in at_head if duty.task and is_urgent(head_state.tasks[duty.task], duty, now))
        return sorted([*due, *urgent])

    def _has_ended(self, duty: Duty) -> bool:
        return duty.key in self._ended.get(duty.task, ())

    def _advance(self, duty: Duty, head_state: ChainState) -> str:
        """Take a duty one step further. Returns what it waits for."""
        ctx = self._context
        if not ctx.backoff.ready(f"error {duty.key}"):
            return f"retries soon: {self._errors.get(duty.key, '')}"
        try:
            step = self._step(duty, head_state)
        except FatalError:
            raise
        except Exception as error:  # an error in one duty must not delay the others
            return self._on_failed_duty(duty, error)
        if self._errors.pop(duty.key, None) is not None:
            ctx.backoff.reset(f"error {duty.key}")
        if isinstance(step, Ended):
            ctx.journal.end_duty(duty.key, duty.task, step.status, step.note, ctx.now)
            self._ended.setdefault(duty.task, set()).add(duty.key)
            log.info(f"duty {step.status.value}", extra={"duty": duty.key, "note": step.note})
            return step.note
        return step.reason

    def _step(self, duty: Duty, head_state: ChainState) -> Step:
        if (withdrawal := WITHDRAWALS.get(duty.kind)) is not None:
            return withdrawal(self._context, duty)
        return ADVANCE[duty.kind](self._context, head_state.tasks[duty.task], duty)

    def _on_failed_duty(self, duty: Duty, error: Exception) -> str:
        """Record why a duty failed, and delay its next attempt. Returns the reason."""
        ctx = self._context
        self._health.duty_errors.inc()
        full = is_full(error)
        if not full:
            ctx.backoff.failed(f"error {duty.key}")
        expected = isinstance(error, ChainError) or full
        if full:
            reason = disk_full_message(ctx.config, error)
        else:
            reason = str(error) if expected else f"{type(error).__name__}: {error}"
        self._errors[duty.key] = reason
        fields = {"duty": duty.key, "reason": reason}
        log.log(WARNING if expected else ERROR, "duty failed", extra=fields, exc_info=not expected)
        return reason

    def _drop_ended(self, due: list[Duty]) -> None:
        """End the workers, and forget the errors, of duties that are no longer due."""
        keys = {duty.key for duty in due}
        self._errors = {key: error for key, error in self._errors.items() if key in keys}
        for key in self._context.executor.keys() - keys:
            log.info("job cancelled: its duty is no longer due", extra={"duty": key})
            self._context.executor.cancel(key)

    def _clean_up(self) -> None:
        """Free the disk space and memory of ended tasks."""
        ctx, state = self._context, self._parts.chain_log.state
        for task in state.tasks.values():
            if task.outcome != Outcome.RUNNING and task.id not in self._cleaned:
                self._cleaned.add(task.id)
                delete_fetched(ctx, task.id)
        for number in prune(state, self._is_needed):
            self._ended.pop(number, None)
            self._cleaned.discard(number)
            ctx.background.forget(f"spec/{number}")
            ctx.background.forget(f"tokens/{number}/")
            if not state.past[number].entries:
                ctx.specs.pop(number, None)

    def _is_needed(self, task: Task) -> bool:
        """Whether the node still has something to do, or to report, in an ended task."""
        identity, now = self._context.identity, self._context.now
        if not has_part(task, identity.operator):
            return False
        if now - last_deadline(task) < MISSED_FOR:
            return True
        ended = self._ended.get(task.id, ())
        return any(duty.key not in ended for duty in plan_task(task, replace(identity, auto_claim=True), now))

    def _on_failed_cycle(self, error: Exception) -> None:
        self._health.failed_cycles.inc()
        if is_full(error):
            reason = disk_full_message(self._context.config, error)
            log.warning("cycle failed", extra={"reason": reason, "in_a_row": self._failures})
            self._show(replace(self._health.snapshot, problems=(reason,)))
            return
        if isinstance(error, TransientError):
            log.warning("cycle failed", extra={"reason": str(error), "in_a_row": self._failures})
        else:
            log.exception("cycle failed")
        if self._failures >= _FAILURES_TO_RED:
            self._show(failing_snapshot(self._health.snapshot, self._failures, error))

    def _report(self, head: Block, progress: Progress, due: list[Duty], waits: list[DueDuty]) -> None:
        """Publish the cycle's snapshot, and notify of settled events."""
        retention = self._parts.retention
        snapshot = self._parts.reporter.snapshot(
            now=self._context.now,
            head=head,
            progress=progress,
            due=due,
            waits=waits,
            errors={**self._parts.resync.problems, **self._errors},
            retention=retention.report,
            retained=retention.retained,
            blocked=self._context.readiness.problems(),
        )
        self._show(snapshot)
        if self._parts.notifications is not None and progress.caught_up:
            self._parts.notifications.on_settled(progress.checkpoint.block)

    def _show(self, snapshot: Snapshot) -> None:
        self._health.show(snapshot)
        if self._parts.notifications is not None:
            self._parts.notifications.on_health(snapshot)
