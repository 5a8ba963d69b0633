"""Reads on which several endpoints must agree, because trusting a single one could cost money.

Each endpoint reports its head. The read takes place at the newest block that enough of them have. Each endpoint then
returns that block's hash and its result as of it, so endpoints that are one block apart do not differ, and one on
another fork does not count as agreeing. A caller may name the block; then only endpoints that have it count.
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

_BLOCK_PARAMETER = {
    "eth_call": 1,
    "eth_estimateGas": 1,
    "eth_getBalance": 1,
    "eth_getCode": 1,
    "eth_getTransactionCount": 1,
    "eth_getStorageAt": 2,
    "eth_getBlockByNumber": 0,
}
"""Position of the block parameter, by method."""


class PinnedEndpoint(Rpc):
    """One endpoint of a pool, with the pool's record of its health. ``latest`` can be pinned to a block."""

    def __init__(self, pool: Rpc, health: EndpointHealth, timeout: float) -> None:
        super().__init__([], pool.chain_id, timeout, endpoints=[health.endpoint], quorum=1)
        self.health = [health]
        self.heads = pool.heads
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
        place = _BLOCK_PARAMETER.get(method)
        if self.pinned is not None and place is not None and params[place : place + 1] == ["latest"]:
            params = [*params[:place], hex(self.pinned), *params[place + 1 :]]
        return super().request(method, params, timeout, usable=usable)


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


@dataclass(slots=True)
class _Vote:
    """A result and the endpoints that returned it: the hash of the block it is as of, and the value or the revert."""

    block_hash: str
    value: Any
    revert: ContractReverted | None
    voters: list[EndpointHealth] = field(default_factory=list)

    def agrees_with(self, other: _Vote) -> bool:
        if self.block_hash != other.block_hash or (self.revert is None) != (other.revert is None):
            return False
        if self.revert is not None and other.revert is not None:
            return self.revert.reason.data == other.revert.reason.data
        return bool(self.value == other.value)

    def __str__(self) -> str:
        result = f"reverts ({self.revert})" if self.revert is not None else f"{self.value!r:.80}"
        return f"{', '.join(printable(voter.endpoint.url) for voter in self.voters)}: {result}"


class _Poll:
    """One quorum read."""

    def __init__(self, pool: Rpc, quorum: int, at: tuple[int, str] | None) -> None:
        self._pool = pool
        self._quorum = max(1, quorum)
        self._at = at
        self._end = time.monotonic() + pool.timeout
        self._faults: dict[str, str] = {}

    def run(self, read: Callable[[Rpc], T]) -> T:
        endpoints = [PinnedEndpoint(self._pool, health, self._pool.timeout) for health in self._pool.in_order()]
        heads = self._ask_all(endpoints, lambda endpoint: endpoint.block_number())
        if len(heads) < self._quorum:
            raise self._too_few(len(heads))
        newest = sorted((head for _, head in heads), reverse=True)[self._quorum - 1]
        block = newest if self._at is None else self._at[0]
        able = [endpoint for endpoint, head in heads if head >= block]
        votes = self._ask_all(able, lambda endpoint: self._vote(endpoint, block, read))
        if len(votes) < self._quorum:
            raise self._too_few(len(votes))
        value: T = self._count([vote for _, vote in votes])
        return value

    def _vote(self, endpoint: PinnedEndpoint, block: int, read: Callable[[Rpc], Any]) -> _Vote:
        block_hash = endpoint.block(block).hash
        if self._at is not None and block_hash != self._at[1]:
            raise Unreachable(f"its block {block} is not the requested one")
        endpoint.pinned = block
        try:
            return _Vote(block_hash, read(endpoint), None, list(endpoint.health))
        except ContractReverted as revert:
            return _Vote(block_hash, None, revert, list(endpoint.health))

    def _ask_all(
        self, endpoints: list[PinnedEndpoint], ask: Callable[[PinnedEndpoint], Any]
    ) -> list[tuple[PinnedEndpoint, Any]]:
        """Results of the endpoints that answer before the deadline; faults of the others go to ``_faults``."""
        if not endpoints:
            return []
        threads = ThreadPoolExecutor(len(endpoints), thread_name_prefix="quorum")
        try:
            futures: list[tuple[PinnedEndpoint, Future[Any]]] = [
                (endpoint, threads.submit(ask, endpoint)) for endpoint in endpoints
            ]
            results = []
            for endpoint, future in futures:
                where = printable(endpoint.health[0].endpoint.url)
                try:
                    results.append((endpoint, future.result(max(0.0, self._end - time.monotonic()))))
                except FuturesTimeout:
                    self._faults[where] = "no answer in time"
                except WrongChain:
                    raise
                except ChainError as error:
                    if not isinstance(error, TransientError):
                        raise
                    self._faults[where] = str(error)
            return results
        finally:
            threads.shutdown(wait=False, cancel_futures=True)

    def _count(self, votes: list[_Vote]) -> Any:
        """Return the winning result; cool down the endpoints that were outvoted."""
        groups: list[_Vote] = []
        for vote in votes:
            same = next((group for group in groups if group.agrees_with(vote)), None)
            if same is None:
                groups.append(vote)
            else:
                same.voters += vote.voters
        groups.sort(key=lambda group: -len(group.voters))
        winner, losers = groups[0], groups[1:]
        tied = bool(losers) and len(losers[0].voters) == len(winner.voters)
        if len(winner.voters) < self._quorum or tied:
            answers = "; ".join(map(str, groups))
            raise Disagreement(f"RPC endpoints disagree, {self._quorum} must agree: {answers}")
        for voter in (voter for group in losers for voter in group.voters):
            voter.outvoted += 1
            self._pool.cool_down(voter, EndpointFault("was outvoted"))
        if winner.revert is not None:
            raise winner.revert
        return winner.value

    def _too_few(self, answered: int) -> Unreachable:
        faults = "; ".join(f"{url}: {fault}" for url, fault in self._faults.items())
        return Unreachable(f"{answered} RPC endpoints answered, {self._quorum} must: {faults}")
