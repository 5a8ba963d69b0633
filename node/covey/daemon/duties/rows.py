"""The node's rows of scores, each with its sheet and salt, and the choice among several of one round.

Usually a round has one row. If a reorganisation reassigns lanes or removes entries, that row no longer fits, and
another is made and stored beside it. The row to reveal is the one whose commitment is on the chain.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import count

from covey.daemon.context import Context, log
from covey.daemon.planning.duty import Duty
from covey.daemon.state.task import Task
from covey.daemon.storage.commitments import CommittedRow
from covey.protocol.commitments import score_commitment, stored_prefix
from covey.protocol.sheet import ScoreSheet


def secret_name(ctx: Context, duty: Duty) -> str:
    """The name of a round's first row among the secrets. Later rows append a number."""
    return f"{ctx.network}/scores/{duty.task}/{duty.round}/{ctx.identity.operator.lower()}"


def save(ctx: Context, duty: Duty, row: CommittedRow) -> None:
    """Store a row durably, in the journal and in the secrets file."""
    name = next(name for name in _names(ctx, duty) if ctx.journal.secret(name) is None)
    ctx.journal.save_secret(name, row.to_payload())


def for_entries(ctx: Context, task: Task, duty: Duty) -> CommittedRow | None:
    """The row for the task's current entries in their lanes."""
    digests = [None if entry.digest is None else entry.digest.hex() for entry in task.lanes]
    for row in _rows(ctx, duty):
        sheet = ScoreSheet.from_bytes(row.sheet)
        if [line.digest for line in sheet.entries] == digests:
            return row
    return None


def committed(ctx: Context, task: Task, duty: Duty) -> CommittedRow | None:
    """The row of the round's commitment, which is read from the contract if its event is missing."""
    operator = ctx.identity.operator
    rounds = (c.committed for c in task.committees if c.number == duty.round and operator in c.committed)
    commitment = next((rows[operator][1] for rows in rounds), None)
    if commitment is None:
        commitment = ctx.contracts.scoring.row_at(task.id, duty.round, operator).commitment
    stored = stored_prefix(commitment)
    return next((row for row in _rows(ctx, duty) if stored_prefix(commitment_of(ctx, duty, row)) == stored), None)


def revealed(ctx: Context, task: Task, duty: Duty) -> CommittedRow | None:
    """The row that was revealed in the round."""
    evidence = {
        row.evidence
        for committee in task.committees
        if committee.number == duty.round
        for row in committee.revealed
        if row.operator == ctx.identity.operator
    }
    return next((row for row in _rows(ctx, duty) if row.evidence in evidence), None)


def commitment_of(ctx: Context, duty: Duty, row: CommittedRow) -> bytes:
    """The commitment to a row."""
    return score_commitment(
        ctx.identity.chain_id,
        ctx.identity.scoring,
        duty.task,
        duty.round,
        ctx.identity.operator,
        list(row.words),
        row.evidence,
        row.salt,
    )


def drop_outdated_job(ctx: Context, task: Task, duty: Duty) -> None:
    """Delete the scoring job, or its result, if it is for other entries than the current ones."""
    digests = b"".join(entry.digest or b"" for entry in task.lanes)
    current, name = hashlib.sha256(digests).hexdigest(), f"entries of {duty.key}"
    stored = ctx.journal.value(name)
    if stored == current:
        return
    if stored is not None and ctx.journal.job(duty.key) is not None:
        log.warning("entries changed; scoring again", extra={"duty": duty.key})
        ctx.executor.cancel(duty.key)
        ctx.unrecorded = [finished for finished in ctx.unrecorded if finished.key != duty.key]
        ctx.journal.delete_job(duty.key)
    ctx.journal.set_value(name, current)


def _names(ctx: Context, duty: Duty) -> Iterator[str]:
    first = secret_name(ctx, duty)
    yield first
    yield from (f"{first}/{number}" for number in count(2))


def _rows(ctx: Context, duty: Duty) -> Iterator[CommittedRow]:
    for name in _names(ctx, duty):
        payload = ctx.journal.secret(name)
        if payload is None:
            return
        yield CommittedRow.from_payload(payload)
