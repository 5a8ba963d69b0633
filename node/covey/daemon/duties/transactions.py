"""One transaction of a duty: looked up, checked at the head, sent at most once at a time, tried again when it failed.

That somebody else took the step first is no error: the head shows it, or the revert does, and the event follows.
"""

from __future__ import annotations

from collections.abc import Callable

from covey.chain.contracts import Call
from covey.chain.tx.store import TxStatus
from covey.daemon.context import Context, Waiting, log
from covey.daemon.planning.duty import NO_DEADLINE, PERMISSIONLESS, Duty, stagger_fraction

_FAILURES = (TxStatus.FAILED, TxStatus.REVERTED)


def tx_key(duty: Duty, tag: str = "") -> str:
    """The sender's idempotency key of a duty's transaction; a tag tells several of one duty apart."""
    return f"{duty.key}/{tag}" if tag else duty.key


def send(ctx: Context, duty: Duty, call: Call, over: Callable[[], bool], tag: str = "") -> Waiting:
    """Get `call` into the chain unless `over()` says at the head that its effect is already there."""
    key = tx_key(duty, tag)
    if (sent := under_way(ctx, duty, tag)) is not None:
        return sent
    request = ctx.sender.request(key)
    if over():
        return Waiting("done at the head; its event is not settled yet")
    if request is not None and not ctx.backoff.ready(key):
        return Waiting(f"tries again soon: {request.outcome}")
    if duty.kind in PERMISSIONLESS and not ctx.backoff.after(
        duty.key, stagger_fraction(ctx.me.operator, duty) * ctx.config.stagger_seconds
    ):
        return Waiting("leaves the first try to others")
    if request is not None:
        log.warning("transaction failed", extra={"duty": key, "reason": request.outcome})
        ctx.backoff.failed(key)
    ctx.sender.submit(key, call, not_after=None if duty.deadline >= NO_DEADLINE else duty.deadline, retry=True)
    ctx.open_transactions.add(key)
    log.info("transaction queued", extra={"duty": key, "call": call.describe})
    return Waiting("queued")


def log_ended(ctx: Context) -> int:
    """Tell of every transaction that came to its end; how many did."""
    ended = 0
    for key in sorted(ctx.open_transactions):
        request = ctx.sender.request(key)
        if request is None or not request.status.is_final:
            continue
        ended += 1
        ctx.open_transactions.discard(key)
        told = {"duty": key, "hash": request.tx_hash, "block": request.block}
        if request.status == TxStatus.DONE:
            ctx.backoff.reset(key)
            log.info("transaction final", extra=told)
        else:  # perhaps somebody else took the step first; the next look decides
            log.info(f"transaction {request.status.value}", extra={**told, "reason": request.outcome})
    return ended


def send_again(ctx: Context, duty: Duty, call: Call, over: Callable[[], bool], tag: str) -> Waiting:
    """As `send`, for what can be needed again after it was done (an approval, a withdrawal)."""
    number = 0
    while (request := ctx.sender.request(tx_key(duty, f"{tag}-{number}"))) is not None:
        if request.status != TxStatus.DONE:
            break
        number += 1
    return send(ctx, duty, call, over, f"{tag}-{number}")


def reverted_as(ctx: Context, duty: Duty, *names: str, tag: str = "") -> str | None:
    """Why the duty's transaction failed, if by one of these errors of the contracts."""
    request = ctx.sender.request(tx_key(duty, tag))
    if request is None or request.status not in _FAILURES:
        return None
    return request.outcome if any(f"{name}(" in request.outcome for name in names) else None


def under_way(ctx: Context, duty: Duty, tag: str = "") -> Waiting | None:
    """How far the duty's transaction is; None where none was asked for, or where it failed."""
    request = ctx.sender.request(tx_key(duty, tag))
    if request is None or request.status in _FAILURES:
        return None
    where = f" in block {request.block}" if request.block is not None else ""
    return Waiting(f"transaction {request.status.value}{where}" + (f": {request.outcome}" if request.outcome else ""))
