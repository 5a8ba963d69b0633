"""The rows of scores that this node has made, each with its sheet and salt, and which of them is meant.

As a rule there is one a round. Where a reorganisation gave the entries other lanes, or took some away, the row that was
made for them before says nothing about those of now: another is made and kept beside it. The one that a commitment on
chain is of is the one that is revealed, whichever that is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import count
from typing import Any

from covey.daemon.context import Context, log
from covey.daemon.planning.plan import Duty
from covey.daemon.state.world import Task
from covey.protocol.commitments import score_commitment, stored_prefix
from covey.protocol.sheet import ScoreSheet

Row = dict[str, Any]
"""`words` (hex numbers), `evidence` and `salt` (hex), `sheet` (canonical text)."""


def secret_name(ctx: Context, duty: Duty) -> str:
    """Under which the first row of a round is kept; later ones have a number after it."""
    return f"{ctx.network}/scores/{duty.task}/{duty.round}/{ctx.me.operator.lower()}"


def keep(ctx: Context, duty: Duty, row: Row) -> None:
    """Durable in both places when this returns."""
    ctx.journal.keep_secret(next(name for name in _names(ctx, duty) if ctx.journal.secret(name) is None), row)


def of_entries(ctx: Context, task: Task, duty: Duty) -> Row | None:
    """The row for the task's entries as they are now."""
    wanted = [None if entry.digest is None else entry.digest.hex() for entry in task.lanes]
    for row in _rows(ctx, duty):
        sheet = ScoreSheet.from_bytes(row["sheet"].encode())
        if [line.digest for line in sheet.entries] == wanted:
            return row
    return None


def committed(ctx: Context, task: Task, duty: Duty) -> Row | None:
    """The row that the round's commitment is of; where its event is missing, the contract knows the commitment."""
    committees = (c.committed for c in task.committees if c.number == duty.round and ctx.me.operator in c.committed)
    told = next((committed[ctx.me.operator][1] for committed in committees), None)
    if told is None:
        told = ctx.contracts.scoring.row_at(task.id, duty.round, ctx.me.operator).commitment
    stored = stored_prefix(told)
    return next((row for row in _rows(ctx, duty) if stored_prefix(commitment_of(ctx, duty, row)) == stored), None)


def revealed(ctx: Context, task: Task, duty: Duty) -> Row | None:
    """The row that the round's reveal showed."""
    shown = {
        row.evidence
        for c in task.committees
        if c.number == duty.round
        for row in c.revealed
        if row.operator == ctx.me.operator
    }
    return next((row for row in _rows(ctx, duty) if bytes.fromhex(row["evidence"]) in shown), None)


def commitment_of(ctx: Context, duty: Duty, row: Row) -> bytes:
    """What is committed for a row."""
    return score_commitment(
        ctx.me.chain_id,
        ctx.me.scoring,
        duty.task,
        duty.round,
        ctx.me.operator,
        [int(word, 16) for word in row["words"]],
        bytes.fromhex(row["evidence"]),
        bytes.fromhex(row["salt"]),
    )


def drop_job_of_others(ctx: Context, task: Task, duty: Duty) -> None:
    """Forget a job, or its result, that is about other entries than those of now."""
    digests = b"".join(entry.digest or b"" for entry in task.lanes)
    now, note = hashlib.sha256(digests).hexdigest(), f"entries of {duty.key}"
    noted = ctx.journal.noted(note)
    if noted == now:
        return
    if noted is not None and ctx.journal.job(duty.key) is not None:
        log.warning("scoring anew: the entries are not those of before", extra={"duty": duty.key})
        ctx.executor.cancel(duty.key)
        ctx.unrecorded = [finished for finished in ctx.unrecorded if finished.key != duty.key]
        ctx.journal.forget_job(duty.key)
    ctx.journal.note(note, now)


def _names(ctx: Context, duty: Duty) -> Iterator[str]:
    first = secret_name(ctx, duty)
    yield first
    yield from (f"{first}/{number}" for number in count(2))


def _rows(ctx: Context, duty: Duty) -> Iterator[Row]:
    for name in _names(ctx, duty):
        row = ctx.journal.secret(name)
        if row is None:
            return
        yield row
