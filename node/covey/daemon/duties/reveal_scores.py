"""Revealing the committed row of scores."""

from __future__ import annotations

from covey.daemon.context import Context, Step, given_up
from covey.daemon.duties import rows
from covey.daemon.duties.transactions import send
from covey.daemon.planning.plan import Duty
from covey.daemon.state.world import Task
from covey.protocol.types import RowStatus


def advance(ctx: Context, task: Task, duty: Duty) -> Step:
    row = rows.committed(ctx, task, duty)
    if row is None:
        return given_up("the row's salt is in neither the journal nor the secrets file")
    scoring, operator = ctx.contracts.scoring, ctx.me.operator
    words = [int(word, 16) for word in row["words"]]
    evidence, salt = bytes.fromhex(row["evidence"]), bytes.fromhex(row["salt"])
    call = scoring.reveal_scores(task.id, operator, words, evidence, salt)
    return send(ctx, duty, call, lambda: scoring.row_at(task.id, duty.round, operator).status == RowStatus.REVEALED)
