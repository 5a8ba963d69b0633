"""Debian's prometheus and promtool for tests: from COVEY_PROMETHEUS (a folder), .cache/prometheus, or the PATH."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "prometheus"


def find(program: str) -> str:
    """Path of `prometheus` or `promtool`. Skips the test where there is none, or fails it where there must be one."""
    folders = [os.environ.get("COVEY_PROMETHEUS") or str(CACHE), os.environ.get("PATH", "")]
    for folder in folders:
        if (found := shutil.which(program, path=folder)) is not None:
            return found
    reason = f"{program} is not here: `make prometheus` gets it on Debian"
    if os.environ.get("COVEY_REQUIRE_PROMETHEUS"):
        pytest.fail(reason)
    pytest.skip(reason)
