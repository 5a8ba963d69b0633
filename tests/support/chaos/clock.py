"""Starts daemons with a wrong wall clock, by libfaketime: from COVEY_LIBFAKETIME, .cache/libfaketime, or the system."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.support.network import ROOT

_PATHS = (
    ROOT / ".cache" / "libfaketime" / "libfaketimeMT.so.1",
    *Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"),
)


def library() -> str:
    """Path of libfaketime. Without it the test is skipped, or fails if COVEY_REQUIRE_LIBFAKETIME is set."""
    given = os.environ.get("COVEY_LIBFAKETIME")
    for path in [Path(given)] if given else _PATHS:
        if path.is_file():
            return str(path)
    reason = "libfaketime is not installed: `make libfaketime` downloads it on Debian"
    if os.environ.get("COVEY_REQUIRE_LIBFAKETIME"):
        pytest.fail(reason)
    pytest.skip(reason)


def clock_offset(seconds: int) -> dict[str, str]:
    """Environment of a process whose wall clock is ``seconds`` ahead (negative: behind).

    Monotonic clocks stay right, as they do when a machine's clock is set wrong.
    """
    return {
        "LD_PRELOAD": library(),
        "FAKETIME": f"{seconds:+d}s",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_RESET": "1",
        "FAKETIME_NO_CACHE": "1",
        "NO_FAKE_STAT": "1",
    }
