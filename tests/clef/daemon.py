"""A throw-away Clef on loopback that signs unattended, by attested rules."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from covey.chain.endpoint import open_endpoint
from covey.chain.errors import ChainError
from covey.chain.keys import create_keystore
from covey.devnet.anvil import free_port, last_line

ROOT = Path(__file__).resolve().parents[2]
MODULE = "github.com/ethereum/go-ethereum"
MASTER = "the master seed's password"
PASSWORD = "the keystore's password"


class ClefMissing(Exception):
    """Clef is neither built nor installed; the message says how to get it."""


def pinned_version() -> str:
    """The release in go.mod, without its v."""
    for line in (ROOT / "tests/clef/go.mod").read_text().splitlines():
        words = line.replace("require", "").split()
        if words[:1] == [MODULE]:
            return words[1].removeprefix("v")
    raise AssertionError(f"tests/clef/go.mod does not require {MODULE}")


def find_clef() -> str:
    """The path of the built binary, or of an installed one of the same release. Raises `ClefMissing`."""
    version = pinned_version()
    built = ROOT / ".cache/clef" / f"v{version}" / "clef"
    if built.exists():
        return str(built)
    installed = shutil.which("clef")
    if installed:
        told = subprocess.run([installed, "--version"], capture_output=True, text=True, check=False).stdout
        if f"version {version}-" in told:
            return installed
        raise ClefMissing(f"{installed} is not Clef {version}: build that with `make clef`")
    if shutil.which("go"):
        raise ClefMissing(f"Clef {version} is not built: run `make clef` (once, about 1 minute)")
    raise ClefMissing(f"neither Clef {version} nor Go to build it is installed: install Go and run `make clef`")


class Clef:
    """A Clef with one key, or several. `attest` a rule file before `start`; stop it to attest another.

    Clef reads its passwords from standard input: each command gets the lines it will ask for, in order.
    """

    def __init__(self, folder: Path, keys: list[bytes], chain_id: int) -> None:
        self.folder = folder
        self.http = f"http://127.0.0.1:{free_port()}"
        self._binary = find_clef()
        self._chain_id = chain_id
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)
        made = [create_keystore(folder / "keys" / f"{i}.json", PASSWORD, key=key, iterations=1 << 12)
                for i, key in enumerate(keys)]  # fmt: skip
        self.addresses = [signer.address for signer in made]
        self._config = folder / "config"
        self._run("init", lines=[MASTER, MASTER])
        for address in self.addresses:
            self._run("setpw", address, lines=[PASSWORD, PASSWORD, MASTER])

    @property
    def ipc(self) -> str:
        """The path of its socket."""
        return str(self._config / "clef.ipc")

    @property
    def log(self) -> Path:
        """What it says."""
        return self.folder / "clef.log"

    def attest(self, rules: str) -> None:
        """Make ``rules`` what it signs by."""
        (self.folder / "rules.js").write_text(rules)
        self._run("attest", hashlib.sha256(rules.encode()).hexdigest(), lines=[MASTER])

    def start(self, timeout_s: float = 120.0) -> Self:
        """Start it and wait until it answers."""
        port = self.http.rsplit(":", 1)[1]
        command = [self._binary, "--configdir", str(self._config), "--keystore", str(self.folder / "keys")]
        command += ["--suppress-bootwarn", "--nousb", "--chainid", str(self._chain_id), "--http", "--http.port", port]
        command += ["--rules", str(self.folder / "rules.js"), "--auditlog", str(self.folder / "audit.log")]
        command += ["--4bytedb-custom", str(self.folder / "4byte.json")]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
        assert self._process.stdin is not None
        self._process.stdin.write(f"{MASTER}\n".encode())
        self._process.stdin.close()  # nobody is there to be asked anything
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                self.ask("account_version")
                return self
            except ChainError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise RuntimeError(f"Clef did not start: {last_line(self.log)}") from None
                time.sleep(0.1)

    def stop(self) -> None:
        """Stop it, if it runs."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def ask(self, method: str, *params: Any) -> Any:
        """One call of its interface."""
        return open_endpoint(self.http).request(method, list(params), 60)

    def _run(self, *arguments: str, lines: list[str]) -> None:
        command = [self._binary, "--configdir", str(self._config), "--suppress-bootwarn", "--lightkdf", *arguments]
        given = "".join(f"{line}\n" for line in lines)
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"clef {arguments[0]}: {(done.stderr + done.stdout).strip()[-500:]}")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
