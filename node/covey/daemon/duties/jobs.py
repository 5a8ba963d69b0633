"""Running a worker job to its end: started once, tried again after a worker's death, its result kept."""

from __future__ import annotations

from typing import Any

from covey.daemon.context import Context, Ended, Waiting, given_up, log
from covey.daemon.planning.plan import Duty
from covey.daemon.storage.disk_space import shortages

MAX_STARTS = 20
"""Starts of one job over all restarts of the daemon: a job that takes the machine down must not do so for ever."""

_FIRST_PAUSE = 3.0  # seconds before a failed job's second attempt; a fork server may be starting again


def result_of(ctx: Context, duty: Duty, job: dict[str, Any]) -> dict[str, Any] | Waiting | Ended:
    """The job's result once there is one; given up when the job itself is bad or no attempt is left."""
    known = ctx.journal.job(duty.key)
    if known is not None and known.status == "done":
        assert known.result is not None
        return known.result
    if ctx.executor.active(duty.key):
        step = ctx.executor.progress().get(duty.key)
        return Waiting("queued for a worker" if step is None else f"{step.stage} {step.done}/{step.total}")
    if known is not None:
        if known.status == "refused":
            return given_up(f"the job cannot be done here: {known.error}")
        if known.failures >= ctx.config.max_job_attempts or known.starts >= MAX_STARTS:
            return given_up(f"no result after {known.starts} attempts: {known.error}")
        if not ctx.backoff.ready(f"job {duty.key}"):
            return Waiting(f"starts a worker again soon: {known.error}")
    if short := shortages(ctx.config):
        return Waiting(short[0])
    ctx.journal.start_job(duty.key, duty.task)
    ctx.executor.submit(duty.key, job, duty.deadline)
    log.info("job started", extra={"duty": duty.key, "attempt": 1 if known is None else known.starts + 1})
    return Waiting("given to a worker")


def collect(ctx: Context) -> int:
    """Write what workers have finished into the journal; how many of them failed.

    What the journal does not take, because the disk is full, is written at the next call: no result is lost.
    """
    failed = 0
    ctx.unrecorded += ctx.executor.poll()
    while ctx.unrecorded:
        finished = ctx.unrecorded[0]
        if finished.result is not None:
            ctx.journal.finish_job(finished.key, finished.result)
            log.info("job done", extra={"duty": finished.key})
        elif finished.failure is not None:
            failed += 1
            if finished.failure.disk_full:
                ctx.journal.postpone_job(finished.key, finished.failure.message)
            else:
                ctx.journal.fail_job(finished.key, finished.failure.message, final=not finished.failure.retry)
            ctx.backoff.failed(f"job {finished.key}", _FIRST_PAUSE)
            log.warning("job failed", extra={"duty": finished.key, "reason": finished.failure.message})
        del ctx.unrecorded[0]
    return failed
