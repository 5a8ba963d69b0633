"""The JSON-RPC calls that a node makes, typed, over a pool of endpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covey.chain.errors import RpcResponseError, Unreachable
from covey.chain.rpc import responses as answers
from covey.chain.rpc.endpoint import Endpoint
from covey.chain.rpc.pool import Pool
from covey.chain.rpc.responses import Block, Receipt

BlockId = int | str
"""A block number, or ``latest``, ``safe``, ``finalized``, ``pending``, ``earliest``."""


class Rpc(Pool):
    """Typed calls over a `Pool` of endpoints.

    Args:
        quorum: endpoints that must agree on a read that can cost money; see `covey.chain.rpc.quorum.quorum_read`.
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
