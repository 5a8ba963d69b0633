"""The loop: look at the chain, plan, take every due duty one step further, send, tell how it goes, sleep."""

from __future__ import annotations

import threading
from dataclasses import replace
from logging import ERROR, WARNING

from covey.chain.errors import ChainError, FatalError, TransientError
from covey.chain.events.follower import Progress
from covey.chain.rpc.finality import newest_block
from covey.chain.rpc.responses import Block
from covey.daemon.assemble import Parts
from covey.daemon.context import Context, Ended, Step, log
from covey.daemon.duties import ADVANCE, WITHDRAWALS, jobs
from covey.daemon.duties.fetching import drop_fetched
from covey.daemon.duties.transactions import log_ended
from covey.daemon.integrity.reorg import on_reorg
from covey.daemon.integrity.resync import EventResync
from covey.daemon.monitoring.health import DueDuty, HealthState, Snapshot
from covey.daemon.monitoring.notifications import Notifications
from covey.daemon.monitoring.snapshot import MISSED_FOR, Reporter, failing, last_deadline
from covey.daemon.planning.plan import Duty, plan, plan_task, urgent
from covey.daemon.retention.data_quota import DataQuota
from covey.daemon.retention.retention import RetentionService
from covey.daemon.state.pruning import has_part, prune
from covey.daemon.state.world import ChainState, EventMissing, Task
from covey.daemon.storage.disk_space import is_full, told_full
from covey.protocol.types import Outcome

_LOOKS_TO_WORRY = 3  # failed looks in a row that turn the health red
_BUSY_PAUSE = 0.2  # seconds to the next look after one that changed something
_FULL_PAUSE = 5.0  # most seconds to the next look at a full disk


class Daemon:
    """A node at work. One thread calls `tick` again and again; `stop` may be set from anywhere."""

    def __init__(
        self, parts: Parts, health_state: HealthState, stop: threading.Event, notices: Notifications | None = None
    ) -> None:
        self.parts = parts
        self.health_state = health_state
        self.stop = stop
        self._notices = notices
        self._ended: dict[int, set[str]] = {}
        self._failures = 0
        self._errors: dict[str, str] = {}
        self._cleaned: set[int] = set()
        self._reporter = Reporter(parts)
        self._doubts = EventResync(parts, health_state)
        ctx = parts.context
        config = ctx.config
        health_state.limits(config.min_balance, config.disk_quota)
        room = DataQuota(config.data_dir, config.disk_quota, ctx.network, config.bases, ctx.bases, ctx.specs)
        self._keeping = RetentionService(
            ctx.keeper,
            ctx.fetcher.cache,
            days=config.retention_days,
            every_s=config.retention_check_interval_seconds,
            data=room,
            evicted=health_state.evicted.inc,
        )

    @property
    def context(self) -> Context:
        return self.parts.context

    def run(self) -> None:
        """Look until `stop`. Raises Fatal for what only the operator can mend; anything else is tried again."""
        config = self.context.config
        while not self.stop.is_set():
            try:
                busy = self.tick()
                self._failures = 0
                pause = min(_BUSY_PAUSE, config.poll_interval_seconds) if busy else config.poll_interval_seconds
            except FatalError:
                raise
            except Exception as error:
                self._failures += 1
                self._failed(error)
                pause = min(60.0, config.poll_interval_seconds * 2 ** min(self._failures, 5))
                if is_full(error):  # a try costs little, and room may come at any moment
                    pause = min(_FULL_PAUSE, config.poll_interval_seconds)
            self.stop.wait(pause)

    def tick(self) -> bool:
        """One round. True when something moved, so that it pays to look again soon."""
        ctx = self.context
        try:
            progress = self.parts.follower.poll()
        except EventMissing as error:
            self._doubts.missing(error)
            raise
        if progress.rewound_to is not None:
            on_reorg(ctx, progress.rewound_to)
            self._ended.clear()
            self._cleaned.clear()
        head = newest_block(ctx.contracts.rpc)
        ctx.now, ctx.world = head.timestamp, self.parts.log.world
        self.health_state.job_failures.inc(jobs.collect(ctx))
        due: list[Duty] = []
        ahead = ctx.world
        doubted = False
        if progress.caught_up:
            ahead = self._ahead(progress, head)
            doubted = self._doubts.check(head, progress, ahead)
        if progress.caught_up and not doubted:
            due = self.due(ctx.now, ahead)
            self._drop_what_is_over(due)
        waits = [DueDuty(duty.key, duty.deadline, self._advance(duty, ahead)) for duty in due]
        sending = ctx.sender.tick()
        queued = 0 if sending.blocked or sending.waits else sending.queued
        ended = log_ended(ctx)
        self._keeping.tick(ctx.world, ctx.now)
        self._clean_up()
        self._tell(head, progress, due, waits)
        self.health_state.cycles.inc()
        self.health_state.events.inc(progress.events)
        return progress.events > 0 or not progress.caught_up or doubted or queued > 0 or ended > 0

    def _ahead(self, progress: Progress, head: Block) -> ChainState:
        """What the head says."""
        try:
            return self.parts.head.world(self.context.world, progress.checkpoint.block, head.number)
        except EventMissing as error:
            self._doubts.missing(error, ahead=True)
            raise

    def due(self, now: int, ahead: ChainState) -> list[Duty]:
        """What is due at chain time `now` by what is settled; near its deadline, by what the head says too."""
        for task in ahead.tasks:
            if task not in self._ended:
                self._ended[task] = set(self.context.journal.ended_duties(task))
        settled = self.parts.log.world
        due = plan(settled, self.context.me, now, self._ended)
        planned = {duty.key for duty in due}
        owed = [duty for duty in self._doubts.owed(settled, now) if duty.key not in planned and not self._over(duty)]
        due = sorted([*due, *owed])
        if ahead is settled:
            return due
        known = {duty.key for duty in due}
        more = [duty for duty in plan(ahead, self.context.me, now, self._ended) if duty.key not in known]
        return sorted([*due, *(duty for duty in more if duty.task and urgent(ahead.tasks[duty.task], duty, now))])

    def _over(self, duty: Duty) -> bool:
        return duty.key in self._ended.get(duty.task, ())

    def _advance(self, duty: Duty, ahead: ChainState) -> str:
        """Take a duty one step further; what it waits for, in words."""
        ctx = self.context
        if not ctx.backoff.ready(f"error {duty.key}"):
            return f"tries again soon: {self._errors.get(duty.key, '')}"
        try:
            step = self._step(duty, ahead)
        except FatalError:
            raise
        except Exception as error:  # one duty's trouble must not hold up the others
            self.health_state.duty_errors.inc()
            full = is_full(error)
            if not full:
                ctx.backoff.failed(f"error {duty.key}")
            expected = isinstance(error, ChainError) or full
            self._errors[duty.key] = (
                told_full(ctx.config, error) if full else str(error) if expected else f"{type(error).__name__}: {error}"
            )
            told = {"duty": duty.key, "reason": self._errors[duty.key]}
            log.log(WARNING if expected else ERROR, "duty failed", extra=told, exc_info=not expected)
            return self._errors[duty.key]
        if self._errors.pop(duty.key, None) is not None:
            ctx.backoff.reset(f"error {duty.key}")
        if isinstance(step, Ended):
            ctx.journal.end_duty(duty.key, duty.task, step.status, step.note, ctx.now)
            self._ended.setdefault(duty.task, set()).add(duty.key)
            log.info(f"duty {step.status.value}", extra={"duty": duty.key, "note": step.note})
            return step.note
        return step.reason

    def _step(self, duty: Duty, ahead: ChainState) -> Step:
        if (withdrawal := WITHDRAWALS.get(duty.kind)) is not None:
            return withdrawal(self.context, duty)
        return ADVANCE[duty.kind](self.context, ahead.tasks[duty.task], duty)

    def _drop_what_is_over(self, due: list[Duty]) -> None:
        """End workers, and forget errors, of duties that are no longer due."""
        keys = {duty.key for duty in due}
        self._errors = {key: error for key, error in self._errors.items() if key in keys}
        for key in self.context.executor.keys() - keys:
            log.info("job cancelled: its duty is over", extra={"duty": key})
            self.context.executor.cancel(key)

    def _clean_up(self) -> None:
        """Free the disk and the memory of tasks that are over."""
        ctx, world = self.context, self.parts.log.world
        for task in world.tasks.values():
            if task.outcome != Outcome.RUNNING and task.id not in self._cleaned:
                self._cleaned.add(task.id)
                drop_fetched(ctx, task.id)
        for number in prune(world, self._still_needed):
            self._ended.pop(number, None)
            self._cleaned.discard(number)
            ctx.background.forget(f"spec/{number}")
            if not world.past[number].entries:
                ctx.specs.pop(number, None)

    def _still_needed(self, task: Task) -> bool:
        """Whether an ended task has anything left to do, or to tell, here."""
        me, now = self.context.me, self.context.now
        if not has_part(task, me.operator):
            return False
        if now - last_deadline(task) < MISSED_FOR:
            return True
        closed = self._ended.get(task.id, ())
        return any(duty.key not in closed for duty in plan_task(task, replace(me, auto_claim=True), now))

    def _failed(self, error: Exception) -> None:
        self.health_state.failed_cycles.inc()
        if is_full(error):
            told = told_full(self.context.config, error)
            log.warning("look failed", extra={"reason": told, "in_a_row": self._failures})
            self._show(replace(self.health_state.snapshot, problems=(told,)))
            return
        if isinstance(error, TransientError):
            log.warning("look failed", extra={"reason": str(error), "in_a_row": self._failures})
        else:
            log.exception("look failed")
        if self._failures >= _LOOKS_TO_WORRY:
            self._show(failing(self.health_state.snapshot, self._failures, error))

    def _tell(self, head: Block, progress: Progress, due: list[Duty], waits: list[DueDuty]) -> None:
        kept, promised = self._keeping.kept, self._keeping.promised
        errors = {**self._doubts.problems, **self._errors}
        self._show(self._reporter.snapshot(head, progress, due, waits, errors, kept, promised))
        if self._notices is not None and progress.caught_up:
            self._notices.chain(progress.checkpoint.block)

    def _show(self, snapshot: Snapshot) -> None:
        self.health_state.show(snapshot)
        if self._notices is not None:
            self._notices.health(snapshot)
