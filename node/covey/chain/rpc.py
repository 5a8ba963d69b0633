"""A pool of RPC endpoints that answers as one: fail-over, a deadline on every call, the chain id checked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from covey.chain import answers
from covey.chain.answers import Block, Receipt
from covey.chain.endpoint import Endpoint, EndpointFault, open_endpoint, printable
from covey.chain.errors import Fatal, Refused, Unreachable, WrongChain

if TYPE_CHECKING:
    from web3 import Web3

BlockId = int | str
"""A block number, or ``latest``, ``safe``, ``finalized``, ``pending``, ``earliest``."""


@dataclass(slots=True)
class EndpointHealth:
    """What the pool knows of one endpoint. Times are `time.monotonic` seconds."""

    endpoint: Endpoint
    checked: bool = False
    faults: int = 0
    """In a row."""
    retry_at: float = 0.0
    latency: float = 0.0
    last_fault: str = ""


class Rpc:
    """Typed JSON-RPC calls over one or more endpoints of the same chain.

    Calls go to the first endpoint that is not resting; one that fails rests for a growing while and the next is asked,
    until ``timeout`` seconds are over.

    Args:
        urls: endpoints in order of preference; see `open_endpoint`.
        chain_id: the chain they must serve; None takes the first endpoint's answer.
        timeout: deadline of a call over all endpoints, seconds.
    """

    def __init__(
        self,
        urls: Sequence[str] | str,
        chain_id: int | None = None,
        timeout: float = 10.0,
        *,
        endpoints: Sequence[Endpoint] | None = None,
    ) -> None:
        addresses = [urls] if isinstance(urls, str) else list(urls)
        opened = [open_endpoint(url) for url in addresses] if endpoints is None else list(endpoints)
        if not opened:
            raise Fatal("no RPC endpoint given")
        self.timeout = timeout
        self.health = [EndpointHealth(endpoint) for endpoint in opened]
        self._chain_id = chain_id
        self._web3: Web3 | None = None

    # ------------------------------------------------------------------ the pool

    @property
    def chain_id(self) -> int:
        """The chain's id, from the first endpoint that answers unless it was given."""
        if self._chain_id is None:
            self.request("eth_chainId", [])
        assert self._chain_id is not None
        return self._chain_id

    @property
    def web3(self) -> Web3:
        """A web3 instance over this pool, for contract objects and whatever has no method here."""
        if self._web3 is None:
            from covey.chain.provider import web3_over

            self._web3 = web3_over(self)
        return self._web3

    def request(self, method: str, params: list[Any], timeout: float | None = None) -> Any:
        """The result of a JSON-RPC call.

        Raises:
            Unreachable: no endpoint gave a usable answer before the deadline.
            WrongChain: an endpoint serves another chain.
            TooManyResults: a log query was refused for its size.
            Reverted: the call reverted.
            Refused: the node answered with an error.
        """
        end = time.monotonic() + (self.timeout if timeout is None else timeout)
        faults: dict[str, str] = {}
        refusal: Refused | None = None
        for health in self._in_order():
            left = end - time.monotonic()
            if left <= 0:
                break
            try:
                return self._ask(health, method, params, left)
            except EndpointFault as fault:
                self._rest(health, str(fault))
                faults[printable(health.endpoint.url)] = str(fault)
            except Refused as error:
                if not answers.is_endpoints_own(error):
                    raise answers.specific(error) from None
                self._rest(health, error.message)
                refusal = error
        if refusal is not None:
            told = answers.specific(refusal)
            if not isinstance(told, Refused) or refusal.code == answers.NO_SUCH_METHOD:
                raise told from None
            faults["last answer"] = refusal.message
        each = "; ".join(f"{url}: {fault}" for url, fault in faults.items())
        raise Unreachable(f"no RPC endpoint answered {method}: {each or 'deadline passed'}")

    def check(self) -> None:
        """Ask every endpoint for its chain once, so that a wrong one is found at the start and not at a fail-over.

        Raises:
            WrongChain: one serves another chain.
            Unreachable: none answers.
        """
        for health in self.health:
            try:
                self._check(health, self.timeout)
            except (EndpointFault, Refused) as fault:
                self._rest(health, str(fault))
        if not any(health.checked for health in self.health):
            told = "; ".join(f"{printable(health.endpoint.url)}: {health.last_fault}" for health in self.health)
            raise Unreachable(f"no RPC endpoint answers: {told}")

    def _in_order(self) -> list[EndpointHealth]:
        now = time.monotonic()
        ready = [health for health in self.health if health.retry_at <= now]
        resting = sorted((health for health in self.health if health.retry_at > now), key=lambda h: h.retry_at)
        return ready + resting

    def _ask(self, health: EndpointHealth, method: str, params: list[Any], timeout: float) -> Any:
        started = time.monotonic()
        share = timeout if len(self.health) == 1 else max(timeout / 2, 0.5)
        if not health.checked:
            self._check(health, share)
        result = health.endpoint.request(method, params, share)
        health.latency = time.monotonic() - started
        health.faults = 0
        health.retry_at = 0.0
        return result

    def _check(self, health: EndpointHealth, timeout: float) -> None:
        served = answers.quantity(health.endpoint.request("eth_chainId", [], timeout))
        if self._chain_id is None:
            self._chain_id = served
        elif served != self._chain_id:
            where = printable(health.endpoint.url)
            raise WrongChain(f"{where} serves chain {served}, not {self._chain_id}: check rpc_urls and chain_id")
        health.checked = True

    @staticmethod
    def _rest(health: EndpointHealth, fault: str) -> None:
        health.faults += 1
        health.checked = False  # whoever answers at this address next may serve another chain
        health.last_fault = fault
        health.retry_at = time.monotonic() + min(30.0, 0.25 * 2.0 ** min(health.faults, 8))

    # ------------------------------------------------------------------ typed calls

    def block(self, block: BlockId = "latest") -> Block:
        """A block's head.

        Raises:
            Unreachable: the node does not have it (yet, or any more).
        """
        return answers.block(self.block_json(block))

    def block_json(self, block: BlockId) -> dict[str, Any]:
        """A block as the node gives it, transactions by hash."""
        found = self.request("eth_getBlockByNumber", [answers.block_id(block), False])
        if not isinstance(found, dict):
            raise Unreachable(f"the node has no block {block}")
        return found

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
        query = {"address": list(addresses), "fromBlock": hex(from_block), "toBlock": hex(to_block)}
        if topics:
            query["topics"] = list(topics)
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
        except Refused as error:
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
