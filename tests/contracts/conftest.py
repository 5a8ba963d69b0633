"""The deployed system on anvil. It is set up once; ape takes the chain back to there after every test."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import ape.utils.testing
import pytest
from ape_ethereum.trace import Trace
from tests.support.contracts import covey_system, task_steps

# Ape derives the key of a test account anew at each use, and prints a call trace for each revert, expected ones too.
# Without both these tests take less than half the time.
ape.utils.testing._generate_dev_account = cache(ape.utils.testing._generate_dev_account)
Trace.show = lambda self, verbose=False, file=None: None


@pytest.fixture(scope="session")
def system(accounts: Any, project: Any) -> covey_system.System:
    return covey_system.deploy(accounts, project)


@pytest.fixture(scope="module")
def people(system: covey_system.System, accounts: Any) -> task_steps.People:
    return task_steps.People(system, accounts, 6)


@pytest.fixture
def at(chain: Any) -> Callable[[int], None]:
    """at(t): the next block has timestamp t."""

    def set_time(timestamp: int) -> None:
        chain.provider.set_timestamp(timestamp)

    return set_time


@pytest.fixture
def later(chain: Any) -> Callable[[int], int]:
    """later(s): mine a block s seconds on; returns its timestamp."""

    def advance(seconds: int) -> int:
        chain.mine(timestamp=chain.blocks.head.timestamp + seconds)
        return int(chain.blocks.head.timestamp)

    return advance
