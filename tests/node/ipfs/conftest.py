from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.kubo.daemon import Kubo, KuboMissing

from covey.ipfs import BlockStore, Store, open_store


def new_kubo(folder: Path, *, token: str | None = None) -> Kubo:
    """A Kubo node, not started; where there is none the test is skipped, or fails if COVEY_REQUIRE_KUBO is set."""
    try:
        return Kubo(folder, token=token)
    except KuboMissing as missing:
        if os.environ.get("COVEY_REQUIRE_KUBO"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def kubo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubo]:
    """A running Kubo node that tests share."""
    with new_kubo(tmp_path_factory.mktemp("kubo") / "repo") as node:
        yield node


@pytest.fixture
def embedded(tmp_path: Path) -> BlockStore:
    """An empty embedded store."""
    return BlockStore(tmp_path / "store")


@pytest.fixture(params=["embedded", pytest.param("kubo", marks=pytest.mark.daemon)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Each kind of store in turn; Kubo's may hold what earlier tests left."""
    location = str(tmp_path / "store") if request.param == "embedded" else request.getfixturevalue("kubo").rpc
    with open_store(location) as opened:
        yield opened
