"""A web3 instance over the pool: web3 encodes, decodes and formats; the pool does the talking."""

from __future__ import annotations

from typing import Any

from web3 import Web3
from web3.providers.base import JSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from covey.chain.rpc import responses as answers
from covey.chain.rpc.client import Rpc


class PoolProvider(JSONBaseProvider):
    """web3's view of an `Rpc`. Errors reach the caller as this package's, not as web3's."""

    def __init__(self, rpc: Rpc) -> None:
        super().__init__()
        self._rpc = rpc

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """One call through the pool. Raises Unreachable where a call's return data are no data."""
        found = self._rpc.request(str(method), list(params))
        if method == "eth_call":
            answers.blob(found)
        return {"jsonrpc": "2.0", "id": 1, "result": found}

    def is_connected(self, show_traceback: bool = False) -> bool:
        """True when some endpoint answers."""
        return bool(self._rpc.block_number() >= 0)


def web3_of(rpc: Rpc) -> Web3:
    """Create a web3 instance without middleware, so that it fills in no gas price, nonce or chain id."""
    return Web3(PoolProvider(rpc), middleware=[])
