"""Reveals the committed entry. It gets a lane, and may be published from then on."""

from __future__ import annotations

from covey.daemon.context import Context
from covey.daemon.duties.enter import committed_entry
from covey.daemon.duties.outcomes import Step, given_up
from covey.daemon.duties.transactions import send
from covey.daemon.planning.duty import Duty
from covey.daemon.state.task import Task


def advance(ctx: Context, task: Task, duty: Duty) -> Step:
    entry = committed_entry(ctx, task)
    if entry is None:
        return given_up("the entry's salt is in neither the journal nor the secrets file")
    registry, operator = ctx.contracts.registry, ctx.identity.operator
    call = registry.reveal_entry(task.id, operator, entry.digest, entry.salt)
    return send(ctx, duty, call, lambda: registry.entry_of(task.id, operator).revealed)
