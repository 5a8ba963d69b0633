"""After blocks were undone that counted as settled: what was concluded from them is concluded anew."""

from __future__ import annotations

from covey.daemon.context import Context, log


def on_reorg(ctx: Context, block: int) -> None:
    """Forget what was declined, given up or learnt of tasks; `block`: the newest one that is still on the chain.

    What is done stays done, secrets are kept, and a job that this machine cannot do is not begun again.
    """
    log.warning("the chain was reorganised", extra={"since_block": block})
    ctx.journal.reopen()
    ctx.specs.clear()  # another task may have a number now
    ctx.background.forget("spec/")
