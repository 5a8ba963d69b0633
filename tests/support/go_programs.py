"""Go programs that tests run against. Each is pinned by its own Go module and built by scripts/build_go.sh."""

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
    """The program is neither built nor installed; the message says how to build it."""


@dataclass(frozen=True, slots=True)
class Program:
    """One program. ``target`` is the name of its folder in tests/support/ and .cache/, and of its make target."""

    name: str
    target: str
    module: str
    command: str
    version_arguments: tuple[str, ...]
    """Arguments that print an installed program's version."""
    version_line: str
    """Part of that output, with ``{}`` for the release."""
    minutes: int
    """About how long the build takes on two cores."""

    def version(self) -> str:
        """The release in go.mod, without the leading v."""
        for line in (ROOT / "tests" / "support" / self.target / "go.mod").read_text().splitlines():
            words = line.replace("require", "").split()
            if words[:1] == [self.module]:
                return words[1].removeprefix("v")
        raise AssertionError(f"tests/support/{self.target}/go.mod does not require {self.module}")

    def find(self) -> str:
        """Path of the built binary, or of an installed one of the same release. Raises `NotBuilt`."""
        version, make = self.version(), f"`make {self.target}`"
        built = ROOT / ".cache" / self.target / f"v{version}" / self.command
        if built.exists():
            return str(built)
        installed = shutil.which(self.command)
        if installed:
            arguments = [installed, *self.version_arguments]
            output = subprocess.run(arguments, capture_output=True, text=True, check=False).stdout
            if self.version_line.format(version) in output:
                return installed
            raise NotBuilt(f"{installed} is not {self.name} {version}: build that with {make}")
        if shutil.which("go"):
            raise NotBuilt(f"{self.name} {version} is not built: run {make} (once, about {self.minutes} min)")
        raise NotBuilt(f"neither {self.name} {version} nor Go to build it is installed: install Go and run {make}")


def end(process: subprocess.Popen[bytes], seconds: float = 30.0) -> None:
    """Terminate a process; kill it if it does not end within ``seconds``."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Server:
    """A running program; use as a context manager."""

    _process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it and wait until it answers."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop it if it runs."""
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
