"""Daemons whose machine's clock is wrong, by libfaketime: from COVEY_LIBFAKETIME, .cache/libfaketime, or the system."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.network import SOURCE, Launch, Node, Process

_ROOT = SOURCE.parent
_PLACES = (
    _ROOT / ".cache" / "libfaketime" / "libfaketimeMT.so.1",
    *Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"),
)


def library() -> str:
    """Path of libfaketime. Skips the test where there is none, or fails it where there must be one."""
    given = os.environ.get("COVEY_LIBFAKETIME")
    for path in [Path(given)] if given else _PLACES:
        if path.is_file():
            return str(path)
    reason = "libfaketime is not here: `make libfaketime` gets it on Debian"
    if os.environ.get("COVEY_REQUIRE_LIBFAKETIME"):
        pytest.fail(reason)
    pytest.skip(reason)


def off_by(seconds: int) -> Launch:
    """Starts daemons whose wall clock is `seconds` ahead (negative: behind). Clocks that only count on are left alone,
    as they are when a machine's clock is set wrong."""
    preload = {
        "LD_PRELOAD": library(),
        "FAKETIME": f"{seconds:+d}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_RESET": "1",
        "FAKETIME_NO_CACHE": "1",
    }

    def launch(node: Node) -> Process:
        program = (
            "import sys; from pathlib import Path; from covey.config.node import NodeConfig\n"
            "from covey.daemon.run import run\n"
            "sys.exit(run(NodeConfig.load(file=Path(sys.argv[1]), environ={})))"
        )
        environment = {**os.environ, **preload, "PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": ""}
        with node.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-c", program, str(node.settings)], stderr=log, stdout=log, env=environment
            )

    return launch
