"""Typed JSON-RPC calls over a pool of endpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from covey.chain.errors import RpcResponseError, Unreachable
from covey.chain.rpc.endpoint import Endpoint
from covey.chain.rpc.pool import Pool
from covey.chain.rpc.refusals import is_known_transaction
from covey.chain.rpc.responses import (
    Block,
    Receipt,
    block_id,
    call_fields,
    parse_block,
    parse_bytes,
    parse_quantity,
    parse_receipt,
)

BlockId = int | str
"""A block number, or ``latest``, ``safe``, ``finalized``, ``pending``, ``earliest``."""

_FEE_BLOCKS = 5
"""Blocks whose priority fees are looked at where the node suggests none."""


class Rpc(Pool):
    """Typed calls over a `Pool` of endpoints. All calls raise as `Pool.request`.

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

    # ------------------------------------------------------------------ blocks and logs

    def block(self, block: BlockId = "latest") -> Block:
        """The header of a block.

        Raises:
            Unreachable: no endpoint has the block (yet, or any more).
        """
        return parse_block(self.block_json(block))

    def block_json(self, block: BlockId) -> dict[str, Any]:
        """A block as JSON, with the hashes of its transactions.

        Raises:
            Unreachable: no endpoint has the block (yet, or any more).
        """
        found = self._find_block_json(block)
        if found is None:
            raise Unreachable(f"the node has no block {block}")
        return found

    def find_block(self, number: int) -> Block | None:
        """The header of a block; None if no endpoint has it (yet, or any more)."""
        found = self._find_block_json(number)
        return None if found is None else parse_block(found)

    def _find_block_json(self, block: BlockId) -> dict[str, Any] | None:
        params = [block_id(block), False]
        found = self.request("eth_getBlockByNumber", params, usable=lambda answer: isinstance(answer, dict))
        return found if isinstance(found, dict) else None

    def block_number(self) -> int:
        """Number of the newest block."""
        return parse_quantity(self.request("eth_blockNumber", []))

    def logs(
        self, addresses: Sequence[str], from_block: int, to_block: int, topics: Sequence[Any] = ()
    ) -> list[dict[str, Any]]:
        """Raw logs of an inclusive range of blocks, in chain order.

        Raises:
            TooManyResults: ask for fewer blocks.
        """
        query: dict[str, Any] = {"address": list(addresses), "fromBlock": hex(from_block), "toBlock": hex(to_block)}
        if topics:
            query["topics"] = list(topics)
        return self._logs(query)

    def logs_of(self, addresses: Sequence[str], block_hash: str) -> list[dict[str, Any]]:
        """Raw logs of the block with this hash (EIP-234), in order.

        Raises:
            Unreachable: no endpoint has the block (any more).
        """
        return self._logs({"address": list(addresses), "blockHash": block_hash})

    def _logs(self, query: dict[str, Any]) -> list[dict[str, Any]]:
        logs = self.request("eth_getLogs", [query])
        if not isinstance(logs, list):
            raise Unreachable("eth_getLogs: the answer is not a list")
        return logs

    # ------------------------------------------------------------------ state and calls

    def call(
        self, to: str | None, data: bytes, *, sender: str | None = None, value: int = 0, block: BlockId = "latest"
    ) -> bytes:
        """Return data of an ``eth_call`` on the state after ``block``.

        Raises:
            ContractReverted: with the decoded reason.
        """
        fields = call_fields(to, data, sender, value)
        return parse_bytes(self.request("eth_call", [fields, block_id(block)]))

    def estimate_gas(
        self, to: str | None, data: bytes, *, sender: str, value: int = 0, block: BlockId = "latest"
    ) -> int:
        """Gas that a transaction would use on the state after ``block``.

        Raises:
            ContractReverted: it would revert; with the decoded reason.
        """
        fields = call_fields(to, data, sender, value)
        return parse_quantity(self.request("eth_estimateGas", [fields, block_id(block)]))

    def nonce(self, address: str, block: BlockId = "latest") -> int:
        """Number of transactions that ``address`` has sent as of ``block``."""
        return parse_quantity(self.request("eth_getTransactionCount", [address, block_id(block)]))

    def balance(self, address: str, block: BlockId = "latest") -> int:
        """Native coin of ``address``, wei."""
        return parse_quantity(self.request("eth_getBalance", [address, block_id(block)]))

    def code(self, address: str, block: BlockId = "latest") -> bytes:
        """Deployed code at ``address``; empty if there is none."""
        return parse_bytes(self.request("eth_getCode", [address, block_id(block)]))

    def priority_fee(self) -> int:
        """The suggested priority fee, wei per gas: the node's, else the median of recent blocks, else 0."""
        try:
            return parse_quantity(self.request("eth_maxPriorityFeePerGas", []))
        except (RpcResponseError, Unreachable):
            pass
        try:
            history = self.request("eth_feeHistory", [hex(_FEE_BLOCKS), "latest", [50]])
            paid = sorted(parse_quantity(rewards[0]) for rewards in history["reward"])
        except (RpcResponseError, Unreachable, LookupError, TypeError):
            return 0
        return paid[len(paid) // 2] if paid else 0

    # ------------------------------------------------------------------ transactions

    def send_raw(self, raw: bytes) -> None:
        """Broadcast a signed transaction. One that the node already has is no error.

        Raises:
            RpcResponseError: the node refused it; the message gives the reason (nonce, funds, price, size).
        """
        try:
            self.request("eth_sendRawTransaction", ["0x" + raw.hex()])
        except RpcResponseError as error:
            if not is_known_transaction(error):
                raise

    def receipt(self, tx_hash: str) -> Receipt | None:
        """The receipt of a mined transaction, or None."""
        found = self.request("eth_getTransactionReceipt", [tx_hash])
        return None if found is None else parse_receipt(found)

    def transaction(self, tx_hash: str) -> dict[str, Any] | None:
        """A transaction that the node knows, mined or waiting, as JSON; or None."""
        found = self.request("eth_getTransactionByHash", [tx_hash])
        return found if isinstance(found, dict) else None
