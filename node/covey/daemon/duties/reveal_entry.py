"""Revealing the committed entry: it gets its lane, and from then on it may be published."""

from __future__ import annotations

from covey.daemon.context import Context, Step, given_up
from covey.daemon.duties.enter import secret_name
from covey.daemon.duties.transactions import send
from covey.daemon.planning.plan import Duty
from covey.daemon.state.world import Task


def advance(ctx: Context, task: Task, duty: Duty) -> Step:
    secret = ctx.journal.secret(secret_name(ctx, task))
    if secret is None:
        return given_up("the entry's salt is in neither the journal nor the secrets file")
    registry, operator = ctx.contracts.registry, ctx.me.operator
    digest, salt = bytes.fromhex(secret["digest"]), bytes.fromhex(secret["salt"])
    call = registry.reveal_entry(task.id, operator, digest, salt)
    return send(ctx, duty, call, lambda: registry.entry_of(task.id, operator).revealed)
