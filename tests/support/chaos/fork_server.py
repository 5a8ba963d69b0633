"""A process with the daemon's code already imported, which starts daemons by forking.

Reads one JSON object a line, {"settings": path, "log": path, "cuts": path or null, "environment": {...}}, answers with
{"pid": n}, and tells of each end with {"pid": n, "code": n} (negative: the signal). Its children end with it.
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
from typing import Any


def preload() -> None:
    """Everything that a daemon imports on its way to the first look."""
    import web3  # noqa: F401

    import covey.daemon.duties
    import covey.daemon.loop
    import covey.daemon.run  # noqa: F401

    gc.collect()
    gc.freeze()


def child(order: dict[str, Any]) -> int:
    """Be a daemon; the exit code."""
    import crash_points as cuts  # beside this file, which is a program

    from covey.config.node import NodeConfig
    from covey.daemon.run import run

    if order["cuts"] is not None:
        cuts.install(Path(order["cuts"]))
    return run(NodeConfig.load(file=Path(order["settings"]), environ={}))


def fork(order: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        for target, source in ((0, null), (1, log), (2, log)):
            os.dup2(source, target)
        os.environ.update(order["environment"])
        code = child(order)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def tell(**words: int) -> None:
    os.write(1, json.dumps(words).encode() + b"\n")


def serve() -> None:
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
                    tell(pid=pid, code=os.waitstatus_to_exitcode(status))
        if 0 in ready:
            data = os.read(0, 1 << 16)
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                pid = fork(json.loads(line))
                children.add(pid)
                tell(pid=pid)
    for pid in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    preload()
    serve()
