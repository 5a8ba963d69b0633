"""Reveals the committed row of scores."""

from __future__ import annotations

from covey.daemon.context import Context
from covey.daemon.duties import rows
from covey.daemon.duties.outcomes import Step, given_up
from covey.daemon.duties.transactions import send
from covey.daemon.planning.duty import Duty
from covey.daemon.state.task import Task
from covey.protocol.types import RowStatus


def advance(ctx: Context, task: Task, duty: Duty) -> Step:
    row = rows.committed(ctx, task, duty)
    if row is None:
        return given_up("the row's salt is in neither the journal nor the secrets file")
    scoring, operator = ctx.contracts.scoring, ctx.identity.operator
    call = scoring.reveal_scores(task.id, operator, list(row.words), row.evidence, row.salt)
    return send(ctx, duty, call, lambda: scoring.row_at(task.id, duty.round, operator).status == RowStatus.REVEALED)
