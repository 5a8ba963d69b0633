"""geth for tests. Without geth, tests are skipped with the reason."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.support.geth.daemon import Geth
from tests.support.go_programs import NotBuilt


def new_geth(folder: Path, kind: type[Geth] = Geth) -> Geth:
    """Create a geth, not started. Without geth the test is skipped, or fails if COVEY_REQUIRE_GETH is set."""
    try:
        return kind(folder)
    except NotBuilt as missing:
        if os.environ.get("COVEY_REQUIRE_GETH"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
