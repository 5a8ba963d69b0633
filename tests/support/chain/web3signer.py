"""A fake of Web3Signer's eth1 mode that signs with a real key. Web3Signer itself needs Java.

It follows the JSON-RPC reference: `eth_accounts` returns the addresses; `eth_signTransaction` takes one object with
`from`, `to`, `gas`, `gasPrice` or the two fees of EIP-1559, `nonce` (required), `value` and `data`, all as hex strings,
and returns the signed transaction as a hex string; `eth_signTypedData` takes an address and EIP-712 typed data. Errors
are JSON-RPC errors with an HTTP error status. Unlike the original it refuses fields that are not in the reference.
"""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from eth_account import Account

_FIELDS = {"from", "to", "gas", "gasPrice", "maxPriorityFeePerGas", "maxFeePerGas", "nonce", "value", "data"}
_QUANTITIES = _FIELDS - {"from", "to", "data"}


class _Fault(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Web3SignerServer:
    """The server. ``tamper`` changes the fields before they are signed; ``answer`` replaces the result."""

    def __init__(self, keys: list[bytes], chain_id: int) -> None:
        self.accounts = {(account := Account.from_key(key)).address.lower(): account for key in keys}
        self.chain_id = chain_id
        self.requests: list[dict[str, Any]] = []
        self.tamper: Any = None
        self.answer: Any = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.requests.append(request)
                reply: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
                status = 200
                try:
                    reply["result"] = outer.handle(request["method"], request["params"])
                except _Fault as fault:
                    status, reply["error"] = 400, {"code": fault.code, "message": str(fault)}
                body = json.dumps(reply).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def handle(self, method: str, params: Any) -> Any:
        """Handle one call and return its result."""
        if method == "eth_accounts":
            return list(self.accounts)
        if method == "eth_signTypedData":
            return self._typed(params)
        if method != "eth_signTransaction":
            raise _Fault(-32601, "Method not found")
        if not isinstance(params, list) or len(params) != 1 or not isinstance(params[0], dict):
            raise _Fault(-32602, "Invalid params")
        fields = self._fields(params[0])
        account = self.accounts.get(params[0]["from"].lower())
        if account is None:
            raise _Fault(-32000, "No unlocked account matches the Sender")
        if self.tamper is not None:
            fields = self.tamper(fields)
        signed = account.sign_transaction(fields)
        return self.answer if self.answer is not None else "0x" + bytes(signed.raw_transaction).hex()

    def _typed(self, params: Any) -> Any:
        address, document = params
        account = self.accounts.get(address.lower())
        if account is None or document.keys() != {"types", "primaryType", "domain", "message"}:
            raise _Fault(-32602, "Invalid params")
        signature = account.sign_typed_data(full_message=document).signature
        return self.answer if self.answer is not None else "0x" + bytes(signature).hex()

    def _fields(self, given: dict[str, Any]) -> dict[str, Any]:
        unknown = given.keys() - _FIELDS
        are_texts = all(isinstance(value, str) for value in given.values())
        are_quantities = all(
            re.fullmatch(r"0x(0|[1-9a-f][0-9a-f]*)", given[name]) for name in _QUANTITIES & given.keys()
        )
        if unknown or not are_texts or not are_quantities or "nonce" not in given or "from" not in given:
            raise _Fault(-32602, "Invalid params")
        if not re.fullmatch(r"0x([0-9a-f]{2})*", given.get("data", "0x")):
            raise _Fault(-32602, "Invalid params")
        fields: dict[str, Any] = {name: int(given[name], 16) for name in _QUANTITIES & given.keys()}
        fields.update(type=2, chainId=self.chain_id, data=given.get("data", "0x"))
        if "to" in given:
            fields["to"] = given["to"]
        return fields

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
