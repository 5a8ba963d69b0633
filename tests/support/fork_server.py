"""A process that has imported the package and forks daemons and commands: `python -m tests.support.fork_server`.

Reads one JSON object a line from standard input, an `Order`. Answers each with {"pid": n}, and reports the end of each
child with {"pid": n, "code": n}, where a negative code is a signal. Its children are killed when standard input ends.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import select
import signal
import sys
from pathlib import Path
from typing import NotRequired, TypedDict


class Order(TypedDict):
    """A request for one daemon or one command."""

    stdout: str
    stderr: str
    settings: NotRequired[str]
    """Of a daemon."""
    crash_points: NotRequired[str]
    """File of steps; see the module `crash_points`."""
    disk_full_points: NotRequired[str]
    """File of steps; see the module `disk_full_points`."""
    arguments: NotRequired[list[str]]
    """Of a `covey` command."""
    environment: NotRequired[dict[str, str]]
    """All variables of the command."""
    folder: NotRequired[str]
    """The command's working directory."""


def preload() -> None:
    """Import everything that a daemon needs for its first cycle, and the command line."""
    import web3  # noqa: F401

    import covey.cli.main
    import covey.daemon.duties
    import covey.daemon.loop
    import covey.daemon.run  # noqa: F401
    from covey.chain.events import decoder

    decoder.followed()  # fills its cache
    gc.collect()
    gc.freeze()


def run_command(arguments: list[str], environment: dict[str, str], folder: str) -> int:
    """Run a `covey` command; returns its exit code."""
    from covey.cli.main import main

    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    return main(arguments)


def run_daemon(order: Order) -> int:
    """Run a daemon until it ends; returns its exit code."""
    from covey.config.node import NodeConfig
    from covey.daemon.run import run

    config = NodeConfig.load(file=Path(order["settings"]), environ={})
    if "crash_points" in order:
        from tests.support.chaos import crash_points

        crash_points.install(crash_points.CrashPoints(Path(order["crash_points"])))
    if "disk_full_points" in order:
        from tests.support.chaos import disk_full_points

        disk_full_points.install(Path(order["disk_full_points"]), config.data_dir)
    return run(config)


def fork(order: Order) -> int:
    """Fork a child; returns its process id."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for target, path in ((1, order["stdout"]), (2, order["stderr"])):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), target)
        if "arguments" in order:
            code = run_command(order["arguments"], order["environment"], order["folder"])
        else:
            code = run_daemon(order)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def report(**fields: int) -> None:
    os.write(1, json.dumps(fields).encode() + b"\n")


def serve() -> None:
    """Handle requests and reap children until standard input ends."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    os.set_blocking(reader, False)
    signal.set_wakeup_fd(writer)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    children: set[int] = set()
    rest = b""
    while True:
        ready, _, _ = select.select([0, reader], [], [])
        if reader in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(reader, 4096)
            for pid in sorted(children):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    children.discard(pid)
                    report(pid=pid, code=os.waitstatus_to_exitcode(status))
        if 0 in ready:
            data = os.read(0, 1 << 16)
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                pid = fork(json.loads(line))
                children.add(pid)
                report(pid=pid)
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    preload()
    serve()
