"""Resets what was concluded from blocks that a reorganisation removed after they counted as settled."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping

from covey.daemon.storage.journal import Journal
from covey.daemon.workers.background import Background
from covey.protocol.spec import TaskSpec

log = logging.getLogger("covey.daemon")


def on_reorg(journal: Journal, specs: MutableMapping[int, TaskSpec], background: Background, block: int) -> None:
    """Forget declined and given-up duties, and everything cached by task number.

    Finished duties stay finished, secrets stay stored, and refused jobs stay refused.

    Args:
        block: the newest block that is still on the chain.
    """
    log.warning("the chain was reorganised", extra={"since_block": block})
    journal.reopen()
    specs.clear()  # a number may belong to another task now
    background.forget("spec/")
