"""web3 over an `Rpc`: web3 encodes, decodes and formats; the pool makes the calls."""

from __future__ import annotations

from typing import Any

from web3 import Web3
from web3.providers.base import JSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from covey.chain.rpc.client import Rpc
from covey.chain.rpc.responses import parse_bytes


class PoolProvider(JSONBaseProvider):
    """A web3 provider that calls an `Rpc`. Callers get this package's errors, not web3's."""

    def __init__(self, rpc: Rpc) -> None:
        super().__init__()
        self._rpc = rpc

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """Make one call through the pool. Raises Unreachable if the result of an ``eth_call`` is not hex data."""
        result = self._rpc.request(str(method), list(params))
        if method == "eth_call":
            parse_bytes(result)
        return {"jsonrpc": "2.0", "id": 1, "result": result}

    def is_connected(self, show_traceback: bool = False) -> bool:
        """True if an endpoint answers."""
        return bool(self._rpc.block_number() >= 0)


def web3_of(rpc: Rpc) -> Web3:
    """Create a web3 instance without middleware, so that it fills in no gas price, nonce or chain id."""
    return Web3(PoolProvider(rpc), middleware=[])
