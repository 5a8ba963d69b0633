"""Before a row is committed: enough endpoints must show the seat and the entries that the events tell of.

A commitment binds this node to a reveal, and a row for other entries than the contracts know could not be revealed.
"""

from __future__ import annotations

from covey.chain.errors import ChainError
from covey.chain.rpc.quorum import quorum_read
from covey.daemon.context import Context, log
from covey.daemon.integrity.crosscheck import standing
from covey.daemon.planning.plan import Duty, my_seats, urgent
from covey.daemon.state.world import Task
from covey.protocol.types import RowStatus


def unconfirmed(ctx: Context, task: Task, duty: Duty) -> str | None:
    """Why not to commit now; None where the contracts show the same round, seed, seats and number of entries.

    Endpoints that disagree, or do not answer, hold a commitment up to the last third of its window and no longer:
    silence in a seat would cost stake, a commitment without one is refused by the contract.
    """
    deployment, operator = ctx.contracts.deployment, ctx.me.operator
    try:
        told = quorum_read(ctx.contracts.rpc, lambda one: standing(one, deployment, task.id, operator))
    except ChainError as error:
        if not urgent(task, duty, ctx.now):
            return f"not committed: {error}"
        log.warning("commits unconfirmed", extra={"duty": duty.key, "reason": str(error)})
        return None
    if told.status != RowStatus.NONE:
        return None  # done already
    assert task.committee is not None, "only a seat of a seeded round is planned for"
    for name, said, events in (
        ("round", told.round.number, duty.round),
        ("seed", told.round.seed.hex(), task.committee.seed.hex()),
        ("seats", told.seats, my_seats(task, ctx.me)),
        ("entries", told.state.revealed, len(task.lanes)),
    ):
        if said != events:
            return f"not committed: the contracts say {name} {said}, events say {events}"
    return None
