"""Stores for the tests of `covey.ipfs`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.kubo.daemon import Kubo
from tests.support.kubo.fixtures import new_kubo

from covey.ipfs import BlockStore, Store, open_store


@pytest.fixture(scope="session")
def kubo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubo]:
    """A running Kubo node, shared by the tests."""
    with new_kubo(tmp_path_factory.mktemp("kubo") / "repo") as node:
        yield node


@pytest.fixture
def embedded(tmp_path: Path) -> BlockStore:
    """An empty embedded store."""
    return BlockStore(tmp_path / "store")


@pytest.fixture(params=["embedded", pytest.param("kubo", marks=pytest.mark.daemon)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Each kind of store in turn. Kubo's may contain content of earlier tests."""
    location = str(tmp_path / "store") if request.param == "embedded" else request.getfixturevalue("kubo").rpc
    with open_store(location) as opened:
        yield opened
