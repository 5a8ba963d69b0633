"""Scoring: fetch every revealed entry, run the model over own held-out records, commit to the row.

What is somebody's fault decides what is said. A file that breaks the rules, or that no source has in time, scores 0.
A failure of this machine never becomes a score: the job is tried again, and at worst this node abstains.
"""

from __future__ import annotations

import os
from typing import Any

from covey.daemon.context import Context, Ended, Step, Waiting, declined, log
from covey.daemon.duties import jobs, rows
from covey.daemon.duties.fetching import Fetched, fetch_entries
from covey.daemon.duties.lookback import fetch_earlier
from covey.daemon.duties.preflight import unconfirmed
from covey.daemon.duties.specs import absolute, base_of, spec_of
from covey.daemon.duties.transactions import send, tx_key, under_way
from covey.daemon.planning.plan import Duty
from covey.daemon.planning.policy import SEALED
from covey.daemon.state.world import Task
from covey.ipfs import directory_cid
from covey.protocol.scores import pack
from covey.protocol.sheet import SHEET_NAME, ScoreSheet
from covey.protocol.spec import TaskSpec
from covey.protocol.types import Evaluation, RowStatus

_FETCH_SHARE = 0.5
"""Share of the commit window in which entries may still arrive; after it, what is missing scores 0."""
_EARLIER_SHARE = 0.75
"""The same for entries of earlier tasks; after it, a node looks back at those it has."""
_LAST_SHARE = 0.1
"""In this last share of the commit window a node without scores abstains, so that silence does not cost it."""

_UNTOLD = "the contracts tell of a seat, and events that tell what to score are missing"


def advance(ctx: Context, task: Task, duty: Duty) -> Step:
    row = rows.of_entries(ctx, task, duty)
    for tag in ("", "abstain"):  # never both
        if (sent := under_way(ctx, duty, tag)) is not None:
            return sent
    if (c := task.committee) is None or not c.seeded or c.number != duty.round:
        return Waiting(_UNTOLD) if ctx.now < _last_call(task, duty) else _abstain(ctx, task, duty, _UNTOLD)
    if row is None:
        try:
            scored: ScoreSheet | Waiting | Ended = _score(ctx, task, duty)
        except OSError as error:
            if ctx.now < _last_call(task, duty):
                raise
            scored = Waiting(str(error))
        if isinstance(scored, Waiting):
            return scored if ctx.now < _last_call(task, duty) else _abstain(ctx, task, duty, scored.reason)
        if isinstance(scored, Ended):
            return _abstain(ctx, task, duty, scored.note)
        row = _keep(ctx, duty, scored)
        log.info("scores ready", extra={"task": task.id, "duty": duty.key, "scores": scored.scores()})
    if (why := unconfirmed(ctx, task, duty)) is not None:
        return Waiting(why) if ctx.now < _last_call(task, duty) else _abstain(ctx, task, duty, why)
    return _commit(ctx, task, duty, row)


def _last_call(task: Task, duty: Duty) -> float:
    return duty.deadline - _LAST_SHARE * task.params.windows.score_commit


def _score(ctx: Context, task: Task, duty: Duty) -> ScoreSheet | Waiting | Ended:
    if task.params.evaluation != Evaluation.LOCAL:  # enrolled by hand: this node would have declined
        return declined(SEALED)
    spec = spec_of(ctx, task)
    if isinstance(spec, Waiting | Ended):
        return spec
    base = base_of(ctx, spec)
    if isinstance(base, Waiting | Ended):
        return base
    rows.drop_job_of_others(ctx, task, duty)
    known = ctx.journal.job(duty.key)
    fetched = fetch_entries(ctx, task, spec)
    if fetched.trouble and (known is None or known.status != "done"):
        lane, why = next(iter(sorted(fetched.trouble.items())))
        return Waiting(f"lane {lane} {why}")  # and at last an abstention: never somebody's zero
    if fetched.coming and known is None:
        lane, why = next(iter(sorted(fetched.coming.items())))
        return Waiting(f"lane {lane} {why}")
    if known is None and not fetched.complete(len(task.lanes)):
        if ctx.now < duty.deadline - _FETCH_SHARE * task.params.windows.score_commit:
            lane, why = next(iter(sorted(fetched.missing.items())))
            return Waiting(f"{len(fetched.missing)} entries not here yet; lane {lane}: {why}")
        for lane, why in fetched.missing.items():
            log.warning("entry unavailable", extra={"task": task.id, "lane": lane, "reason": why})
    earlier = fetch_earlier(ctx, task, spec)
    if known is None and earlier.coming and ctx.now < duty.deadline - _EARLIER_SHARE * task.params.windows.score_commit:
        return Waiting(f"{earlier.coming} entries of earlier tasks on their way")
    job = _job(ctx, task, duty, spec, base, fetched)
    job["earlier"] = [str(folder.resolve()) for folder in earlier.folders]
    result = ctx.strategy.scoring_result(job)
    if result is None:
        ran = jobs.result_of(ctx, duty, job)
        if isinstance(ran, Waiting | Ended):
            return ran
        result = ran
    return _sheet(ctx, task, duty, spec, result, fetched)


def _job(ctx: Context, task: Task, duty: Duty, spec: TaskSpec, base: str, fetched: Fetched) -> dict[str, Any]:
    by_commitment = sorted(task.lanes, key=lambda entry: entry.sequence)
    return {
        "kind": "score",
        "base": base,
        "spec": spec.model_dump(mode="json", exclude_none=True),
        "records": absolute(ctx.config.heldout_records),
        "adapters": [
            {
                "lane": entry.lane,
                "folder": str(fetched.folders[entry.lane].resolve()) if entry.lane in fetched.folders else None,
                "operator": entry.operator.lower(),
            }
            for entry in by_commitment
            if entry.lane is not None
        ],
        "task": ctx.reference(task).model_dump(mode="json"),
        "seed": _sample_seed(ctx, duty),
        "threads": ctx.config.worker_threads,
        "memory_mb": ctx.config.worker_memory_mib,
    }


def _sample_seed(ctx: Context, duty: Duty) -> str:
    """Which records are drawn: fresh and secret a task and round, the same over retries."""
    name = f"{ctx.network}/sample/{duty.task}/{duty.round}"
    known = ctx.journal.secret(name)
    if known is None:
        known = {"seed": os.urandom(16).hex()}
        ctx.journal.keep_secret(name, known)
    return str(known["seed"])


def _sheet(
    ctx: Context, task: Task, duty: Duty, spec: TaskSpec, result: dict[str, Any], fetched: Fetched
) -> ScoreSheet:
    """The score sheet of a worker's result."""
    lines = []
    for entry, line in zip(task.lanes, sorted(result["entries"], key=lambda one: int(one["lane"])), strict=True):
        assert entry.digest is not None
        assert entry.lane == line["lane"], "a result for other entries than asked for"
        told = {**line, "digest": entry.digest.hex()}
        if line["verdict"] == "unavailable" and entry.lane in fetched.bad:
            told |= {"verdict": "invalid", "reason": _line(fetched.bad[entry.lane])}
        lines.append(told)
    return ScoreSheet.parse(
        {
            "version": 1,
            "task": ctx.reference(task).model_dump(mode="json"),
            "round": duty.round,
            "operator": ctx.me.operator.lower(),
            "base_digest": spec.base.digest,
            "source": spec.evaluation.source,
            "profile": result["profile"],
            "strata": result["strata"],
            "entries": lines,
        }
    )


def _line(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)[:500] or "no reason given"


def _keep(ctx: Context, duty: Duty, sheet: ScoreSheet) -> rows.Row:
    data = sheet.canonical_bytes()
    row = {
        "words": [hex(word) for word in pack(sheet.scores())],
        "evidence": directory_cid({SHEET_NAME: data}).word.hex(),
        "salt": os.urandom(32).hex(),
        "sheet": data.decode(),
    }
    rows.keep(ctx, duty, row)
    return row


def _commit(ctx: Context, task: Task, duty: Duty, row: rows.Row) -> Step:
    scoring, operator = ctx.contracts.scoring, ctx.me.operator
    call = scoring.commit_scores(task.id, operator, rows.commitment_of(ctx, duty, row))
    return send(ctx, duty, call, lambda: scoring.row_at(task.id, duty.round, operator).status != RowStatus.NONE)


def _abstain(ctx: Context, task: Task, duty: Duty, why: str) -> Step:
    scoring, operator = ctx.contracts.scoring, ctx.me.operator
    if ctx.sender.request(tx_key(duty, "abstain")) is None:
        log.warning("abstaining", extra={"task": task.id, "duty": duty.key, "reason": why})
        ctx.executor.cancel(duty.key)
    call = scoring.abstain(task.id, operator)
    return send(
        ctx, duty, call, lambda: scoring.row_at(task.id, duty.round, operator).status != RowStatus.NONE, tag="abstain"
    )
