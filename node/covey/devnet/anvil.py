"""Finds, installs and runs anvil, the Ethereum chain of local networks."""

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
from collections import deque
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
DUMP_TIMEOUT_S = 60.0
"""Time to write a chain's state at the end."""
STATE_INTERVAL_S = 60
"""Time between two writes of a chain's state."""


def cache_dir() -> Path:
    """Folder in the user's cache into which `install_anvil` installs."""
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("covey")) / f"anvil-{VERSION}"


def find_anvil(*, install: bool = True) -> Path:
    """Find an anvil executable: $COVEY_ANVIL, PATH, ./node_modules, the user's cache, or else install it with npm.

    Raises:
        DevnetError: $COVEY_ANVIL is not an executable, or none is found and `install` is False.
    """
    named = os.environ.get("COVEY_ANVIL")
    if named:
        path = Path(named).expanduser()
        if not os.access(path, os.X_OK) or path.is_dir():
            raise DevnetError(f"COVEY_ANVIL names {path}, which is not an executable: correct or unset it")
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
        raise DevnetError("anvil is not installed: put it on PATH, or set COVEY_ANVIL")
    return install_anvil()


def install_anvil() -> Path:
    """Install the pinned anvil with npm into the user's cache and return its path."""
    npm = shutil.which("npm")
    if npm is None:
        raise DevnetError("neither anvil nor npm is installed: install Node.js 20, or set COVEY_ANVIL")
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
    """The native executable in a node_modules folder; the JavaScript launcher if there is none."""
    for path in sorted(modules.glob("@foundry-rs/anvil-*/bin/anvil*")):
        if os.access(path, os.X_OK):
            return path
    launcher = modules / ".bin" / "anvil"
    return launcher if launcher.exists() else None


_returned_ports: set[int] = set()
_reservations: deque[socket.socket] = deque()
_MAX_RESERVATIONS = 256


def free_port() -> int:
    """A free TCP port of the loopback interface; a process never gets the same port twice.

    The port lies below the ephemeral range (which starts at 32768 or 49152), so that no outgoing connection takes it
    before the server binds it. No other process gets it from this function meanwhile, though the server may start much
    later: a socket that does not listen stays bound to it. A server that sets SO_REUSEADDR, as all do here, can bind it
    nevertheless; the probe of this function, which does not, cannot.
    """
    for _ in range(10_000):
        port = 18_000 + secrets.randbelow(14_000)
        if port in _returned_ports:
            continue
        reservation = socket.socket()
        try:
            reservation.bind(("127.0.0.1", port))
        except OSError:
            reservation.close()
            continue
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _returned_ports.add(port)
        _reservations.append(reservation)
        if len(_reservations) > _MAX_RESERVATIONS:
            _reservations.popleft().close()
        return port
    raise DevnetError("no free TCP port between 18000 and 32000 on the loopback interface")


class AnvilRpc:
    """Requests to an anvil that runs already."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._ids = itertools.count(1)
        self._http = urllib3.PoolManager(maxsize=2, retries=False, timeout=urllib3.Timeout(30.0))

    def rpc(self, method: str, *params: Any) -> Any:
        """Call a JSON-RPC method. Raises DevnetError with anvil's error message."""
        body = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(params)}
        reply = self._http.request(
            "POST", self.url, body=json.dumps(body), headers={"content-type": "application/json"}
        )
        response = json.loads(reply.data)
        if "error" in response:
            raise DevnetError(f"{method}: {response['error'].get('message', response['error'])}")
        return response["result"]

    def time(self) -> int:
        """Chain time: timestamp of the newest block, unix seconds."""
        return int(self.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def set_balance(self, address: str, wei: int) -> None:
        """Set an account's ether balance."""
        self.rpc("anvil_setBalance", address, hex(wei))


class Anvil(AnvilRpc):
    """An anvil process on the loopback interface; a context manager.

    Anvil mines each transaction at once, and a block every `block_time` seconds besides, so that duties waiting for a
    later block proceed.
    """

    def __init__(
        self,
        log: Path,
        *,
        port: int | None = None,
        block_time: float = 1.0,
        program: Path | None = None,
        state: Path | None = None,
        initial: Path | None = None,
    ):
        """With `state`, the chain is loaded from this file if it exists, and saved to it each minute and at the end.

        With `initial`, it starts from this file, which is not written.
        """
        self.program = program or find_anvil()
        self.port = port or free_port()
        super().__init__(f"http://127.0.0.1:{self.port}")
        self._log_path = log
        self._states = log.with_suffix(".states")  # anvil would leave hundreds of MB in the home
        self._block_time = block_time
        self._state = state
        self._initial = initial
        self._log: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: ProcessGuard | None = None

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
        """Start anvil and wait until its RPC responds. Raises DevnetError."""
        with socket.socket() as probe:  # another listener would be mistaken for this anvil
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
        if self._state is not None:
            command += ["--state", str(self._state), "--state-interval", str(STATE_INTERVAL_S)]
        elif self._initial is not None:
            command += ["--load-state", str(self._initial)]
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
                code, reason = self._process.returncode, last_line(self._log_path)
                raise DevnetError(f"anvil exited at start (exit code {code}): {reason}; see {self._log_path}")
            try:
                self.rpc("eth_chainId")
                return
            except (urllib3.exceptions.HTTPError, DevnetError):
                if time.monotonic() > deadline:
                    self.stop()
                    raise DevnetError(
                        f"anvil did not respond within {START_TIMEOUT_S:.0f} s: see {self._log_path}"
                    ) from None
                time.sleep(0.05)

    def stop(self) -> None:
        """Stop the process and its children. Idempotent."""
        process, self._process = self._process, None
        if process is not None:
            stop_group(process, grace_s=3.0 if self._state is None else DUMP_TIMEOUT_S)
        if self._guard is not None:
            self._guard.release()
        if self._log is not None:
            self._log.close()
            self._log = None
        shutil.rmtree(self._states, ignore_errors=True)

    def wait(self, seconds: float) -> None:
        """Sleep. Raises DevnetError if anvil exits meanwhile."""
        if self._process is None:
            raise DevnetError("anvil is not running")
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(seconds)
            raise DevnetError(f"anvil exited (exit code {code}): see {self._log_path}")

    def mine(self, blocks: int = 1) -> None:
        """Mine blocks now."""
        self.rpc("anvil_mine", hex(blocks))

    def jump_to(self, timestamp: int) -> int:
        """Advance chain time to `timestamp` with one block. Returns the seconds skipped, 0 if it has passed already."""
        ahead = timestamp - self.time()
        if ahead <= 0:
            return 0
        self.rpc("evm_increaseTime", hex(ahead))
        self.mine()
        return ahead


def last_line(log: Path) -> str:
    """The last non-empty line of a log, at most 300 characters."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1][:300] if lines else "no output"


def stop_group(process: subprocess.Popen[Any], *, grace_s: float) -> None:
    """Terminate a process that leads its own group, then kill the group after `grace_s` seconds."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(grace_s)
