"""Checks before a row is committed: a quorum of endpoints must show the seats and entries that the events show.

A commitment obliges the node to reveal, and a row for other entries than the contracts know cannot be revealed.
"""

from __future__ import annotations

from covey.chain.errors import ChainError
from covey.chain.rpc.quorum import quorum_read
from covey.daemon.context import Context, log
from covey.daemon.integrity.crosscheck import read_task_state
from covey.daemon.planning.duty import Duty
from covey.daemon.planning.plan import is_urgent, own_seats
from covey.daemon.state.task import Task
from covey.protocol.types import RowStatus


def reason_not_to_commit(ctx: Context, task: Task, duty: Duty) -> str | None:
    """Why not to commit now; None if the contracts show the same round, seed, seats and number of entries.

    Endpoints that disagree or do not answer delay a commitment up to the last third of its window, but not longer:
    silence in a seat costs stake, while the contract refuses a commitment without a seat.
    """
    deployment, operator = ctx.contracts.deployment, ctx.identity.operator
    try:
        on_chain = quorum_read(ctx.contracts.rpc, lambda rpc: read_task_state(rpc, deployment, task.id, operator))
    except ChainError as error:
        if not is_urgent(task, duty, ctx.now):
            return f"not committed: {error}"
        log.warning("committing without confirmation", extra={"duty": duty.key, "reason": str(error)})
        return None
    if on_chain.status != RowStatus.NONE:
        return None  # already committed
    for name, chain_value, event_value in (
        ("round", on_chain.round.number, duty.round),
        ("seed", on_chain.round.seed.hex(), task.drawn_committee.seed.hex()),
        ("seats", on_chain.seats, own_seats(task, ctx.identity)),
        ("entries", on_chain.state.revealed, len(task.lanes)),
    ):
        if chain_value != event_value:
            return f"not committed: {name} is {chain_value} in the contracts, {event_value} by events"
    return None
