"""Programs in Go that tests run against: each is pinned by a Go module of its own and built by scripts/build_go.sh."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


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
        for line in (ROOT / "tests" / self.target / "go.mod").read_text().splitlines():
            words = line.replace("require", "").split()
            if words[:1] == [self.module]:
                return words[1].removeprefix("v")
        raise AssertionError(f"tests/{self.target}/go.mod does not require {self.module}")

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
