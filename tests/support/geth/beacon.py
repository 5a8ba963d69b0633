"""A temporary geth whose beacon chain is this module, so that chain time can jump.

geth's development mode takes block times from the clock. Here geth is an ordinary execution client of a merged network.
Over the Engine API this module tells it which block to build, at which time, and which blocks are safe and finalised:
https://github.com/ethereum/execution-apis/tree/main/src/engine
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import subprocess
import threading
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from tests.support.geth.daemon import CHAIN_ID, Geth

from covey.chain.errors import ChainError
from covey.chain.signing.keystore import LocalSigner
from covey.devnet.anvil import free_port

_ZERO = "0x" + "00" * 32
_BUILD_S = 0.2
"""Time for geth to add pending transactions to a block; the rest wait for the next one."""


class Engine:
    """The Engine API of one geth. Each call has a new token, signed with the shared secret."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.secret = secrets.token_bytes(32)

    def ask(self, method: str, *params: Any) -> Any:
        """Make one call. Raises OSError if geth does not answer, RuntimeError with geth's error."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        headers = {"content-type": "application/json", "authorization": f"Bearer {self._token()}"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as reply:
            answer = json.load(reply)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def _token(self) -> str:
        claims = json.dumps({"iat": int(time.time())}).encode()
        signed = b".".join(_base64url(part) for part in (b'{"alg":"HS256","typ":"JWT"}', claims))
        return (signed + b"." + _base64url(hmac.new(self.secret, signed, hashlib.sha256).digest())).decode()


class DrivenGeth(Geth):
    """A merged network of one node with the rules of the Hoodi test network. Chain time passes, and can jump.

    One block every ``period_s``. The block before the head is safe, the one before that finalised.
    """

    def __init__(self, folder: Path, *, period_s: float = 1.0) -> None:
        super().__init__(folder)
        self._bank = LocalSigner.from_key(secrets.token_bytes(32))
        self._engine = Engine(free_port())
        self._period_s = period_s
        self._ahead = 0.0  # chain time minus this machine's time
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._beacon: threading.Thread | None = None
        self._newest: list[str] = []

    def start(self, timeout_s: float = 120.0) -> Self:
        """Start geth, then produce one block every period."""
        data, genesis, secret = (self.folder / name for name in ("data", "genesis.json", "jwt"))
        self.folder.mkdir(parents=True, exist_ok=True)
        genesis.write_text(json.dumps(self._genesis()), encoding="utf-8")
        secret.write_text(self._engine.secret.hex(), encoding="utf-8")
        init = [self._binary, "--datadir", str(data), "--datadir.minfreedisk", "0", "init", str(genesis)]
        subprocess.run(init, check=True, capture_output=True)
        super().start(timeout_s)
        self._newest = [self.rpc.block().hash] * 3
        self.jump_to(int(time.time()))
        self._beacon = threading.Thread(target=self._produce_blocks, name="beacon", daemon=True)
        self._beacon.start()
        return self

    def stop(self) -> None:
        """Stop block production, then geth."""
        self._stopping.set()
        if self._beacon is not None:
            self._beacon.join()
        super().stop()

    def fund(self, *addresses: str, ether: int = 1_000) -> None:
        """Send coin for gas from an account funded in the genesis block."""
        rpc, hashes = self.rpc, []
        fees = {"maxFeePerGas": 10**11, "maxPriorityFeePerGas": 10**9, "gas": 21_000}
        nonce = rpc.nonce(self._bank.address)
        for number, address in enumerate(addresses):
            fields = {"type": 2, "chainId": CHAIN_ID, "nonce": nonce + number, "to": address, **fees}
            signed = self._bank.sign_transaction({**fields, "value": ether * 10**18})
            rpc.send_raw(signed.raw)
            hashes.append(signed.hash)
        while not all(self.mined(tx_hash) for tx_hash in hashes):
            time.sleep(0.1)

    def jump_to(self, timestamp: int) -> None:
        """Advance chain time to ``timestamp`` in one block; does nothing if that time has passed."""
        with self._lock:
            if timestamp > self.rpc.block().timestamp:
                self._ahead = timestamp - time.time()
                self._block(timestamp)

    def _command(self) -> list[str]:
        network = ["--networkid", str(CHAIN_ID), "--syncmode", "full", "--port", "0", "--miner.gaslimit", "30000000"]
        secret = str(self.folder / "jwt")
        return [*network, "--authrpc.port", str(self._engine.port), "--authrpc.jwtsecret", secret]

    def _genesis(self) -> dict[str, Any]:
        """Hoodi's genesis, started a minute ago, with its contracts, and with all coin in one account."""
        dump = subprocess.run([self._binary, "dumpgenesis", "--hoodi"], check=True, capture_output=True).stdout
        genesis: dict[str, Any] = json.loads(dump)
        alloc = {address: account for address, account in genesis["alloc"].items() if "code" in account}
        alloc[self._bank.address] = {"balance": hex(10**27)}
        config = {**genesis["config"], "chainId": CHAIN_ID}
        start = hex(int(time.time()) - 60)
        return {**genesis, "config": config, "timestamp": start, "gasLimit": hex(30_000_000), "alloc": alloc}

    def _produce_blocks(self) -> None:
        while not self._stopping.wait(self._period_s):
            with self._lock, suppress(OSError, ChainError):  # the next block is a new attempt
                self._block(max(int(time.time() + self._ahead), self.rpc.block().timestamp + 1))

    def _block(self, timestamp: int) -> None:
        """Have geth build a block of pending transactions, import it and make it the head."""
        attributes = {
            "timestamp": hex(timestamp),
            "prevRandao": "0x" + secrets.token_hex(32),
            "suggestedFeeRecipient": "0x" + "00" * 20,
            "withdrawals": [],
            "parentBeaconBlockRoot": _ZERO,
        }
        payload_id = self._update_forkchoice(attributes)["payloadId"]
        time.sleep(_BUILD_S)
        built = self._engine.ask("engine_getPayloadV5", payload_id)
        payload = built["executionPayload"]
        imported = self._engine.ask("engine_newPayloadV4", payload, [], _ZERO, built["executionRequests"])
        if imported["status"] != "VALID":
            raise RuntimeError(f"geth refused the block: {imported}")
        self._newest = [*self._newest[1:], payload["blockHash"]]
        self._update_forkchoice(None)

    def _update_forkchoice(self, attributes: dict[str, Any] | None) -> Any:
        """Set the head, safe and finalised blocks; with attributes, start building the next block."""
        final, safe, head = self._newest
        state = {"headBlockHash": head, "safeBlockHash": safe, "finalizedBlockHash": final}
        reply = self._engine.ask("engine_forkchoiceUpdatedV3", state, attributes)
        if reply["payloadStatus"]["status"] != "VALID":
            raise RuntimeError(f"geth refused the fork choice: {reply}")
        return reply


def _base64url(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
