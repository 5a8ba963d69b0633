"""geth for tests: skipped where there is none, with the reason."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.geth.daemon import Geth
from tests.gobuilt import NotBuilt


def new_geth(folder: Path) -> Geth:
    """A geth, not started; where there is none the test is skipped, or fails if COVEY_REQUIRE_GETH is set."""
    try:
        return Geth(folder)
    except NotBuilt as missing:
        if os.environ.get("COVEY_REQUIRE_GETH"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
