"""Find, install and run anvil, the local Ethereum chain under the devnet."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import urllib3

from covey.devnet.errors import DevnetError
from covey.devnet.process_guard import ProcessGuard

VERSION = "1.7.1"
PACKAGE = f"@foundry-rs/anvil@{VERSION}"
CHAIN_ID = 31337
START_TIMEOUT_S = 30.0


def cache_dir() -> Path:
    """Folder of this user's cache that `install_anvil` fills."""
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("covey")) / f"anvil-{VERSION}"


def find_anvil(*, install: bool = True) -> Path:
    """Path of an anvil program: $COVEY_ANVIL, PATH, ./node_modules/.bin, the user's cache, else npm.

    Raises DevnetError if $COVEY_ANVIL names no program, or nothing is found and nothing may be installed.
    """
    named = os.environ.get("COVEY_ANVIL")
    if named:
        path = Path(named).expanduser()
        if not os.access(path, os.X_OK) or path.is_dir():
            raise DevnetError(f"COVEY_ANVIL names {path}, which is not a program: fix it or unset it")
        return path
    on_path = shutil.which("anvil")
    if on_path:
        path = Path(on_path)
        return (_native(path.parent.parent) if path.parent.name == ".bin" else None) or path
    for folder in (Path.cwd() / "node_modules", cache_dir() / "node_modules"):
        native = _native(folder)
        if native is not None:
            return native
    if not install:
        raise DevnetError("anvil is not installed: put it on PATH, or name it in COVEY_ANVIL")
    return install_anvil()


def install_anvil() -> Path:
    """Install the pinned anvil with npm into the user's cache and return its path."""
    npm = shutil.which("npm")
    if npm is None:
        raise DevnetError("anvil is missing and so is npm: install Node.js 20, or name an anvil in COVEY_ANVIL")
    folder = cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--prefix", str(folder), "--no-save", "--no-fund", "--no-audit", PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    native = _native(folder / "node_modules")
    if done.returncode != 0 or native is None:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["npm printed nothing"]
        raise DevnetError(f"npm could not install {PACKAGE}: {lines[-1]}")
    return native


def _native(modules: Path) -> Path | None:
    """The program itself in a node_modules folder, past its JavaScript launcher."""
    for path in sorted(modules.glob("@foundry-rs/anvil-*/bin/anvil*")):
        if os.access(path, os.X_OK):
            return path
    launcher = modules / ".bin" / "anvil"
    return launcher if launcher.exists() else None


_given: set[int] = set()


def free_port() -> int:
    """A TCP port of the loopback interface that is free now; never the same twice, though nobody listens on it yet.

    It is drawn from below the ports that systems give to outgoing connections (from 32768 or 49152 on), so that none of
    those can take it before its server has started.
    """
    for _ in range(10_000):
        port = 18_000 + secrets.randbelow(14_000)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port
    raise DevnetError("no free TCP port between 18000 and 32000 on the loopback interface")


class Anvil:
    """A running anvil on the loopback interface; use as a context manager.

    Transactions are mined as they come, and a block every `block_time` seconds besides, so that duties that wait for
    a later block see one.
    """

    def __init__(self, log: Path, *, port: int | None = None, block_time: float = 1.0, program: Path | None = None):
        self.program = program or find_anvil()
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log_path = log
        self._states = log.with_suffix(".states")  # of old blocks; by default hundreds of MB stay in the home
        self._block_time = block_time
        self._log: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: ProcessGuard | None = None
        self._ids = itertools.count(1)
        self._http = urllib3.PoolManager(maxsize=2, retries=False, timeout=urllib3.Timeout(30.0))

    @property
    def pid(self) -> int:
        """Process id; the process leads its own group."""
        if self._process is None:
            raise DevnetError("anvil is not running")
        return self._process.pid

    def __enter__(self) -> Anvil:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start and wait until the chain answers. Raises DevnetError."""
        with socket.socket() as probe:  # whoever listens there would be taken for the chain that is about to start
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self.port))
            except OSError as error:
                raise DevnetError(f"port {self.port} cannot be used ({error.strerror}): choose another") from None
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        self._log = self._log_path.open("ab")
        command = [str(self.program), "--host", "127.0.0.1", "--port", str(self.port), "--chain-id", str(CHAIN_ID)]
        command += ["--block-time", f"{self._block_time:g}", "--mixed-mining", "--slots-in-an-epoch", "1"]
        command += ["--accounts", "1", "--no-cors", "--quiet", "--cache-path", str(self._states)]
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, start_new_session=True
            )
        except OSError as error:
            raise DevnetError(f"{self.program} does not start: {error.strerror}") from error
        self._guard = ProcessGuard(self._process)
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            if self._process.poll() is not None:
                code, said = self._process.returncode, last_line(self._log_path)
                raise DevnetError(f"anvil stopped at once (exit code {code}): {said}; see {self._log_path}")
            try:
                self.rpc("eth_chainId")
                return
            except (urllib3.exceptions.HTTPError, DevnetError):
                if time.monotonic() > deadline:
                    self.stop()
                    raise DevnetError(
                        f"anvil gave no answer in {START_TIMEOUT_S:.0f} s: see {self._log_path}"
                    ) from None
                time.sleep(0.05)

    def stop(self) -> None:
        """End the process and whatever it started; safe to call twice."""
        process, self._process = self._process, None
        if process is not None:
            stop_group(process, grace_s=3.0)
        if self._guard is not None:
            self._guard.release()
        if self._log is not None:
            self._log.close()
            self._log = None
        shutil.rmtree(self._states, ignore_errors=True)

    def wait(self, seconds: float) -> None:
        """Pause; raises DevnetError if the chain ends meanwhile."""
        if self._process is None:
            raise DevnetError("anvil is not running")
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(seconds)
            raise DevnetError(f"anvil stopped (exit code {code}): see {self._log_path}")

    def rpc(self, method: str, *params: Any) -> Any:
        """Call a method of the chain's development interface. Raises DevnetError with the chain's message."""
        body = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}
        reply = self._http.request(
            "POST", self.url, body=json.dumps(body), headers={"content-type": "application/json"}
        )
        answer = json.loads(reply.data)
        if "error" in answer:
            raise DevnetError(f"{method}: {answer['error'].get('message', answer['error'])}")
        return answer["result"]

    def time(self) -> int:
        """Time of the newest block, unix seconds."""
        return int(self.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def mine(self, blocks: int = 1) -> None:
        """Mine blocks now."""
        self.rpc("anvil_mine", hex(blocks))

    def jump_to(self, timestamp: int) -> int:
        """Let chain time pass to `timestamp` in one block; returns the seconds skipped (0 if it is past already)."""
        ahead = timestamp - self.time()
        if ahead <= 0:
            return 0
        self.rpc("evm_increaseTime", hex(ahead))
        self.mine()
        return ahead

    def set_balance(self, address: str, wei: int) -> None:
        """Give an account ether to pay for gas."""
        self.rpc("anvil_setBalance", address, hex(wei))


def last_line(log: Path) -> str:
    """The last line of a log that says something."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1][:300] if lines else "it said nothing"


def stop_group(process: subprocess.Popen[Any], *, grace_s: float) -> None:
    """Ask a process that leads its own group to end, then kill the group."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(grace_s)
