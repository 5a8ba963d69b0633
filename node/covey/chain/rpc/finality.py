"""Decides which blocks are settled, and reads the newest block.

A confirmation count is your finality assumption; the chain does not guarantee it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from covey.chain.errors import RpcResponseError, Unreachable

if TYPE_CHECKING:
    from covey.chain.rpc.client import Rpc
    from covey.chain.rpc.responses import Block

UNFINAL_BLOCKS = 96
"""Assumed maximum depth of a reorg where finality is a confirmation count: three epochs of Ethereum."""
_NO_SUCH_BLOCK = re.compile(r"finali[sz]ed|unknown block|block not found|no block|header not found", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Finality:
    """Which blocks are settled.

    ``confirmations`` None uses the chain's finalised block; a number counts blocks behind the head, 0 being the head
    itself.
    """

    confirmations: int | None = None

    @property
    def reorg_depth(self) -> int:
        """Number of settled blocks, from the newest down, that a reorg may still remove."""
        return 0 if self.confirmations is None else UNFINAL_BLOCKS

    def block(self, rpc: Rpc) -> Block:
        """The newest settled block.

        Raises:
            Unreachable: the node has none (yet).
        """
        if self.confirmations is None:
            return _finalized(rpc)
        if self.confirmations == 0:
            return rpc.block("latest")
        return rpc.block(max(0, rpc.block_number() - self.confirmations))


def _finalized(rpc: Rpc) -> Block:
    """The chain's finalised block. Raises Unreachable, which names the setting for chains without finality."""
    try:
        return rpc.block("finalized")
    except RpcResponseError as error:
        reason = str(error)
    except Unreachable as error:
        reason = str(error)
        if not _NO_SUCH_BLOCK.search(reason):
            raise
    raise Unreachable(f"{reason}; if this chain has no finalised blocks, set confirmations")


def newest_block(rpc: Rpc) -> Block:
    """The newest block, after a check that the chain has it under its number.

    Its timestamp decides which duties are due, so a block that an endpoint made up would give a wrong time.

    Raises:
        Unreachable: no endpoint answered, or the block is not on the chain (any more).
    """
    head = rpc.block("latest")
    if rpc.block(head.number).hash != head.hash:
        raise Unreachable(f"block {head.number} is not the newest any more")
    return head
