"""The JSON-RPC calls that a node makes, typed, over a pool of endpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from covey.chain.errors import RpcResponseError, Unreachable
from covey.chain.rpc import responses as answers
from covey.chain.rpc.endpoint import Endpoint
from covey.chain.rpc.pool import Pool
from covey.chain.rpc.responses import Block, Receipt

if TYPE_CHECKING:
    from web3 import Web3

BlockId = int | str
"""A block number, or ``latest``, ``safe``, ``finalized``, ``pending``, ``earliest``."""


T = TypeVar("T")


class Rpc(Pool):
    """Typed calls over a `Pool` of endpoints.

    Args:
        quorum: endpoints that must say the same of what costs money, as far as there are so many; see `quorum_read`.
    """

    def __init__(
        self,
        urls: Sequence[str] | str,
        chain_id: int | None = None,
        timeout: float = 10.0,
        *,
        endpoints: Sequence[Endpoint] | None = None,
        quorum: int = 2,
    ) -> None:
        super().__init__(urls, chain_id, timeout, endpoints=endpoints)
        self.quorum = quorum
        self._web3: Web3 | None = None

    @property
    def web3(self) -> Web3:
        """A web3 instance over this pool, for contract objects and whatever has no method here."""
        if self._web3 is None:
            from covey.chain.rpc.web3_provider import web3_over

            self._web3 = web3_over(self)
        return self._web3

    def quorum_read(
        self, read: Callable[[Rpc], T], *, quorum: int | None = None, at: tuple[int, str] | None = None
    ) -> T:
        """What ``quorum`` endpoints give for the same read as of the same block; see `covey.chain.rpc.quorum`.

        For what costs money: a seat, a fault about to be reported. With fewer endpoints than ``quorum``, all of them.

            rpc.agreed(lambda one: Contracts(one, deployment).scoring.seats_of(task, operator))

        Args:
            read: called in other threads, each time with an `Rpc` of one endpoint whose ``latest`` is that block.
            quorum: None takes the pool's.
            at: number and hash of the block to read at; None takes the newest that enough of them have.

        Raises:
            Disagreement: they answered, but too few the same.
            Unreachable: too few answered.
            Reverted: as many as that reverted alike.
            WrongChain: an endpoint serves another chain.
        """
        from covey.chain.rpc.quorum import quorum_read

        return quorum_read(self, read, min(self.quorum if quorum is None else quorum, len(self.health)), at)

    # ------------------------------------------------------------------ typed calls

    def block(self, block: BlockId = "latest") -> Block:
        """A block's head.

        Raises:
            Unreachable: the node does not have it (yet, or any more).
        """
        return answers.block(self.block_json(block))

    def block_json(self, block: BlockId) -> dict[str, Any]:
        """A block as the node gives it, transactions by hash."""
        found = self._block_json(block)
        if found is None:
            raise Unreachable(f"the node has no block {block}")
        return found

    def find_block(self, number: int) -> Block | None:
        """A block's head by number; None where no endpoint has it (yet, or any more)."""
        found = self._block_json(number)
        return None if found is None else answers.block(found)

    def _block_json(self, block: BlockId) -> dict[str, Any] | None:
        params = [answers.block_id(block), False]
        found = self.request("eth_getBlockByNumber", params, usable=lambda answer: isinstance(answer, dict))
        return found if isinstance(found, dict) else None

    def block_number(self) -> int:
        """Number of the newest block."""
        return answers.quantity(self.request("eth_blockNumber", []))

    def call(
        self, to: str | None, data: bytes, *, sender: str | None = None, value: int = 0, block: BlockId = "latest"
    ) -> bytes:
        """Return data of an ``eth_call`` on the state after ``block``.

        Raises:
            Reverted: with the decoded reason.
        """
        fields = answers.call_fields(to, data, sender, value)
        return answers.blob(self.request("eth_call", [fields, answers.block_id(block)]))

    def estimate_gas(
        self, to: str | None, data: bytes, *, sender: str, value: int = 0, block: BlockId = "latest"
    ) -> int:
        """Gas that a transaction would take on the state after ``block``.

        Raises:
            Reverted: it would revert, and why.
        """
        fields = answers.call_fields(to, data, sender, value)
        return answers.quantity(self.request("eth_estimateGas", [fields, answers.block_id(block)]))

    def logs(
        self, addresses: Sequence[str], from_block: int, to_block: int, topics: Sequence[Any] = ()
    ) -> list[dict[str, Any]]:
        """Raw logs of an inclusive range of blocks, in the chain's order.

        Raises:
            TooManyResults: ask for fewer blocks.
        """
        query: dict[str, Any] = {"address": list(addresses), "fromBlock": hex(from_block), "toBlock": hex(to_block)}
        if topics:
            query["topics"] = list(topics)
        return self._logs(query)

    def logs_of(self, addresses: Sequence[str], block_hash: str) -> list[dict[str, Any]]:
        """Raw logs of the block with that very hash (EIP-234), in its order.

        Raises:
            Unreachable: no endpoint has such a block (any more).
        """
        return self._logs({"address": list(addresses), "blockHash": block_hash})

    def _logs(self, query: dict[str, Any]) -> list[dict[str, Any]]:
        found = self.request("eth_getLogs", [query])
        if not isinstance(found, list):
            raise Unreachable("eth_getLogs: the answer is not a list")
        return found

    def nonce(self, address: str, block: BlockId = "latest") -> int:
        """Number of transactions that ``address`` has sent as of ``block``."""
        return answers.quantity(self.request("eth_getTransactionCount", [address, answers.block_id(block)]))

    def balance(self, address: str, block: BlockId = "latest") -> int:
        """Native coin of ``address``, wei."""
        return answers.quantity(self.request("eth_getBalance", [address, answers.block_id(block)]))

    def code(self, address: str, block: BlockId = "latest") -> bytes:
        """Deployed code at ``address``; empty where there is none."""
        return answers.blob(self.request("eth_getCode", [address, answers.block_id(block)]))

    def priority_fee(self) -> int:
        """The node's suggestion for the priority fee, wei a unit of gas."""
        return answers.quantity(self.request("eth_maxPriorityFeePerGas", []))

    def send_raw(self, raw: bytes) -> None:
        """Broadcast a signed transaction; one that the node already has is no error.

        Raises:
            Refused: the node would not take it; the message says why (nonce, funds, price, size).
        """
        try:
            self.request("eth_sendRawTransaction", ["0x" + raw.hex()])
        except RpcResponseError as error:
            if not answers.is_known_transaction(error):
                raise

    def receipt(self, tx_hash: str) -> Receipt | None:
        """The receipt of a mined transaction, or None."""
        found = self.request("eth_getTransactionReceipt", [tx_hash])
        return None if found is None else answers.receipt(found)

    def transaction(self, tx_hash: str) -> dict[str, Any] | None:
        """A transaction as the node knows it, mined or waiting, or None."""
        found = self.request("eth_getTransactionByHash", [tx_hash])
        return found if isinstance(found, dict) else None
