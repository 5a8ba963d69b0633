"""Scores a task: fetch every revealed entry, run the model over held-out records, commit to the row.

An entry whose file breaks the rules, or that no source delivers in time, scores 0; so does every entry of a task whose
sealed set is withheld. A failure of this machine never becomes a score: the job is retried, and in the end the node
abstains.
"""

from __future__ import annotations

import os

from covey.daemon.context import Context, log
from covey.daemon.duties import jobs, rows
from covey.daemon.duties.fetching import Fetched, fetch_entries
from covey.daemon.duties.lookback import EarlierEntries, fetch_earlier
from covey.daemon.duties.outcomes import Ended, Step, Waiting
from covey.daemon.duties.preflight import reason_not_to_commit
from covey.daemon.duties.records import heldout_records, records_by_stratum
from covey.daemon.duties.sealed import sheet_of_withheld_set
from covey.daemon.duties.specs import base_of, spec_of
from covey.daemon.duties.transactions import send, transaction_progress
from covey.daemon.planning.duty import Duty
from covey.daemon.state.task import Task
from covey.daemon.storage.commitments import CommittedRow
from covey.daemon.storage.journal import JobStatus
from covey.ipfs import directory_cid
from covey.lora.jobs.feasible import job_device
from covey.lora.jobs.job import ScoredAdapter, ScoreJob
from covey.lora.jobs.result import ScoreResult
from covey.protocol.scores import pack
from covey.protocol.sheet import SHEET_NAME, EntryScore, ScoreSheet
from covey.protocol.spec import TaskSpec
from covey.protocol.types import Evaluation, RowStatus

_FETCH_SHARE = 0.5
"""Until this share of the commit window is left, entries may still arrive. Then missing ones score 0."""
_EARLIER_SHARE = 0.75
"""The same for entries of earlier tasks. Then the comparison uses those fetched so far."""
_LAST_SHARE = 0.1
"""In this last share of the commit window, a node without scores abstains, because silence would be slashed."""

_EVENTS_MISSING = "the contracts show a seat, but the events of the round are missing"


def advance(ctx: Context, task: Task, duty: Duty) -> Step:
    row = rows.for_entries(ctx, task, duty)
    for tag in ("", "abstain"):  # at most one of the two exists
        if (in_progress := transaction_progress(ctx, duty, tag)) is not None:
            return in_progress
    committee = task.committee
    if committee is None or not committee.seeded or committee.number != duty.round:
        return _wait_or_abstain(ctx, task, duty, _EVENTS_MISSING)
    if row is None:
        try:
            scored: ScoreSheet | Waiting | Ended = _score(ctx, task, duty)
        except OSError as error:
            if not _is_last_call(ctx, task, duty):
                raise
            scored = Waiting(str(error))
        if isinstance(scored, Waiting):
            return _wait_or_abstain(ctx, task, duty, scored.reason)
        if isinstance(scored, Ended):
            return _abstain(ctx, task, duty, scored.note)
        row = _save_row(ctx, duty, scored)
        log.info("scores ready", extra={"task": task.id, "duty": duty.key, "scores": scored.scores()})
    if (reason := reason_not_to_commit(ctx, task, duty)) is not None:
        return _wait_or_abstain(ctx, task, duty, reason)
    return _commit(ctx, task, duty, row)


def _is_last_call(ctx: Context, task: Task, duty: Duty) -> bool:
    """Whether a node without scores must abstain now."""
    return ctx.now >= duty.deadline - _LAST_SHARE * task.params.windows.score_commit


def _wait_or_abstain(ctx: Context, task: Task, duty: Duty, reason: str) -> Step:
    return _abstain(ctx, task, duty, reason) if _is_last_call(ctx, task, duty) else Waiting(reason)


def _score(ctx: Context, task: Task, duty: Duty) -> ScoreSheet | Waiting | Ended:
    spec = spec_of(ctx, task)
    if isinstance(spec, Waiting | Ended):
        return spec
    if task.params.evaluation != Evaluation.LOCAL:  # enrolled by hand; the node itself would have declined
        give_up = duty.deadline - int(_FETCH_SHARE * task.params.windows.score_commit)
        return sheet_of_withheld_set(ctx, task, duty, spec, give_up)
    base = base_of(ctx, spec)
    if isinstance(base, Waiting | Ended):
        return base
    rows.drop_outdated_job(ctx, task, duty)
    fetched = fetch_entries(ctx, task, spec)
    if (waiting := _wait_for_entries(ctx, task, duty, fetched)) is not None:
        return waiting
    earlier = fetch_earlier(ctx, task, spec)
    if earlier.pending and _may_wait(ctx, task, duty, _EARLIER_SHARE):
        return Waiting(f"{earlier.pending} entries of earlier tasks are being fetched")
    if isinstance(counts := records_by_stratum(ctx, heldout_records(ctx.config)), Waiting):
        return counts
    job = _build_job(ctx, task, duty, spec, base, fetched, earlier)
    result = ctx.strategy.scoring_result(job)
    if result is None:
        outcome = jobs.score(ctx, duty, job)
        if isinstance(outcome, Waiting | Ended):
            return outcome
        result = outcome
    return _build_sheet(ctx, task, duty, spec, result, fetched)


def _may_wait(ctx: Context, task: Task, duty: Duty, share: float) -> bool:
    """Whether more than `share` of the commit window is left, and the job has not been started yet."""
    if ctx.journal.job(duty.key) is not None:
        return False
    return ctx.now < duty.deadline - share * task.params.windows.score_commit


def _wait_for_entries(ctx: Context, task: Task, duty: Duty, fetched: Fetched) -> Waiting | None:
    """What the job waits for; None if it can run with the fetched entries."""
    known = ctx.journal.job(duty.key)
    if fetched.local_errors and (known is None or known.status != JobStatus.DONE):
        lane, reason = min(fetched.local_errors.items())
        return Waiting(f"lane {lane} {reason}")  # in the end the node abstains; a local error never scores 0
    if known is not None or (not fetched.pending and fetched.complete(len(task.lanes))):
        return None
    if fetched.pending:
        lane, reason = min(fetched.pending.items())
        return Waiting(f"lane {lane} {reason}")
    if _may_wait(ctx, task, duty, _FETCH_SHARE):
        lane, reason = min(fetched.missing.items())
        return Waiting(f"{len(fetched.missing)} entries are missing; lane {lane}: {reason}")
    for lane, reason in fetched.missing.items():
        log.warning("entry unavailable", extra={"task": task.id, "lane": lane, "reason": reason})
    return None


def _build_job(
    ctx: Context, task: Task, duty: Duty, spec: TaskSpec, base: str, fetched: Fetched, earlier: EarlierEntries
) -> ScoreJob:
    by_commitment = sorted(task.revealed_entries, key=lambda entry: entry.sequence)
    adapters = [
        ScoredAdapter(
            lane=entry.lane,
            folder=str(fetched.folders[entry.lane].resolve()) if entry.lane in fetched.folders else None,
            operator=entry.operator.lower(),
        )
        for entry in by_commitment
    ]
    return ScoreJob(
        base=base,
        spec=spec,
        records=str(heldout_records(ctx.config).resolve()),
        adapters=adapters,
        earlier=[str(folder.resolve()) for folder in earlier.folders],
        task=ctx.reference(task),
        seed=_sample_seed(ctx, duty),
        device=job_device(spec, ctx.config.device),
        threads=ctx.config.worker_threads,
        memory_mb=ctx.config.worker_memory_mib,
    )


def _sample_seed(ctx: Context, duty: Duty) -> str:
    """Seed of the sample of records: secret, new for each task and round, and the same over retries."""
    name = f"{ctx.network}/sample/{duty.task}/{duty.round}"
    payload = ctx.journal.secret(name)
    if payload is None:
        payload = {"seed": os.urandom(16).hex()}
        ctx.journal.save_secret(name, payload)
    return str(payload["seed"])


def _build_sheet(
    ctx: Context, task: Task, duty: Duty, spec: TaskSpec, result: ScoreResult, fetched: Fetched
) -> ScoreSheet:
    """The score sheet of a worker's result. Raises ValueError for a result with other lanes than the task's."""
    lines = []
    for entry, line in zip(task.revealed_entries, sorted(result.entries, key=lambda line: line.lane), strict=True):
        if entry.lane != line.lane:
            raise ValueError(f"the scoring result has lane {line.lane}, the task lane {entry.lane}")
        verdict, reason = line.verdict, line.reason
        if verdict == "unavailable" and entry.lane in fetched.invalid:
            verdict, reason = "invalid", _as_line(fetched.invalid[entry.lane])
        lines.append(
            EntryScore(
                lane=line.lane,
                digest=entry.digest.hex(),
                score=line.score,
                verdict=verdict,
                reason=reason,
                adapter_nll=line.adapter_nll,
            )
        )
    return ScoreSheet(
        task=ctx.reference(task),
        round=duty.round,
        operator=ctx.identity.operator.lower(),
        base_digest=spec.base.digest,
        source=spec.evaluation.source,
        profile=result.profile,
        strata=list(result.strata),
        entries=lines,
    )


def _as_line(text: str) -> str:
    """The text as one printable line for a score sheet."""
    return "".join(c if c.isprintable() else "?" for c in text)[:500] or "no reason given"


def _save_row(ctx: Context, duty: Duty, sheet: ScoreSheet) -> CommittedRow:
    """Make the row of a sheet, with a new salt, and store it durably."""
    data = sheet.canonical_bytes()
    row = CommittedRow(
        words=tuple(pack(sheet.scores())),
        evidence=directory_cid({SHEET_NAME: data}).word,
        salt=os.urandom(32),
        sheet=data,
    )
    rows.save(ctx, duty, row)
    return row


def _commit(ctx: Context, task: Task, duty: Duty, row: CommittedRow) -> Step:
    scoring, operator = ctx.contracts.scoring, ctx.identity.operator
    call = scoring.commit_scores(task.id, operator, rows.commitment_of(ctx, duty, row))
    return send(ctx, duty, call, lambda: scoring.row_at(task.id, duty.round, operator).status != RowStatus.NONE)


def _abstain(ctx: Context, task: Task, duty: Duty, reason: str) -> Step:
    scoring, operator = ctx.contracts.scoring, ctx.identity.operator
    if ctx.sender.request(duty.tx_key("abstain")) is None:
        log.warning("abstaining", extra={"task": task.id, "duty": duty.key, "reason": reason})
        ctx.executor.cancel(duty.key)
    call = scoring.abstain(task.id, operator)
    return send(
        ctx, duty, call, lambda: scoring.row_at(task.id, duty.round, operator).status != RowStatus.NONE, tag="abstain"
    )
