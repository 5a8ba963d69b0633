"""Programs in Go that tests run against: each is pinned by a Go module of its own and built by scripts/build_go.sh."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from covey.devnet.anvil import last_line

ROOT = Path(__file__).resolve().parents[2]


class NotBuilt(Exception):
    """The program is neither built nor installed; the message says how to get it."""


@dataclass(frozen=True, slots=True)
class Program:
    """One program. ``target`` names its folder in tests/, its folder in .cache/ and its target of make."""

    name: str
    target: str
    module: str
    command: str
    asks: tuple[str, ...]
    """Arguments that have an installed one tell its version."""
    says: str
    """What it then says among other things, with the release in place of ``{}``."""
    minutes: int
    """About how long the build takes on two cores."""

    def version(self) -> str:
        """The release in go.mod, without its v."""
        for line in (ROOT / "tests" / "support" / self.target / "go.mod").read_text().splitlines():
            words = line.replace("require", "").split()
            if words[:1] == [self.module]:
                return words[1].removeprefix("v")
        raise AssertionError(f"tests/support/{self.target}/go.mod does not require {self.module}")

    def find(self) -> str:
        """The path of the built binary, or of an installed one of the same release. Raises `NotBuilt`."""
        version, make = self.version(), f"`make {self.target}`"
        built = ROOT / ".cache" / self.target / f"v{version}" / self.command
        if built.exists():
            return str(built)
        installed = shutil.which(self.command)
        if installed:
            told = subprocess.run([installed, *self.asks], capture_output=True, text=True, check=False).stdout
            if self.says.format(version) in told:
                return installed
            raise NotBuilt(f"{installed} is not {self.name} {version}: build that with {make}")
        if shutil.which("go"):
            raise NotBuilt(f"{self.name} {version} is not built: run {make} (once, about {self.minutes} min)")
        raise NotBuilt(f"neither {self.name} {version} nor Go to build it is installed: install Go and run {make}")


def end(process: subprocess.Popen[bytes], seconds: float = 30.0) -> None:
    """End a process, by force where it does not end by itself within ``seconds``."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Server:
    """One of them at work: started, waited for and ended. Use as a context manager."""

    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it and wait until it answers."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop it, if it runs."""
        if self._process is not None:
            end(self._process)
            self._process = None

    def _wait(self, answers: Callable[[], object], silence: type[Exception], log: Path, timeout_s: float) -> None:
        """Wait until ``answers`` no longer raises ``silence``. Raises RuntimeError with the log's last line."""
        assert self._process is not None
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                answers()
                return
            except silence:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise RuntimeError(f"{type(self).__name__} did not start: {last_line(log)}") from None
                time.sleep(0.05)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
