"""Fixtures for the ape tests: the deployed system on anvil. After each test, ape reverts the chain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.support import processor_time
from tests.support.contracts import fast_ape
from tests.support.contracts.system import System, deploy
from tests.support.contracts.task_steps import People

fast_ape.install()


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(processor_time)


@pytest.fixture(scope="session")
def system(accounts: Any) -> System:
    """The deployed contracts."""
    return deploy(accounts)


@pytest.fixture(scope="module")
def people(system: System, accounts: Any) -> People:
    """Six staked operators with their signers."""
    return People(system, accounts, 6)


@pytest.fixture
def at(chain: Any) -> Callable[[int], None]:
    """at(t): set the timestamp of the next block to t."""

    def set_time(timestamp: int) -> None:
        chain.provider.set_timestamp(timestamp)

    return set_time


@pytest.fixture
def later(chain: Any) -> Callable[[int], int]:
    """later(s): mine a block s seconds later and return its timestamp."""

    def advance(seconds: int) -> int:
        chain.mine(timestamp=chain.blocks.head.timestamp + seconds)
        return int(chain.blocks.head.timestamp)

    return advance
