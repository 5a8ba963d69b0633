"""A temporary geth in development mode: its own beacon chain, one block per second."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any, Self

from tests.support.go_programs import Program, Server

from covey.chain.errors import ChainError, TransientError
from covey.chain.rpc.client import Rpc
from covey.chain.signing.keystore import LocalSigner
from covey.devnet.anvil import free_port

CHAIN_ID = 1337
"""The chain id of geth's development network."""


GETH = Program("geth", "geth", "github.com/ethereum/go-ethereum", "geth", ("version",), "Version: {}-", 3)


class Geth(Server):
    """A development network of one node, reachable over http, ws and ipc between `start` and `stop`.

    A block comes every second, and each adds at least one second to chain time: on a loaded machine chain time runs
    ahead of the clock. Chain time cannot jump. Only `set_head` removes blocks.
    """

    def __init__(self, folder: Path, *, period_s: float = 1) -> None:
        self.folder = folder
        self.http, self.ws = (f"{scheme}://127.0.0.1:{free_port()}" for scheme in ("http", "ws"))
        # A path in a test's folder can exceed the maximum length of a socket's path.
        self.ipc = str(folder / "geth.ipc") if len(str(folder)) < 90 else f"/tmp/covey-geth-{free_port()}.ipc"
        self._period_s = period_s
        self._binary = GETH.find()
        self._log = folder / "geth.log"

    @property
    def urls(self) -> dict[str, str]:
        """URLs by transport."""
        return {"http": self.http, "ws": self.ws, "ipc": self.ipc}

    @property
    def rpc(self) -> Rpc:
        """A new client of the http endpoint."""
        return Rpc(self.http, CHAIN_ID, timeout=60)

    def start(self, timeout_s: float = 120.0) -> Self:
        """Start geth and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [self._binary, *self._command(), "--datadir", str(self.folder / "data"), "--ipcpath", self.ipc]
        command += ["--nodiscover", "--maxpeers", "0"]
        command += ["--datadir.minfreedisk", "0"]  # start on a nearly full disk too: the chain is small
        command += ["--http", "--http.port", self.http.rsplit(":", 1)[1], "--http.api", "eth,net,debug,txpool"]
        command += ["--ws", "--ws.port", self.ws.rsplit(":", 1)[1], "--ws.api", "eth,net", "--verbosity", "2"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._wait(lambda: self.ask("eth_blockNumber"), ChainError, self._log, timeout_s)
        return self

    def _command(self) -> list[str]:
        """Options that select the network."""
        return ["--dev", "--dev.period", f"{self._period_s:g}", "--dev.gaslimit", "30000000"]

    def stop(self) -> None:
        """Stop geth if it runs."""
        super().stop()
        Path(self.ipc).unlink(missing_ok=True)

    def ask(self, method: str, *params: Any) -> Any:
        """Make one JSON-RPC call."""
        return self.rpc.request(method, list(params))

    def mined(self, tx_hash: str) -> bool:
        """True if a transaction is in a block."""
        try:
            return self.rpc.receipt(tx_hash) is not None
        except TransientError:  # geth indexes transactions for a while after its start
            return False

    def fund(self, *addresses: str, ether: int = 1_000) -> None:
        """Send coin for gas from the development account, whose key geth holds."""
        (bank,) = self.ask("eth_accounts")
        fields = {"from": bank, "value": hex(ether * 10**18)}
        hashes = [self.ask("eth_sendTransaction", {**fields, "to": address}) for address in addresses]
        while not all(self.mined(tx_hash) for tx_hash in hashes):
            time.sleep(0.2)

    def account(self, number: int) -> LocalSigner:
        """A signer without coin; the same number gives the same signer. See `fund`."""
        return LocalSigner.from_key(number.to_bytes(32, "big"))

    def set_head(self, block: int) -> None:
        """Remove all blocks above ``block``; new ones follow it."""
        self.ask("debug_setHead", hex(block))
