"""Clef for tests. Without Clef, tests are skipped with the reason."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.support.clef.daemon import Clef
from tests.support.go_programs import NotBuilt


def new_clef(folder: Path, keys: list[bytes], chain_id: int) -> Clef:
    """Create a Clef, not started. Without Clef the test is skipped, or fails if COVEY_REQUIRE_CLEF is set."""
    try:
        return Clef(folder, keys, chain_id)
    except NotBuilt as missing:
        if os.environ.get("COVEY_REQUIRE_CLEF"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
