"""The sender's view of the chain and of its own transactions during one tick."""

from __future__ import annotations

from dataclasses import dataclass

from covey.chain.rpc.responses import Block


@dataclass(slots=True)
class ChainView:
    """The chain, and the transactions of one key, during one tick. The sender updates the last three fields."""

    head: Block
    settled: Block
    """The newest settled block."""
    nonce: int
    """The key's next nonce as of the head."""
    priority: int
    """Suggested priority fee, wei per gas."""
    in_flight: int = 0
    """Number of signed transactions that can still be mined."""
    reserved: int = 0
    """The maximum that they can cost, wei."""
    blocked: str = ""
    """Why a transaction makes no progress and what to do about it; empty if none is stuck."""
