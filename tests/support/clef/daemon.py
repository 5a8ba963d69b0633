"""A temporary Clef on the loopback interface that signs automatically, by attested rules."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import Any, Self

from tests.support.go_programs import Program, Server

from covey.chain.errors import ChainError
from covey.chain.rpc.open import open_endpoint
from covey.chain.signing.keystore import create_keystore
from covey.devnet.anvil import free_port

MASTER = "the master seed's password"
PASSWORD = "the keystore's password"


CLEF = Program("Clef", "clef", "github.com/ethereum/go-ethereum", "clef", ("--version",), "version {}-", 1)


class Clef(Server):
    """A Clef with one or more keys. Call `attest` with the rules before `start`; stop Clef to attest others.

    Clef reads passwords from standard input: each command gets the lines it asks for, in order.
    """

    def __init__(self, folder: Path, keys: list[bytes], chain_id: int) -> None:
        self.folder = folder
        self.http = f"http://127.0.0.1:{free_port()}"
        self._binary = CLEF.find()
        self._chain_id = chain_id
        folder.mkdir(parents=True)
        signers = [create_keystore(folder / "keys" / f"{i}.json", PASSWORD, key=key, iterations=1 << 12)
                for i, key in enumerate(keys)]  # fmt: skip
        self.addresses = [signer.address for signer in signers]
        self._config = folder / "config"
        self._run("init", lines=[MASTER, MASTER])
        for address in self.addresses:
            self._run("setpw", address, lines=[PASSWORD, PASSWORD, MASTER])

    @property
    def ipc(self) -> str:
        """Path of the IPC socket."""
        return str(self._config / "clef.ipc")

    @property
    def log(self) -> Path:
        """Path of the log file."""
        return self.folder / "clef.log"

    def attest(self, rules: str) -> None:
        """Write ``rules`` to the rule file and attest it."""
        (self.folder / "rules.js").write_text(rules)
        self._run("attest", hashlib.sha256(rules.encode()).hexdigest(), lines=[MASTER])

    def start(self, timeout_s: float = 120.0) -> Self:
        """Start Clef and wait until it answers."""
        port = self.http.rsplit(":", 1)[1]
        command = [self._binary, "--configdir", str(self._config), "--keystore", str(self.folder / "keys")]
        command += ["--suppress-bootwarn", "--nousb", "--chainid", str(self._chain_id), "--http", "--http.port", port]
        command += ["--rules", str(self.folder / "rules.js"), "--auditlog", str(self.folder / "audit.log")]
        command += ["--4bytedb-custom", str(self.folder / "4byte.json")]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
        if self._process.stdin is None:
            raise RuntimeError("clef was started without a pipe for its standard input")
        self._process.stdin.write(f"{MASTER}\n".encode())
        self._process.stdin.close()  # no further question can be answered
        self._wait(lambda: self.ask("account_version"), ChainError, self.log, timeout_s)
        return self

    def ask(self, method: str, *params: Any) -> Any:
        """Make one JSON-RPC call."""
        return open_endpoint(self.http).request(method, list(params), 60)

    def _run(self, *arguments: str, lines: list[str]) -> None:
        command = [self._binary, "--configdir", str(self._config), "--suppress-bootwarn", "--lightkdf", *arguments]
        given = "".join(f"{line}\n" for line in lines)
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"clef {arguments[0]}: {(done.stderr + done.stdout).strip()[-500:]}")
