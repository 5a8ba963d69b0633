"""Build the page twice and print its CID; with --check compare the shipped build.

Usage: scripts/build_web.py [--check]. Without --check the build replaces node/covey/web/site.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from covey.ipfs.unixfs import directory_cid

ROOT = Path(__file__).resolve().parents[1]
WEB = ROOT / "web"
SITE = ROOT / "node" / "covey" / "web" / "site"


def build(folder: Path) -> str:
    """Build the page into `folder`. Returns the CID of that folder."""
    subprocess.run(
        ["npx", "vite", "build", "--logLevel", "warn", "--outDir", str(folder), "--emptyOutDir"], cwd=WEB, check=True
    )
    return cid_of(folder)


def cid_of(folder: Path) -> str:
    """The CID of a folder of files."""
    return str(directory_cid({file.name: file.read_bytes() for file in sorted(folder.iterdir())}))


def main(arguments: list[str]) -> int:
    """Build, compare, and print the CID. Returns the exit code."""
    with tempfile.TemporaryDirectory() as scratch:
        first, second = build(Path(scratch) / "first"), build(Path(scratch) / "second")
        if first != second:
            print(f"two builds of the same sources differ: {first} and {second}", file=sys.stderr)
            return 1
        if "--check" in arguments:
            shipped = cid_of(SITE)
            if shipped != first:
                print(f"node/covey/web/site is {shipped}, the sources build {first}: run `make web`", file=sys.stderr)
                return 1
        else:
            shutil.rmtree(SITE, ignore_errors=True)
            shutil.copytree(Path(scratch) / "first", SITE)
    print(f"the page's CID is {first}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
