"""Measures the wall time of the demo, from its start to claimed and audited rewards, and the cost of a daemon.

Runs `covey demo` in a separate process, then `bench/daemon_rest.py`. Prints a table and, as the last line, one JSON
object: demo_s, daemon_rss_mb, daemon_start_s.

    python bench/demo.py [--seed 7] [--validators 3]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def run(command: list[str]) -> str:
    """Run a command and return its standard output. Exits if it fails."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "node")}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=False)
    if done.returncode:
        sys.exit(f"{command[1:3]} failed with exit code {done.returncode}")
    return done.stdout


def demo(seed: int, validators: int) -> tuple[float, dict[str, Any]]:
    """Run the demo. Returns its wall time, seconds, and its result."""
    command = [sys.executable, "-c", "from covey.cli.main import run; run()", "demo", "--json"]
    with tempfile.TemporaryDirectory(prefix="covey-bench-") as folder:
        began = time.monotonic()
        text = run([*command, "--seed", str(seed), "--validators", str(validators), "--out", f"{folder}/run"])
        return time.monotonic() - began, json.loads(text)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--validators", type=int, default=3)
    chosen = parser.parse_args()
    seconds, result = demo(chosen.seed, chosen.validators)
    rest = json.loads(run([sys.executable, str(ROOT / "bench" / "daemon_rest.py")]).splitlines()[-1])
    for phase in result["phases"]:
        print(f"{phase['name']:<28}{phase['seconds']:>8.1f} s")
    print(f"{'whole command':<28}{seconds:>8.1f} s")
    print(f"{'Spearman rho':<28}{result['spearman']:>8.2f}")
    print(f"{'idle daemon':<28}{rest['daemon_rss_mb']:>8.1f} MB")
    print(f"{'daemon start':<28}{rest['daemon_start_s']:>8.2f} s")
    numbers = {
        "demo_s": round(seconds, 1),
        "daemon_rss_mb": rest["daemon_rss_mb"],
        "daemon_start_s": rest["daemon_start_s"],
    }
    print(json.dumps(numbers))


if __name__ == "__main__":
    main()
