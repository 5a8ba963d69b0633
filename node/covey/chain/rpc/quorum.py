"""Reads that several endpoints must agree on, because believing a single one could cost money.

Each endpoint is asked for its head; the block to read at is the newest that enough of them have. Each then gives the
hash of that block and the answer as of it, so endpoints that are a block apart do not differ, and one on another fork
does not count as agreeing. A reader that knows its block names it, and only endpoints that have this very block count.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FuturesTimeout
from dataclasses import dataclass, field
from typing import Any, TypeVar

from covey.chain.errors import ChainError, ContractReverted, Disagreement, TransientError, Unreachable, WrongChain
from covey.chain.rpc.client import Rpc
from covey.chain.rpc.endpoint import EndpointFault, printable
from covey.chain.rpc.endpoint_health import EndpointHealth

T = TypeVar("T")

_AT_BLOCK = {
    "eth_call": 1,
    "eth_estimateGas": 1,
    "eth_getBalance": 1,
    "eth_getCode": 1,
    "eth_getTransactionCount": 1,
    "eth_getStorageAt": 2,
    "eth_getBlockByNumber": 0,
}
"""Position of the block among the parameters of methods that take one."""


class PinnedEndpoint(Rpc):
    """A pool of one endpoint of another pool, with which it shares what is known of it; ``latest`` may be pinned."""

    def __init__(self, pool: Rpc, health: EndpointHealth, timeout: float) -> None:
        super().__init__([], pool.chain_id, timeout, endpoints=[health.endpoint], quorum=1)
        self.health = [health]
        self._heads = pool._heads
        self.pinned: int | None = None

    def request(
        self,
        method: str,
        params: list[Any],
        timeout: float | None = None,
        *,
        usable: Callable[[Any], bool] | None = None,
    ) -> Any:
        """See `Pool.request`."""
        place = _AT_BLOCK.get(method)
        if self.pinned is not None and place is not None and params[place : place + 1] == ["latest"]:
            params = [*params[:place], hex(self.pinned), *params[place + 1 :]]
        return super().request(method, params, timeout, usable=usable)


@dataclass(slots=True)
class _Vote:
    """One answer and who gave it: the hash of the block it is as of, and the value or the revert."""

    block_hash: str
    value: Any
    revert: ContractReverted | None
    voters: list[EndpointHealth] = field(default_factory=list)

    def same(self, other: _Vote) -> bool:
        mine, others = self.revert, other.revert
        if self.block_hash != other.block_hash or (mine is None) != (others is None):
            return False
        if mine is not None and others is not None:
            return mine.reason.data == others.reason.data
        return bool(self.value == other.value)

    def __str__(self) -> str:
        told = f"reverts ({self.revert})" if self.revert is not None else f"{self.value!r:.80}"
        return f"{', '.join(printable(voter.endpoint.url) for voter in self.voters)}: {told}"


def quorum_read(
    rpc: Rpc, read: Callable[[Rpc], T], *, quorum: int | None = None, at: tuple[int, str] | None = None
) -> T:
    """Return the result of a read on which ``quorum`` endpoints agree as of the same block.

    Use it where a wrong answer costs money: a seat, a fault about to be reported.

        quorum_read(rpc, lambda pinned: Contracts(pinned, deployment).scoring.seats_of(task, operator))

    Args:
        read: called in other threads, each time with an `Rpc` of one endpoint whose ``latest`` is that block.
        quorum: number of endpoints that must agree, at most all of them; None takes ``rpc.quorum``.
        at: number and hash of the block to read at; None takes the newest that enough endpoints have.

    Raises:
        Disagreement: enough endpoints answered, but too few agree.
        Unreachable: too few endpoints answered.
        ContractReverted: enough endpoints agree that the call reverts.
        WrongChain: an endpoint serves another chain.
    """
    import web3  # noqa: F401  # before the threads do: concurrent first imports of its parts can deadlock

    return _Poll(rpc, min(rpc.quorum if quorum is None else quorum, len(rpc.health)), at).run(read)


class _Poll:
    def __init__(self, pool: Rpc, quorum: int, at: tuple[int, str] | None) -> None:
        self._pool = pool
        self._quorum = max(1, quorum)
        self._at = at
        self._end = time.monotonic() + pool.timeout
        self._faults: dict[str, str] = {}

    def run(self, read: Callable[[Rpc], T]) -> T:
        views = [PinnedEndpoint(self._pool, health, self._pool.timeout) for health in self._pool.in_order()]
        heads = self._from_all(views, lambda view: view.block_number())
        if len(heads) < self._quorum:
            raise self._too_few(len(heads))
        newest = sorted((head for _, head in heads), reverse=True)[self._quorum - 1]
        block = newest if self._at is None else self._at[0]
        able = [view for view, head in heads if head >= block]
        votes = self._from_all(able, lambda view: self._vote(view, block, read))
        if len(votes) < self._quorum:
            raise self._too_few(len(votes))
        value: T = self._count([vote for _, vote in votes])
        return value

    def _vote(self, view: PinnedEndpoint, block: int, read: Callable[[Rpc], Any]) -> _Vote:
        block_hash = view.block(block).hash
        if self._at is not None and block_hash != self._at[1]:
            raise Unreachable(f"its block {block} is another than was asked about")
        view.pinned = block
        try:
            return _Vote(block_hash, read(view), None, list(view.health))
        except ContractReverted as revert:
            return _Vote(block_hash, None, revert, list(view.health))

    def _from_all(
        self, views: list[PinnedEndpoint], ask: Callable[[PinnedEndpoint], Any]
    ) -> list[tuple[PinnedEndpoint, Any]]:
        """What each endpoint that answers in time gives."""
        if not views:
            return []
        threads = ThreadPoolExecutor(len(views), thread_name_prefix="quorum")
        try:
            asked: list[tuple[PinnedEndpoint, Future[Any]]] = [(view, threads.submit(ask, view)) for view in views]
            found = []
            for view, future in asked:
                where = printable(view.health[0].endpoint.url)
                try:
                    found.append((view, future.result(max(0.0, self._end - time.monotonic()))))
                except FuturesTimeout:
                    self._faults[where] = "no answer in time"
                except WrongChain:
                    raise
                except ChainError as error:
                    if not isinstance(error, TransientError):
                        raise
                    self._faults[where] = str(error)
            return found
        finally:
            threads.shutdown(wait=False, cancel_futures=True)

    def _count(self, votes: list[_Vote]) -> Any:
        groups: list[_Vote] = []
        for vote in votes:
            known = next((group for group in groups if group.same(vote)), None)
            if known is None:
                groups.append(vote)
            else:
                known.voters += vote.voters
        groups.sort(key=lambda group: -len(group.voters))
        winner, losers = groups[0], groups[1:]
        tied = bool(losers) and len(losers[0].voters) == len(winner.voters)
        if len(winner.voters) < self._quorum or tied:
            told = "; ".join(map(str, groups))
            raise Disagreement(f"RPC endpoints disagree, {self._quorum} must say the same: {told}")
        for voter in (voter for group in losers for voter in group.voters):
            voter.disagreed += 1
            self._pool.cool_down(voter, EndpointFault("was outvoted"))
        if winner.revert is not None:
            raise winner.revert
        return winner.value

    def _too_few(self, answered: int) -> Unreachable:
        told = "; ".join(f"{url}: {fault}" for url, fault in self._faults.items())
        return Unreachable(f"{answered} RPC endpoints answered, {self._quorum} must: {told}")
