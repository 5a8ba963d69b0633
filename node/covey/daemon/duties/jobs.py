"""Runs a worker job to its end: started once, retried after a worker's death, its result stored in the journal."""

from __future__ import annotations

from covey.daemon.context import Context, log
from covey.daemon.duties.outcomes import Ended, Waiting, given_up
from covey.daemon.planning.duty import Duty
from covey.daemon.storage.disk_space import shortages
from covey.daemon.storage.journal import JobStatus
from covey.lora.errors import ResultError
from covey.lora.jobs.job import ScoreJob, TrainJob
from covey.lora.jobs.result import Result, ScoreResult, TrainResult

MAX_STARTS = 20
"""Maximum starts of one job over all restarts of the daemon, in case the job itself takes the machine down."""

_FIRST_DELAY = 3.0  # seconds before a failed job's second attempt; a fork server may be restarting


def train(ctx: Context, duty: Duty, job: TrainJob) -> TrainResult | Waiting | Ended:
    """The training job's result; given up if the job is invalid or no attempt is left."""
    outcome = _run(ctx, duty, job)
    if isinstance(outcome, TrainResult | Waiting | Ended):
        return outcome
    raise ResultError(f"the result of {duty.key} is not of a training job but of kind {outcome.kind}")


def score(ctx: Context, duty: Duty, job: ScoreJob) -> ScoreResult | Waiting | Ended:
    """The scoring job's result; given up if the job is invalid or no attempt is left."""
    outcome = _run(ctx, duty, job)
    if isinstance(outcome, ScoreResult | Waiting | Ended):
        return outcome
    raise ResultError(f"the result of {duty.key} is not of a scoring job but of kind {outcome.kind}")


def _run(ctx: Context, duty: Duty, job: TrainJob | ScoreJob) -> Result | Waiting | Ended:
    known = ctx.journal.job(duty.key)
    if known is not None and known.result is not None and known.status == JobStatus.DONE:
        return known.result
    if ctx.executor.active(duty.key):
        progress = ctx.executor.progress().get(duty.key)
        if progress is None:
            return Waiting("queued for a worker")
        return Waiting(f"{progress.stage} {progress.done}/{progress.total}")
    if known is not None:
        if known.status == JobStatus.REFUSED:
            return given_up(f"the job is invalid here: {known.error}")
        if known.failures >= ctx.config.max_job_attempts or known.starts >= MAX_STARTS:
            return given_up(f"no result after {known.starts} attempts: {known.error}")
        if not ctx.backoff.ready(f"job {duty.key}"):
            return Waiting(f"starts a worker again soon: {known.error}")
    if short := shortages(ctx.config):
        return Waiting(short[0])
    ctx.journal.start_job(duty.key, duty.task)
    ctx.executor.submit(duty.key, job, duty.deadline)
    log.info("job started", extra={"duty": duty.key, "attempt": 1 if known is None else known.starts + 1})
    return Waiting("submitted to a worker")


def collect(ctx: Context) -> int:
    """Store the outcomes of finished jobs in the journal. Returns the number of failures.

    Outcomes that the journal cannot store because the disk is full stay in memory for the next call.
    """
    failed = 0
    ctx.unrecorded += ctx.executor.poll()
    while ctx.unrecorded:
        finished = ctx.unrecorded[0]
        if finished.result is not None:
            ctx.journal.finish_job(finished.key, finished.result)
            ctx.readiness.succeeded()
            log.info("job done", extra={"duty": finished.key})
        elif finished.failure is not None:
            failed += 1
            if finished.failure.disk_full:
                ctx.journal.postpone_job(finished.key, finished.failure.message)
            else:
                ctx.journal.fail_job(finished.key, finished.failure.message, final=not finished.failure.retry)
            if finished.failure.setup:
                ctx.readiness.failed(finished.key, finished.failure.message)
            ctx.backoff.failed(f"job {finished.key}", _FIRST_DELAY)
            log.warning("job failed", extra={"duty": finished.key, "reason": finished.failure.message})
        del ctx.unrecorded[0]
    return failed
