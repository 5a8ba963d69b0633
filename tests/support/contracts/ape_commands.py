"""Runs ape commands, each in a fork of one process that has imported ape, which takes seconds.

`python -m tests.support.contracts.ape_commands` reads a JSON list of argument lists from standard input, runs one after
another, and writes a JSON list of {"code": n, "output": text} to standard output.
"""

from __future__ import annotations

import atexit
import importlib
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

ROOT = Path(__file__).resolve().parents[3]


class Ended(TypedDict):
    """How a command ended."""

    code: int
    output: str
    """Standard output and standard error."""


def run_ape(commands: Sequence[Sequence[str]], timeout: float = 600.0) -> list[Ended]:
    """Run ape with each list of arguments, in the repository's folder."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.contracts.ape_commands"],
        input=json.dumps([list(arguments) for arguments in commands]),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"ape was not started: {done.stderr}")
    ended: list[Ended] = json.loads(done.stdout)
    return ended


def _forked(arguments: Sequence[str]) -> Ended:
    from ape._cli import cli

    with tempfile.TemporaryFile() as output:
        if (pid := os.fork()) == 0:
            code = 70
            try:
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
                cli(list(arguments))
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
            except BaseException:
                traceback.print_exc()
            finally:
                atexit._run_exitfuncs()  # ends the command's anvil
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        output.seek(0)
        return {"code": os.waitstatus_to_exitcode(status), "output": output.read().decode()}


def _main() -> None:
    for module in ("ape_foundry.provider", "ape_test.accounts", "covey.audit.sources", "covey.chain.deploy.deploy"):
        importlib.import_module(module)
    commands = json.load(sys.stdin)
    json.dump([_forked(arguments) for arguments in commands], sys.stdout)


if __name__ == "__main__":
    _main()
