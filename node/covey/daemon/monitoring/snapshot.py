"""From a look at the chain to the snapshot that `/health`, `/metrics` and `covey status` show."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from covey.chain.events.follower import Progress
from covey.chain.rpc.responses import Block
from covey.chain.tx.store import SqliteTxStore, TxStatus
from covey.daemon.assemble import Parts
from covey.daemon.context import Context
from covey.daemon.duties.transactions import tx_key
from covey.daemon.monitoring.clock import ClockWatch
from covey.daemon.monitoring.health import Lateness
from covey.daemon.monitoring.metrics import AcceptedTransaction, DueDuty, RunningJob, Snapshot
from covey.daemon.planning.plan import NO_DEADLINE, PERMISSIONLESS, Duty, missed, my_seats
from covey.daemon.retention.retention import Kept
from covey.daemon.state.world import ChainState, Task
from covey.daemon.storage.disk_space import shortages
from covey.protocol.types import Outcome

MISSED_FOR = 86_400
"""Seconds of chain time for which a missed duty is told, so that nobody sleeps through it."""
_BALANCE_EVERY = 60.0  # seconds between two looks at the signer's balance
_ACCEPTED = (TxStatus.MINED, TxStatus.DONE)
_RECENT = 64  # newest transactions among which the newest accepted one is looked for


class Reporter:
    """Makes the snapshots of one node."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._store = SqliteTxStore(parts.context.journal.db)
        self._lateness = Lateness()
        self._clock = ClockWatch()
        self._balance: int | None = None
        self._balance_at = -_BALANCE_EVERY
        self._behind_since: float | None = None

    def snapshot(
        self,
        head: Block,
        progress: Progress,
        due: Sequence[Duty],
        waits: Sequence[DueDuty],
        errors: Mapping[str, str],
        kept: Kept,
        promised: int,
    ) -> Snapshot:
        """What is so now. `errors`: why duties could not be advanced, by key."""
        ctx, world = self._parts.context, self._parts.log.world
        status, balance = ctx.sender.status, self._signer_balance(ctx)
        running = world.running()
        gone = tuple(recently_missed(world, ctx, ctx.now))
        problems = [
            *self._chain_problems(ctx, head, progress),
            *(f"late: {key} is due and no transaction for it was accepted" for key in self._late(ctx, due)),
            *(f"{key}: {error}" for key, error in errors.items()),
            *(text for text in (status.blocked, status.external) if text),
            *_money_problems(ctx, balance),
            *shortages(ctx.config),
            *(f"missed: {key}" for key in gone),
            *(f"lapsed: {lapse}" for lapse in kept.lapses),
            *kept.problems,
        ]
        self._clock.tick(head.number, head.timestamp)
        warning = self._clock.warning()
        steps = ctx.executor.progress()
        accepted = self._last_accepted(ctx.me.signer)
        return Snapshot(
            operator=ctx.me.operator,
            signer=ctx.me.signer,
            roles=tuple(role.value for role in ctx.me.roles),
            head_block=head.number,
            head_time=head.timestamp,
            settled_block=progress.checkpoint.block,
            running_tasks=len(running),
            balance=balance,
            seats={task.id: seats for task in running if (seats := my_seats(task, ctx.me))},
            due=tuple(waits),
            running=tuple(self._running(ctx)),
            queued_jobs=ctx.executor.queued(),
            jobs={key: f"{step.stage} {step.done}/{step.total}" for key, step in steps.items()},
            transactions=self._transactions(ctx),
            last_accepted_block=status.accepted_block if accepted is None else accepted.block,
            last_accepted=accepted,
            missed=gone,
            earnings=dict(self._parts.ledger.sums),
            credits=sum(
                owed.get(one, 0)
                for one in {ctx.me.operator, ctx.me.signer, *ctx.me.accounts}
                for owed in (world.owed, world.slash_shares, world.appeal_bonds)
            ),
            promised=promised,
            lapses=kept.lapses,
            stored_bytes=kept.stored_bytes,
            store_quota_bytes=kept.quota_bytes,
            data_bytes=kept.data_bytes,
            disk_quota_bytes=int(ctx.config.disk_quota),
            endpoints=tuple(ctx.contracts.rpc.report()),
            clock_ahead=self._clock.ahead,
            warnings=() if warning is None else (warning,),
            problems=tuple(problems),
        )

    def _chain_problems(self, ctx: Context, head: Block, progress: Progress) -> Iterator[str]:
        patience = ctx.config.max_head_age_seconds
        if (age := self._lateness.head_age(head.number)) > patience:
            yield f"no new block for {age:.0f} s"
        if progress.caught_up:
            self._behind_since = None
            return
        now = time.monotonic()
        self._behind_since = now if self._behind_since is None else self._behind_since
        if now - self._behind_since > patience:
            yield f"events were read up to block {progress.checkpoint.block} only, of {progress.target.number}"

    def _late(self, ctx: Context, due: Sequence[Duty]) -> list[str]:
        own = [
            (duty.key, duty.deadline)
            for duty in due
            if duty.deadline < NO_DEADLINE and duty.kind not in PERMISSIONLESS and not _accepted(ctx, duty)
        ]
        return self._lateness.late(own, ctx.now)

    def _running(self, ctx: Context) -> Iterator[RunningJob]:
        now = time.monotonic()
        for key, step in ctx.executor.progress().items():
            job = ctx.journal.job(key)
            attempt = 1 if job is None else job.starts
            yield RunningJob(key, step.stage, step.done, step.total, round(now - step.started, 1), attempt)

    def _transactions(self, ctx: Context) -> dict[str, int]:
        return {status.value: count for status, count in self._store.count_by_status(ctx.me.signer).items()}

    def _last_accepted(self, signer: str) -> AcceptedTransaction | None:
        newest = None
        for one in self._store.recent(_RECENT):
            if one.sender != signer or one.status not in _ACCEPTED or one.block is None:
                continue
            if newest is None or (newest.block or 0) < one.block:
                newest = one
        if newest is None or newest.block is None:
            return None
        final = newest.status == TxStatus.DONE
        return AcceptedTransaction(newest.key, newest.call.describe, newest.tx_hash or "", newest.block, final)

    def _signer_balance(self, ctx: Context) -> int | None:
        if time.monotonic() - self._balance_at >= _BALANCE_EVERY or self._short(ctx):
            self._balance = ctx.contracts.rpc.balance(ctx.me.signer)
            self._balance_at = time.monotonic()
        return self._balance

    def _short(self, ctx: Context) -> bool:
        """Short of funds, it looks each time: the alarm ends when they come."""
        return self._balance is not None and self._balance < ctx.config.min_balance


def recently_missed(world: ChainState, ctx: Context, now: int) -> Iterator[str]:
    """Keys of duties whose time ran out: of running tasks, and of ended ones for a day of chain time."""
    for task in world.tasks.values():
        if task.outcome == Outcome.RUNNING or (
            task.outcome != Outcome.REFUNDED and now - last_deadline(task) < MISSED_FOR
        ):
            yield from missed(task, ctx.me, now)


def last_deadline(task: Task) -> int:
    """When the last duty that can be missed was due, chain time."""
    return max([task.schedule.entry_reveal_end, *(c.reveal_end for c in task.committees)])


def failing(before: Snapshot, failures: int, error: Exception) -> Snapshot:
    """The snapshot of a node whose looks at the chain fail: what was known, and why it may be wrong by now."""
    return replace(before, problems=(f"the last {failures} looks at the chain failed: {error}",))


def _accepted(ctx: Context, duty: Duty) -> bool:
    """Whether a block holds a successful transaction of this duty; it is due until that block is settled."""
    requests = (ctx.sender.request(tx_key(duty, tag)) for tag in ("", "abstain"))
    return any(request is not None and request.status in _ACCEPTED for request in requests)


def _money_problems(ctx: Context, balance: int | None) -> Iterator[str]:
    if balance is not None and balance < ctx.config.min_balance:
        yield f"{ctx.me.signer} holds {balance} wei, less than min_balance {ctx.config.min_balance}: send it some coin"
