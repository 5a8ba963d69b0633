"""Sends a duty's transaction: one attempt at a time, checked at the head first, and retried after a failure.

It is no error if another node takes the step first. The head or the revert shows it, and the event follows.
"""

from __future__ import annotations

from collections.abc import Callable

from covey.chain.contracts import Call
from covey.chain.errors import ContractReverted, RpcResponseError, Unreachable
from covey.chain.tx.store import TxStatus
from covey.daemon.context import Context, log
from covey.daemon.duties.outcomes import Waiting
from covey.daemon.planning.duty import NO_DEADLINE, PERMISSIONLESS, Duty
from covey.daemon.planning.plan import is_urgent
from covey.daemon.planning.turns import participants_of, wait_in_turn

_FAILURES = (TxStatus.FAILED, TxStatus.REVERTED)
_PENDING_PATIENCE = 8
"""How long another node's pending transaction is waited for, in units of stagger_seconds."""


def send(
    ctx: Context,
    duty: Duty,
    call: Call,
    is_done_at_head: Callable[[], bool],
    tag: str = "",
    purpose: Callable[[], str] | None = None,
) -> Waiting:
    """Submit `call`, unless it is in progress or `is_done_at_head()` finds its effect at the head.

    `purpose` describes it better than the call itself; it may read the chain, and is asked when the call is submitted.
    """
    key = duty.tx_key(tag)
    if (in_progress := transaction_progress(ctx, duty, tag)) is not None:
        return in_progress
    request = ctx.sender.request(key)
    if duty.kind in PERMISSIONLESS and not _is_own_turn(ctx, duty):
        return Waiting("leaves the first attempt to other nodes")
    if is_done_at_head():
        return Waiting("done at the head; its event is not settled yet")
    if request is not None and not ctx.backoff.ready(key):
        return Waiting(f"retries soon: {request.outcome}")
    if duty.kind in PERMISSIONLESS and _is_pending_elsewhere(ctx, key, call):
        return Waiting("another node's transaction is pending")
    if request is not None:
        log.warning("transaction failed", extra={"duty": key, "reason": request.outcome})
        ctx.backoff.failed(key)
    if purpose is not None:
        call = call.named(purpose())
    ctx.sender.submit(key, call, not_after=None if duty.deadline >= NO_DEADLINE else duty.deadline, retry=True)
    ctx.open_transactions.add(key)
    log.info("transaction queued", extra={"duty": key, "call": call.describe})
    return Waiting("queued")


def _is_own_turn(ctx: Context, duty: Duty) -> bool:
    """Whether the other nodes had their time for a step that anybody may take. In the last third of the step's window
    nobody waits any longer."""
    task = ctx.state.tasks.get(duty.task)
    wait = wait_in_turn(ctx.identity.operator, duty, participants_of(task), ctx.state.operators)
    if ctx.backoff.elapsed(duty.key, wait * ctx.config.stagger_seconds):
        return True
    return task is not None and duty.deadline < NO_DEADLINE and is_urgent(task, duty, ctx.now)


def _is_pending_elsewhere(ctx: Context, key: str, call: Call) -> bool:
    """Whether the endpoint's pending transactions include one that takes the step: the call would succeed at the head
    and be reverted after them. A transaction that stays pending for long is not waited for.
    """
    rpc, sender = ctx.contracts.rpc, ctx.identity.signer
    try:
        rpc.call(call.to, call.data, sender=sender, value=call.value, block="pending")
    except ContractReverted:
        try:
            rpc.call(call.to, call.data, sender=sender, value=call.value)
        except ContractReverted:
            return False  # not because of a pending transaction; the sender reports why
        return not ctx.backoff.elapsed(f"pending {key}", _PENDING_PATIENCE * ctx.config.stagger_seconds)
    except (RpcResponseError, Unreachable):  # the endpoint has no pending state
        return False
    ctx.backoff.reset(f"pending {key}")
    return False


def send_repeatable(
    ctx: Context,
    duty: Duty,
    call: Call,
    is_done_at_head: Callable[[], bool],
    tag: str,
    purpose: Callable[[], str] | None = None,
) -> Waiting:
    """Like `send`, for a call that can be needed again after it succeeded (an approval, a withdrawal)."""
    number = 0
    while (request := ctx.sender.request(duty.tx_key(f"{tag}-{number}"))) is not None:
        if request.status != TxStatus.DONE:
            break
        number += 1
    return send(ctx, duty, call, is_done_at_head, f"{tag}-{number}", purpose)


def transaction_progress(ctx: Context, duty: Duty, tag: str = "") -> Waiting | None:
    """Progress of the duty's transaction; None if none was submitted, or if it failed."""
    request = ctx.sender.request(duty.tx_key(tag))
    if request is None or request.status in _FAILURES:
        return None
    where = f" in block {request.block}" if request.block is not None else ""
    return Waiting(f"transaction {request.status.value}{where}" + (f": {request.outcome}" if request.outcome else ""))


def revert_reason(ctx: Context, duty: Duty, *errors: str, tag: str = "") -> str | None:
    """Why the duty's transaction failed, if it failed with one of these contract errors."""
    request = ctx.sender.request(duty.tx_key(tag))
    if request is None or request.status not in _FAILURES:
        return None
    return request.outcome if any(f"{error}(" in request.outcome for error in errors) else None


def log_outcomes(ctx: Context) -> int:
    """Log each transaction that has reached its final status since the last call. Returns their number."""
    ended = 0
    for key in sorted(ctx.open_transactions):
        request = ctx.sender.request(key)
        if request is None or not request.status.is_final:
            continue
        ended += 1
        ctx.open_transactions.discard(key)
        fields = {"duty": key, "hash": request.tx_hash, "block": request.block}
        if request.status == TxStatus.DONE:
            ctx.backoff.reset(key)
            log.info("transaction final", extra=fields)
        else:  # perhaps another node took the step first; the next cycle decides
            log.info(f"transaction {request.status.value}", extra={**fields, "reason": request.outcome})
    return ended
