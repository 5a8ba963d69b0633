"""Install the wheel in an empty virtual environment outside the repository and run `covey check` there.

Usage: python scripts/check_wheel.py WHEEL [--demo]

It also compares the wheel's files with the tracked files of node/covey. `--demo` runs `covey demo` there as well. The
environment installs the locked versions from uv's cache, which takes seconds after `make setup`.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UV = Path(sys.executable).with_name("uv")


def check_files(wheel: Path) -> None:
    """Exit with an error if a tracked file of the package is not in the wheel."""
    listing = subprocess.run(["git", "ls-files", "node/covey"], cwd=ROOT, check=True, capture_output=True, text=True)
    tracked = {name.removeprefix("node/") for name in listing.stdout.splitlines() if (ROOT / name).exists()}
    with zipfile.ZipFile(wheel) as archive:
        packed = {info.filename: info.file_size for info in archive.infolist()}
    if missing := sorted(tracked - packed.keys()):
        sys.exit(f"error: not in {wheel.name}: {', '.join(missing)}")
    if untracked := sorted(name for name in packed if name.startswith("covey/") and name not in tracked):
        print(f"warning: in {wheel.name} but not tracked: {', '.join(untracked)}", file=sys.stderr)
    size = wheel.stat().st_size / 1e6
    print(f"{wheel.name}: {len(packed)} files, {size:.1f} MB")


def constraints() -> str:
    """The locked versions, as constraints."""
    lock = (ROOT / "requirements" / "dev.lock").read_text()
    return "\n".join(re.findall(r"^[\w.\[\]-]+==[^\s;\\]+", lock, re.MULTILINE))


def main() -> None:
    parser = argparse.ArgumentParser(description="Try the wheel in an empty virtual environment.")
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--demo", action="store_true", help="run `covey demo` there too")
    arguments = parser.parse_args()
    wheel = arguments.wheel.resolve()
    check_files(wheel)

    with tempfile.TemporaryDirectory(prefix="covey-wheel-") as folder:
        venv = Path(folder, "venv")
        work = Path(folder, "work")
        work.mkdir()
        pins = Path(folder, "constraints.txt")
        pins.write_text(constraints())
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("COVEY_", "APE_", "SOLCX_", "PYTHONPATH", "VIRTUAL_ENV"))
        }
        # Hide the repository's virtual environment and its node_modules.
        folders = [part for part in environment["PATH"].split(os.pathsep) if not Path(part).is_relative_to(ROOT)]
        environment["PATH"] = os.pathsep.join([str(venv / "bin"), *folders])

        def run(*command: str | Path) -> None:
            print("$", *(Path(part).name if isinstance(part, Path) else part for part in command), flush=True)
            if code := subprocess.run(command, cwd=work, env=environment, check=False).returncode:
                sys.exit(f"error: exit status {code}")

        run(UV, "venv", "--quiet", "--python", sys.executable, venv)
        run(
            *(UV, "pip", "install", "--quiet", "--python", venv / "bin" / "python", "--compile-bytecode"),
            *("--constraint", pins, f"{wheel}[demo]"),
        )
        run(venv / "bin" / "covey", "--version")
        run(venv / "bin" / "covey", "check")
        if arguments.demo:
            run(venv / "bin" / "covey", "demo")
    print(f"{wheel.name} works in an empty environment")


if __name__ == "__main__":
    main()
