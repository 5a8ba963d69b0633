"""Kubo nodes for tests. A test is skipped, with the reason, if Kubo is not built."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.support.go_programs import NotBuilt
from tests.support.kubo.daemon import Kubo


def new_kubo(folder: Path, *, token: str | None = None) -> Kubo:
    """A Kubo node that is not started.

    If Kubo is not built, skips the test, or fails it if COVEY_REQUIRE_KUBO is set.
    """
    try:
        return Kubo(folder, token=token)
    except NotBuilt as missing:
        if os.environ.get("COVEY_REQUIRE_KUBO"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
